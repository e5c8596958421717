"""The page's server as a program: who may ask it, for what, and how much."""

import json
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import httpx
import programs
import psutil
import pytest
from generate.page.folders import long_model
from listening import beyond_loopback, listening
from trained import Trained

from llama_core.errors import InputError
from llama_core.generate.page.__main__ import main
from llama_core.generate.page.settings import Settings

API = "/gradio_api"
LONG = 3000  # tokens that take the small model long enough to be left in the middle


class Page:
    """`python -m llama_core.generate.page` of a model that sees far, and what may be asked of it."""

    def __init__(self, folder: Path):
        command = ("-m", "llama_core.generate.page", str(folder), "--port", "0")
        self.program = programs.Program(*command, env=programs.environment() | {"CUDA_VISIBLE_DEVICES": ""})
        said = self.program.output.readline()
        assert said.startswith("The page is at http://127.0.0.1:"), said + self.program.output.read()
        self.url = said.split()[-1]
        self.settings = Settings(
            text="def main", model=str(folder), max_new_tokens=8, temperature=0.0, seed=7
        )
        config = httpx.get(f"{self.url}/config").json()
        self._write = next(d["id"] for d in config["dependencies"] if d["api_name"] == "write")

    def join(self, settings: Settings) -> tuple[str, httpx.Response]:
        """Ask for a text, as the page does: the session, and the answer."""
        session = uuid.uuid4().hex
        data = [*asdict(settings).values(), None]
        body = {"data": data, "fn_index": self._write, "session_hash": session}
        return session, httpx.post(f"{self.url}{API}/queue/join", json=body, timeout=60)

    def messages(self, settings: Settings) -> Iterator[dict]:
        """What the page is told of a text until it is done."""
        session, answer = self.join(settings)
        assert answer.status_code == 200, answer.text
        url = f"{self.url}{API}/queue/data"
        with httpx.stream("GET", url, params={"session_hash": session}, timeout=60) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    message = json.loads(line.removeprefix("data:"))
                    yield message
                    if message["msg"] == "process_completed":
                        return

    def write(self, settings: Settings) -> list[str]:
        """The panel, the second one, the status and what was read, at the end of a text."""
        *_, last = self.messages(settings)
        assert last["success"], last
        return last["output"]["data"]


@pytest.fixture(scope="module")
def page(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    page = Page(long_model(trained, tmp_path_factory.mktemp("page")))
    yield page
    page.program.send_signal(signal.SIGINT)
    assert page.program.wait() == 0
    assert "def main" not in page.program.output.read()  # what people write is in no log


def test_it_listens_on_loopback_alone(page: Page) -> None:
    found = listening(page.program.process.pid)
    assert len(found) == 1 and not beyond_loopback(found)


def test_a_text_grows_and_the_last_of_it_is_whole(page: Page) -> None:
    panel, _, status, read = page.write(page.settings)[:4]
    assert panel.count("data-hover") > 4 and "def main" in panel
    assert "8 tokens" in status and "That is what was asked for" in status
    assert "given to read" in read
    told = [message["msg"] for message in page.messages(replace(page.settings, max_new_tokens=200))]
    assert told.count("process_generating") > 3


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:1"},
        {"origin": "https://evil.example"},
        {"host": "evil.example"},
        {"sec-fetch-site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/config", f"{API}/queue/join", f"{API}/info", "/"])
def test_a_page_of_another_origin_can_neither_ask_nor_read(page: Page, path: str, headers: dict) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = httpx.request(method, page.url + path, headers=headers)
        assert answer.status_code == 403, answer
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/upload",
        f"{API}/file=/etc/passwd",
        f"{API}/file=https://example.org",
        f"{API}/proxy=https://example.org",
        f"{API}/vibe-edit/",
        f"{API}/component_server",
        "/monitoring",
        "/docs",
        "/openapi.json",
        "/assets/../../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_what_gradio_can_do_and_the_page_does_not_need_is_shut(page: Page, path: str) -> None:
    for method in ("GET", "POST"):
        answer = httpx.request(method, page.url + path)
        assert answer.status_code in (404, 405, 403) and "root:" not in answer.text


