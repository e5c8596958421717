"""A real headless Chromium, in which a page's scripts run for as long as they take."""

import base64
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium")
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
OPTIONS += ["--disable-sync", "--disable-background-networking", "--disable-component-update"]
OPTIONS += ["--remote-debugging-port=0"]


class Tab:
    """A tab of a browser, commanded by the DevTools protocol."""

    def __init__(self, connection: ClientConnection):
        self._connection, self._number = connection, 0
        self.events: list[tuple[str, dict[str, Any]]] = []
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    _session: str | None = None

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=60))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            if "method" in answer:
                self.events.append((answer["method"], answer["params"]))

    def screenshot(self, path: Path) -> None:
        """Take a picture of what the window shows."""
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot")["data"]))

    def open(self, url: str) -> None:
        """Go to a page. A login in the URL is given where the page asks for one."""
        self.command("Page.navigate", url=url)

    def value(self, script: str) -> Any:
        """What a script in the page evaluates to, or None where it fails: the page is not ready."""
        return self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)[
            "result"
        ].get("value")

    def until(self, script: str, within: float = 60) -> Any:
        """What a script in the page evaluates to, once that is true."""
        deadline = time.monotonic() + within
        while not (value := self.value(script)):
            assert time.monotonic() < deadline, self.value("document.documentElement.outerHTML")
            time.sleep(0.2)
        return value

    def shows(self, *texts: str) -> str:
        """Wait for a page that shows all of these texts, and return its HTML."""
        page = "document.documentElement.outerHTML"
        self.until(f"{json.dumps(texts)}.every(text => {page}.includes(text))")
        return self.value(page)


@contextlib.contextmanager
def browser(profile: Path, *options: str) -> Iterator[Tab]:
    """Start a browser, with one tab."""
    assert CHROMIUM
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            said = profile / "DevToolsActivePort"
            while not (said.exists() and said.read_text().count("\n")):
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.1)
            port, path = said.read_text().split("\n")[:2]
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as connection:
                yield Tab(connection)
        finally:
            process.terminate()
            process.wait(timeout=30)
