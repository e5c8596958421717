"""Run the pipeline as a person does: a process, a home, a store; and find what it left behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from llama_core.artifact import MANIFEST, Artifact
from llama_core.store import Store

ROOT = Path(__file__).parents[1]
MARK = "LLAMA_TEST_RUN"


@dataclass
class Pipeline:
    """`python -m flows` on a home and a store of its own."""

    home: Path
    store_url: str
    env: dict[str, str] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    said: str = ""  # in the terminal, by the last run that was `ok`
    checkout: Path = ROOT

    def begin_with(self, other: "Pipeline", *stages: str) -> None:
        """Put copies of another's finished steps on the store: a step is not bound to its place.

        `stages`: those to copy; without any, all.
        """
        mine, theirs = (Path(p.store_url.removeprefix("file://")) for p in (self, other))
        for stage in stages or [folder.name for folder in theirs.iterdir()]:
            shutil.copytree(theirs / stage, mine / stage)

    def environment(self, **more: str) -> dict[str, str]:
        return environment() | {MARK: self.mark, "LLAMA_HOME": str(self.home)} | self.env | more

    def start(self, *args: str, recipe: str = "micro", **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "flows", recipe, "--store", self.store_url, *args]
        return subprocess.Popen(
            command,
            cwd=self.checkout,
            env=self.environment(**env),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_listen_to_signals,
        )

    def run(self, *args: str, recipe: str = "micro", timeout: float = 300, **env: str) -> tuple[int, str]:
        """Exit code and what the terminal showed."""
        process = self.start(*args, recipe=recipe, **env)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            output, _ = process.communicate()
            raise AssertionError(f"not done in {timeout} s:\n{output}") from None
        return process.returncode, output

    def ok(self, *args: str, **kwargs: object) -> str:
        code, output = self.run(*args, **kwargs)  # type: ignore[arg-type]
        assert code == 0, output
        self.said = output
        return output

    def processes(self) -> list[psutil.Process]:
        """Every living process that this pipeline started, however far from it by now."""
        return [p for p in psutil.process_iter() if _mark_of(p) == self.mark]

    def kill(self) -> None:
        """kill -9 of the whole tree."""
        while living := self.processes():
            for process in living:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(living, timeout=5)

    def ends(self, within: float) -> list[psutil.Process]:
        """Wait for all processes to be gone; those that are not."""
        deadline = time.monotonic() + within
        while (living := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return living

    @property
    def store(self) -> Store:
        return Store(self.store_url)

    def artifacts(self) -> dict[str, list[Artifact]]:
        """All finished steps on the store, by stage."""
        found: dict[str, list[Artifact]] = {}
        for name in self.store.list():
            folder, _, last = name.rpartition("/")
            if last == MANIFEST:
                artifact = Artifact.load(self.store, folder)
                found.setdefault(artifact.stage, []).append(artifact)
        return found

    def artifact(self, stage: str) -> Artifact:
        [one] = self.artifacts()[stage]
        return one

    def digests(self) -> dict[str, list[str]]:
        """What was made, in the design's sense of the same: by stage."""
        return {s: sorted(a.digest for a in found) for s, found in sorted(self.artifacts().items())}


def environment() -> dict[str, str]:
    """This process's environment, in which no library calls home."""
    return os.environ | {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


def _listen_to_signals() -> None:
    """Heed what a shell or nohup that runs the tests in the background has every child ignore."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def how_made(output: str) -> dict[str, str]:
    """What the terminal says of each step: `reused`, or the time it took. By label, `ingest code` say."""
    lines = (re.match(r"  (\w+(?: \w+)?) +(reused|made|[\d.]+ s)  ", line) for line in output.splitlines())
    return {line[1]: line[2] for line in lines if line}


def _mark_of(process: psutil.Process) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.environ().get(MARK)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return None