def test_the_browser_is_told_to_load_nothing_from_elsewhere(page: Page) -> None:
    policy = httpx.get(page.url).headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http" not in policy


def test_hostile_text_is_not_html_in_what_is_sent(page: Page) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'<script>"
    for mode in ("Continue", "Converse", "Summarise"):
        said = "".join(map(str, page.write(replace(page.settings, mode=mode, text=hostile))))
        assert "&lt;img" in said and "<img" not in said and "<script" not in said
    refused = page.write(replace(page.settings, conversation=hostile, mode="Converse"))[2]
    assert "A template holds {text} once" in refused


def test_a_link_fills_the_page_in(page: Page) -> None:
    config = httpx.get(f"{page.url}/config").json()
    load = next(d for d in config["dependencies"] if d["targets"][0][1] == "load")
    query = {"text": "a <b>", "temperature": "0.25", "model": "s3://elsewhere", "top_p": "9"}
    answer = httpx.post(
        f"{page.url}{API}/run/predict",
        params=query,
        json={"data": [], "fn_index": load["id"], "session_hash": "x"},
    ).json()["data"]
    assert answer[:2] == ["Continue", "a <b>"] and 0.25 in answer and 0.95 in answer
    assert answer[2] == page.settings.model and "does not offer" in answer[-1]


def test_what_is_not_offered_is_not_loaded(page: Page) -> None:
    session, answer = page.join(replace(page.settings, model="/etc"))
    assert answer.status_code == 200
    url, told = f"{page.url}{API}/queue/data", ""
    with httpx.stream("GET", url, params={"session_hash": session}, timeout=60) as stream:
        told = "".join(stream.iter_text())
    assert '"success":false' in told and "Traceback" not in told


def test_a_prompt_of_100_000_characters_is_read_from_its_end_and_that_is_said(page: Page) -> None:
    panel, _, status, read = page.write(replace(page.settings, text="def main " * 11_112))[:4]
    assert "the model has read the last" in status and "more do not fit" in status
    assert len(panel) < 10_000 and len(read) < 10_000
    refused = page.write(replace(page.settings, text="a" * 1_048_577))[2]
    assert "at most 1,048,576 are taken" in refused
    assert page.join(replace(page.settings, text="a" * 9_000_000))[1].status_code == 413


def test_ten_at_once_are_all_answered_alike(page: Page) -> None:
    with ThreadPoolExecutor(10) as pool:
        panels = {found[0] for found in pool.map(page.write, [page.settings] * 10)}
    assert len(panels) == 1


def test_more_than_can_wait_are_refused_and_who_leaves_ends_the_work(page: Page) -> None:
    long = replace(page.settings, max_new_tokens=2048)
    streams = [page.messages(long) for _ in range(2)]
    for stream in streams:
        assert any(message["msg"] == "process_generating" for message in stream)  # both places are taken
    waiting = [page.join(long) for _ in range(40)]
    assert {answer.status_code for _, answer in waiting[-5:]} == {503}
    for stream in streams:
        stream.close()  # type: ignore[attr-defined]
    for session, answer in waiting:
        if answer.status_code == 200:  # they leave as well
            with httpx.stream("GET", f"{page.url}{API}/queue/data", params={"session_hash": session}):
                pass
    assert page.write(page.settings)[0]  # there is a place again
    process = psutil.Process(page.program.process.pid)
    deadline = time.monotonic() + 15
    while process.cpu_percent(interval=1) > 20:
        assert time.monotonic() < deadline, "the work goes on"


def test_what_is_wrong_with_the_command_is_an_error_that_says_so(tmp_path: Path, page: Page) -> None:
    with pytest.raises(InputError, match="there is no model"):
        main([str(tmp_path), "--port", "0"])
    with pytest.raises(InputError, match="choose another --port"):
        main([str(tmp_path), "--port", page.url.rpartition(":")[2]])
    with pytest.raises(InputError, match="unrecognized arguments: --share"):
        main([str(tmp_path), "--share"])
