"""The numbers that LaTeX gives to sections, floats, equations and theorems, and the labels that name them."""

from collections import Counter

_LEVELS = ("chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph")

_MAX_WITHIN = 200  # counters that begin again with another: each step looks at all of them


class Numbers:
    """`found`: what a reference prints, by `kind\\0label`; kinds: "" 2.1, "eq" (2.1), "auto" Section 2.1."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._within = {"subsection": "section", "subsubsection": "subsection", "paragraph": "subsubsection"}
        self._current = ("", "")
        self._appendix = False

    def step(self, counter: str, name: str = "") -> str:
        """The next number of a counter, which \\label will name from now on."""
        self._counts[counter] += 1
        for inner, outer in self._within.items():
            if outer == counter and inner != counter:
                self._counts[inner] = 0
                if inner in _LEVELS:
                    for deeper in _LEVELS[_LEVELS.index(inner) :]:
                        self._counts[deeper] = 0
        number = self._number(counter)
        self._current = (name or counter.capitalize(), number)
        return number

    def heading(self, level: int) -> None:
        counter = _LEVELS[level]
        if counter == "chapter" and "section" not in self._within:
            self._within |= dict.fromkeys(("section", "figure", "table", "equation"), "chapter")
        self.step(
            counter, "Appendix" if self._appendix and level <= 1 else "Chapter" if level == 0 else "Section"
        )

    def item(self, number: int) -> None:
        self._current = ("Item", str(number))

    def appendix(self) -> None:
        self._appendix = True
        self._counts["chapter" if "section" in self._within else "section"] = 0

    def within(self, counter: str, outer: str, keep: bool = False) -> None:
        """After \\numberwithin. A circle is not made. `keep`: what has been said of the counter before."""
        if keep and counter in self._within:
            return
        at: str | None = outer
        while at is not None and at != counter:
            at = self._within.get(at)
        if at is None and len(self._within) < _MAX_WITHIN:
            self._within[counter] = outer

    def label(self, label: str) -> None:
        kind, number = self._current
        label = label.strip()
        if number:
            self.found |= {
                f"\0{label}": number,
                f"eq\0{label}": f"({number})",
                f"auto\0{label}": f"{kind} {number}",
            }

    def rows(self, rows: list[tuple[list[str], bool]]) -> None:
        """Of a numbered display: the labels of each row, and whether it has a number."""
        for labels, numbered in rows:
            if numbered or labels:
                self.step("equation")
                for label in labels:
                    self.label(label)

    def _number(self, counter: str) -> str:
        parts: list[str] = []
        at: str | None = counter
        while at is not None and (self._counts[at] or at == counter):
            lettered = self._appendix and at == ("chapter" if "section" in self._within else "section")
            count = self._counts[at]
            parts.append(chr(64 + count) if lettered and count <= 26 else str(count))
            at = self._within.get(at)
        return ".".join(reversed(parts))
