// What the page does by itself: the box with a token's probabilities, the keys, copying.
(() => {
  const percent = (p) => (100 * p).toPrecision(3) + " %";
  const written = (text) => JSON.stringify(text).slice(1, -1).replaceAll(" ", "\u2423");

  function hide() {
    document.getElementById("hover")?.remove();
    document.querySelector(".token.here")?.classList.remove("here");
  }

  function tell(token) {
    hide();
    token.classList.add("here");
    const { p, likely } = JSON.parse(token.dataset.hover);
    const box = document.createElement("div");
    box.id = "hover";
    box.role = "status";
    const table = box.appendChild(document.createElement("table"));
    const add = (probability, text, chosen) => {
      const row = table.insertRow();
      row.insertCell().textContent = percent(probability);
      row.insertCell().textContent = written(text);
      if (chosen) row.className = "chosen";
    };
    const at = likely.findIndex(([text, q]) => text === token.textContent && Math.abs(q - p) < 1e-6);
    likely.forEach(([text, q], n) => add(q, text, n === at));
    if (at < 0) add(p, token.textContent, true);
    document.body.append(box);
    const [place, size] = [token.getClientRects()[0], box.getBoundingClientRect()];
    const above = place.bottom + size.height + 8 > innerHeight;
    box.style.left = Math.max(4, Math.min(place.left, innerWidth - size.width - 4)) + "px";
    box.style.top = Math.max(4, above ? place.top - size.height - 4 : place.bottom + 4) + "px";
  }

  document.addEventListener("pointerover", (event) => {
    const token = event.target.closest?.(".token");
    token ? tell(token) : hide();
  });
  // The box follows its token, which the arrow keys bring into view.
  document.addEventListener("scroll", () => {
    const token = document.querySelector(".token.here");
    token ? tell(token) : hide();
  }, true);
  document.addEventListener("focusout", hide);

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      document.getElementById("go")?.click();
    } else if (event.key === "Escape") {
      hide();
      document.getElementById("stop")?.click();
    } else if (event.target.matches?.(".answer") && /^Arrow(Left|Right|Up|Down)$/.test(event.key)) {
      event.preventDefault();
      const tokens = [...event.target.querySelectorAll(".token")];
      const step = /Right|Down/.test(event.key) ? 1 : -1;
      const next = tokens[tokens.findIndex((token) => token.matches(".here")) + step];
      if (next) {
        next.scrollIntoView({ block: "nearest" });
        tell(next);
      }
    }
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.(".copy");
    if (!button) return;
    const text = button.closest(".panel").querySelector(".answer").textContent;
    const before = button.textContent;
    button.textContent = await navigator.clipboard.writeText(text).then(() => "Copied", () => "Not copied");
    setTimeout(() => (button.textContent = before), 1500);
  });

  // The link of the page's fields: in the address bar, and on the clipboard where the browser lets us.
  window.shareLink = (query) => {
    const url = new URL(location.href);
    url.search = query;
    history.replaceState(null, "", url);
    navigator.clipboard?.writeText(url.href).catch(() => {});
    return url.href;
  };
})();
