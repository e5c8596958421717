"""Runs of the pipeline that are forked from one process, and so begin at once: see `zygote.py`."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
from chaos.kills import INJECT
from pipeline import MARK, ROOT, Pipeline, environment


class Zygote:
    """The process that runs are forked from. They all have its mark."""

    def __init__(self, folder: Path) -> None:
        self.mark, self._folder = uuid.uuid4().hex, folder
        env = environment() | {MARK: self.mark, "PREFECT_HOME": str(folder / "prefect")}
        env.pop("PREFECT_API_URL", None)
        env |= {"PYTHONPATH": INJECT, "LLAMA_CHAOS": ""}  # each run names the point where it stops
        with (folder / "zygote.log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("zygote.py"))],
                cwd=ROOT,
                env=env,
                text=True,
                bufsize=1,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def fork(self, args: list[str], env: dict[str, str]) -> "Fork":
        """Start `python -m flows ARGS` in this environment."""
        assert self.process.stdin and self.process.stdout
        output = self._folder / f"{uuid.uuid4().hex}.log"
        self.process.stdin.write(json.dumps({"args": args, "env": env, "output": str(output)}) + "\n")
        answer = self.process.stdout.readline()
        assert answer, (self._folder / "zygote.log").read_text()
        return Fork(int(answer), output)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


class Fork:
    """A forked run, with what tests use of a `Popen`."""

    def __init__(self, pid: int, output: Path) -> None:
        self.pid, self._output = pid, output
        self.returncode: int | None = None

    def poll(self) -> int | None:
        code = Path(f"{self._output}.code")
        if self.returncode is None and code.exists():
            self.returncode = int(code.read_text())
        return self.returncode

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def communicate(self, timeout: float = 300) -> tuple[str, None]:
        """Wait for the end; what the terminal would have shown."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"the run with its output in {self._output}", timeout)
            time.sleep(0.02)
        return self._output.read_text(), None


class ForkedPipeline(Pipeline):
    """A pipeline whose runs are forked."""

    def __init__(self, folder: Path, zygote: Zygote) -> None:
        super().__init__(folder / "home", f"file://{folder}/store", mark=zygote.mark)
        self._zygote = zygote

    def start(self, *args: str, recipe: str = "micro", **env: str) -> Fork:  # type: ignore[override]
        env = {"LLAMA_HOME": str(self.home), "LLAMA_CHAOS": ""} | env
        return self._zygote.fork([recipe, "--store", self.store_url, *args], env)

    def processes(self) -> list[psutil.Process]:
        return [p for p in super().processes() if p.pid != self._zygote.process.pid]
