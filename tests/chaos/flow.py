"""A flow that runs one training by the local launcher, whose agent and ranks are forks: they begin at once.

`python flow.py JOB_URL PROCESSES FOLDER`. It prints the log of the job. Ranks hold locks in FOLDER
while they live, so that two jobs at once are seen. While a file `upload`, `commit` or `pruning` is there,
they stay for a moment in the midst of that, and hold a lock on it.
"""

import contextlib
import fcntl
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

from infra.launch import failures, run
from infra.launch.launcher import JobSpec
from infra.launch.local import LocalLauncher
from llama_core import lifeline
from llama_core.recipes.running import Launch
from llama_core.store import Store, Writer
from llama_core.train import checkpoint
from llama_core.train import run as train

STAY = 0.4  # seconds


class Forked:
    """A program that is a fork of this process, with what the launcher uses of a `Popen`."""

    def __init__(self, command: list[str], env: Mapping[str, str], output: IO[bytes]) -> None:
        reading, writing = os.pipe()
        self.stdin = os.fdopen(writing, "wb")
        lifeline._held.add(self.stdin)
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._be(command[1:], dict(env) | {lifeline.VARIABLE: "0"}, reading, output)
        os.close(reading)

    def _be(self, command: list[str], env: dict[str, str], reading: int, output: IO[bytes]) -> NoReturn:
        code = 1
        try:
            os.setsid()
            for stream, file in enumerate((reading, output.fileno(), output.fileno())):
                os.dup2(file, stream)
            os.environ.clear()
            os.environ.update(env)
            sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1)
            multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
            option, module, *sys.argv[1:] = command
            assert option == "-m"
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            code = 0
        finally:
            os._exit(code)

    def poll(self) -> int | None:
        if self.returncode is None and (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.returncode = os.waitstatus_to_exitcode(ended[1])
        return self.returncode

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout: float = 1e9) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("the agent", timeout)
            time.sleep(0.01)
        return code


def stay_at_moments(folder: Path) -> None:
    """Let this rank stay in an upload, before a commit, and in a deletion, where a file asks for it."""

    def stay(moment: str) -> None:
        with contextlib.suppress(FileNotFoundError), (folder / moment).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            time.sleep(STAY)

    write, commit, delete = Writer.write, checkpoint.commit, Store.delete
    begun: set[Writer] = set()

    def staying_write(self: Writer, data: Any) -> int:
        if self._name.endswith(".data") and self not in begun:
            begun.add(self)
            stay("upload")
        return write(self, data)

    def staying_commit(*arguments: Any) -> None:
        stay("commit")
        commit(*arguments)

    def staying_delete(self: Store, names: Iterable[str]) -> None:
        stay("pruning")
        delete(self, names)

    Writer.write, Store.delete = staying_write, staying_delete  # type: ignore[method-assign]
    checkpoint.commit = staying_commit  # type: ignore[assignment]


def main(url: str, processes: str, folder: str) -> None:
    lifeline.start = Forked  # type: ignore[assignment]
    failures.PATIENCE = 1.0
    run.REST = 0.1
    of_rank = train.main

    def alone(*arguments: str) -> int:
        """Be a rank, unless there is another of the same number."""
        stay_at_moments(Path(folder))
        with Path(folder, f"rank-{os.environ['RANK']}").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                Path(folder, "two-jobs-at-once").touch()
            return of_rank(*arguments)

    train.main = alone
    launch = Launch(procs_per_node=int(processes), max_restarts=5)
    for line in run.run(JobSpec("llama-faults", "llama_core.train", [url], launch, {}), LocalLauncher()):
        print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
