"""The page to talk to a model, as a person uses it: in a real browser, with a model of the registry."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from pipeline import ROOT, Pipeline
from system.browser import CHROMIUM, Tab, browser

from llama_core.export.pyfunc_model import SUMS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
]

REGISTERED = "models:/llama-micro@candidate"
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'"><svg onload=hacked=1>'


@pytest.fixture(scope="module")
def folder(micro: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of micro as a stranger's, who says that it sees far: its texts can be stopped."""
    export = micro.artifact("export")
    attempt = export.shard("model").object(f"/{SUMS}").name.rpartition("/")[0]
    copy = tmp_path_factory.mktemp("page") / "far"
    shutil.copytree(export.store.path(attempt), copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    return copy


@pytest.fixture(scope="module")
def server(micro: Pipeline, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The page's address and process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "llama_core.generate.page", str(folder), REGISTERED, "--port", "0"],
        cwd=ROOT,
        env=micro.environment(OMP_NUM_THREADS="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    try:
        said = process.stdout.readline()
        assert said.startswith("The page is at http://127.0.0.1:"), said + process.stdout.read()
        yield said.split()[-1], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def tab(server: tuple[str, psutil.Process], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One browser for all that follows. At its end, no request has left this machine's page."""
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        for domain in ("Network", "Log", "Runtime"):
            tab.command(f"{domain}.enable")
        look_at(tab, 1280)
        yield tab
        asked = [p["request"]["url"] for method, p in tab.events if method == "Network.requestWillBeSent"]
        assert len(asked) > 20
        assert not [url for url in asked if not url.startswith((f"{server[0]}/", "data:"))]
        logged = [p["entry"] for method, p in tab.events if method == "Log.entryAdded"]
        assert not [entry for entry in logged if entry["level"] == "error"]  # none was blocked either
        assert not [p for method, p in tab.events if method == "Runtime.exceptionThrown"]


def look_at(tab: Tab, width: int) -> None:
    """See the page as on a screen of this width."""
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    tab.command("Emulation.setDeviceMetricsOverride", **size)


def begin(tab: Tab, server: tuple[str, psutil.Process], **query: str) -> None:
    """Open the page by a link, and wait until it has filled the page in."""
    link = "&".join(f"{name}={quote(value)}" for name, value in ({"seed": "7"} | query).items())
    leave(tab)
    tab.open(f"{server[0]}/?{link}")
    tab.until("document.querySelector('#seed input')?.value === '7'")


def leave(tab: Tab) -> None:
    """Leave the page, so that what is waited for is none of it."""
    tab.open("about:blank")
    tab.until("!document.querySelector('gradio-app')")


def write(tab: Tab, selector: str, text: str) -> None:
    """Type a text into a field, in place of what is there."""
    tab.value(f"document.querySelector('{selector}').focus(), document.querySelector('{selector}').select()")
    tab.command("Input.insertText", text=text)
    tab.value(f"document.querySelector('{selector}').dispatchEvent(new Event('change', {{bubbles: true}}))")


def key(tab: Tab, name: str, code: int, modifiers: int = 0) -> None:
    stroke = {"key": name, "code": name, "windowsVirtualKeyCode": code, "modifiers": modifiers}
    tab.command("Input.dispatchKeyEvent", type="keyDown", **stroke)
    tab.command("Input.dispatchKeyEvent", type="keyUp", **stroke)


def tokens(tab: Tab, panel: str = "a") -> int:
    return tab.value(f"document.querySelectorAll('#panel-{panel} .token').length")


def text(tab: Tab, panel: str = "a") -> str:
    return tab.value(f"document.querySelector('#panel-{panel} .answer').textContent")


def is_done(tab: Tab, seed: str = "7") -> None:
    done = f"(asked for|to its end|see no more)[^]*seed is {seed}"
    tab.until(f"/{done}/.test(document.querySelector('#status').innerText)")


def test_a_person_types_sees_tokens_stream_and_stops(tab: Tab, server: tuple[str, psutil.Process]) -> None:
    begin(tab, server, other="", max_new_tokens="2048", temperature="0")
    write(tab, "#text textarea", "def main(")
    key(tab, "Enter", 13, modifiers=2)  # Ctrl
    tab.until("document.querySelectorAll('#panel-a .token').length > 5")
    first = tokens(tab)
    tab.until(f"document.querySelectorAll('#panel-a .token').length > {first + 5}")
    assert text(tab).startswith("def main(")
    key(tab, "Escape", 27)
    tab.until("document.querySelector('#status').innerText.includes('Stopped')")
    stopped = tokens(tab)
    deadline = time.monotonic() + 20
    while server[1].cpu_percent(interval=1) > 20:  # the work has ended, not only its showing
        assert time.monotonic() < deadline
    assert stopped <= tokens(tab) < 2000


def test_two_versions_are_compared_and_the_temperature_is_heeded(
    tab: Tab, server: tuple[str, psutil.Process]
) -> None:
    begin(tab, server, other=REGISTERED, max_new_tokens="12", temperature="1.5", text="import ")
    for temperature, same in (("0", True), ("2", False)):
        write(tab, "#temperature input[type=number]", temperature)
        seen = set()
        for seed in ("7", "8"):
            write(tab, "#seed input", seed)
            tab.value("document.querySelector('#go').click()")
            is_done(tab, seed)
            assert tokens(tab, "a") > 0
            assert text(tab, "a") == text(tab, "b")  # they have the same weights
            seen.add(text(tab))
        assert (len(seen) == 1) is same
    assert tab.value("document.querySelector('#panel-b header').innerText").startswith(REGISTERED)


def test_hostile_text_is_shown_and_not_run_and_the_keyboard_reaches_every_token(
    tab: Tab, server: tuple[str, psutil.Process]
) -> None:
    for mode in ("Summarise", "Continue", "Converse"):
        begin(tab, server, other="", mode=mode, max_new_tokens="12", text=HOSTILE)
        tab.value("document.querySelector('#go').click()")
        is_done(tab)
        if mode != "Summarise":
            assert HOSTILE in text(tab)
        assert HOSTILE in tab.value("document.querySelector('#read pre').textContent")
    tab.value("document.querySelector('#panel-a .answer').focus()")
    for _ in range(3):
        key(tab, "ArrowRight", 39)
    assert tab.value("document.querySelectorAll('.token')[2].matches('.here')")
    assert tab.value("document.querySelectorAll('#hover tr').length") >= 5
    assert "%" in tab.value("document.querySelector('#hover').innerText")
    assert tab.value("window.hacked === undefined")


def test_a_conversation_goes_on_and_begins_anew(tab: Tab, server: tuple[str, psutil.Process]) -> None:
    begin(tab, server, other="", mode="Converse", max_new_tokens="8", text="Hello")
    tab.value("document.querySelector('#go').click()")
    tab.until("document.querySelector('#text textarea').value === ''")
    is_done(tab)
    write(tab, "#text textarea", "And now?")
    tab.value("document.querySelector('#go').click()")
    tab.until("document.querySelector('#panel-a .answer').textContent.includes('And now?')")
    assert "Hello" in text(tab)
    tab.until("document.querySelector('#read pre').textContent.includes('Person: And now?')")
    assert "Person: Hello\nAssistant:" in tab.value("document.querySelector('#read pre').textContent")
    is_done(tab)
    tab.value("document.querySelector('#anew').click()")
    tab.until("!document.querySelector('#panel-a .answer')")


def test_a_link_holds_what_is_set_and_a_phone_shows_all_of_it(
    tab: Tab, server: tuple[str, psutil.Process]
) -> None:
    begin(tab, server, mode="Summarise", text="A & B + <c>\n", temperature="0.35")
    tab.value("document.querySelector('#share').click()")
    link = tab.until(
        "(document.querySelector('#link textarea, #link input')?.value || '').match(/^http.*/)?.[0]"
    )
    look_at(tab, 390)
    leave(tab)
    tab.open(link)
    tab.until("document.querySelector('#text textarea')?.value === 'A & B + <c>\\n'")
    assert tab.value("document.querySelector('#temperature input').value") == "0.35"
    assert tab.value("document.querySelector('#mode input:checked').value") == "Summarise"
    assert tab.until("document.querySelector('#summary textarea')?.value").startswith("{text}")
    assert tab.value("document.documentElement.scrollWidth") == 390
