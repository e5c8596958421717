"""Launchers: where a training or evaluation job runs, behind five verbs.

A job is `python -m MODULE ARGS`, under torchrun where it has several processes. It goes on from its own
checkpoint, so starting it again is always safe. `run` is what the tasks use; the verbs are for the
launchers to write.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from infra.launch.capacity import Capacity
from llama_core.errors import LaunchError
from llama_core.recipe import Launch

PROGRESS = ("@metrics ", "@progress ")
ERRORS = ("@error ", "@final ")
TAIL = 30  # lines of a failed job's log that its error shows
GRACE = 30  # seconds between asking a job to end and killing it


@dataclass(frozen=True)
class JobSpec:
    """`name` is computed from the step's id, so that a restarted flow finds the job again."""

    name: str
    module: str
    args: list[str]
    launch: Launch
    env: dict[str, str]


@dataclass(frozen=True)
class Handle:
    """A submitted job. `log` grows while the job runs; standard output and error are one."""

    name: str
    id: str
    log: Path


JobPhase = Literal["pending", "running", "succeeded", "preempted", "failed", "cancelled"]


@dataclass(frozen=True)
class State:
    """preempted: it ended for no fault of its own (time limit, lost node)."""

    phase: JobPhase
    reason: str = ""
    code: int | None = None

    @property
    def ended(self) -> bool:
        return self.phase not in ("pending", "running")

    def __str__(self) -> str:
        return f"{self.phase} ({self.reason})" if self.reason else self.phase


class Launcher(Protocol):
    def capacity(self) -> Capacity:
        """What could run here. Raises LaunchError where the launcher itself is missing."""

    def submit(self, job: JobSpec) -> Handle:
        """Start the job, or queue it. Raises LaunchError where it is refused."""

    def poll(self, handle: Handle) -> State: ...

    def cancel(self, handle: Handle) -> None:
        """End the job and all its processes. Nothing where it has ended."""

    def logs(self, handle: Handle) -> Iterator[str]:
        """The lines of the log from its beginning, as they come, until the job has ended."""

    def adopt(self, name: str) -> Handle | None:
        """The job of this name that is queued or running, whoever submitted it."""


def get_launcher(launch: Launch) -> Launcher:
    if launch.launcher == "slurm":
        from infra.launch.slurm import SlurmLauncher

        return SlurmLauncher(launch.partition)
    from infra.launch.local import LocalLauncher

    return LocalLauncher()


def run(job: JobSpec, launcher: Launcher | None = None) -> Iterator[str]:
    """Run the job to its end and yield its log, line by line.

    Adopts the job if one of its name runs already. Starts it again after a failure, at most
    `launch.max_restarts` times, and after a preemption, which counts only if nothing was done since the
    start before. Final are an error that says so (`@final`), and one that the job explains (`@error`) before
    it has done anything.
    The job is cancelled when the caller is interrupted or stops reading. Raises LaunchError.
    """
    launcher = launcher or get_launcher(job.launch)
    handle = launcher.adopt(job.name)
    restarts = 0
    while True:
        tail: deque[str] = deque(maxlen=TAIL)
        error, progressed, final = "", False, False
        handle = handle or launcher.submit(job)
        try:
            for line in launcher.logs(handle):
                tail.append(line)
                progressed |= line.startswith(PROGRESS)
                if line.startswith(ERRORS):
                    kind, _, error = line.partition(" ")
                    final |= kind == "@final"
                yield line
        except BaseException:
            launcher.cancel(handle)
            raise
        state = launcher.poll(handle)
        if state.phase == "succeeded":
            return
        restarts += not (state.phase == "preempted" and progressed)
        final |= state.phase == "cancelled" or bool(error and not progressed)
        if final or restarts > job.launch.max_restarts:
            last = "\n".join(tail)
            raise LaunchError(error or f"{job.name} {state}. The end of its log, {handle.log}:\n{last}")
        yield f"[launcher] {job.name} {state}; it is started again from its last checkpoint"
        handle = None


def start_method(launch: Launch) -> str:
    """How the agent starts its ranks: neither a GPU's driver nor the libraries of macOS survive a fork."""
    return "fork" if launch.device == "cpu" and sys.platform == "linux" else "spawn"


def logs_folder() -> Path:
    """Where jobs write their logs; LLAMA_LOGS names another, which all nodes of a cluster must share."""
    chosen = os.environ.get("LLAMA_LOGS")
    if not chosen:
        from infra.home import home

        chosen = str(home() / "logs")
    folder = Path(chosen).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def follow(log: Path, poll: Callable[[], State], every: float) -> Iterator[str]:
    """The lines of a growing file, looked at `every` so many seconds until the job has ended.

    The file may appear late: what a pending job waits for is a line too. It is opened anew each time,
    because on NFS an open file may stay stale.
    """
    position, rest, told = 0, b"", ""
    while True:
        state = poll()
        if state.phase == "pending" and str(state) != told:
            told = str(state)
            yield f"[launcher] {told}"
        data = b""
        if log.exists():
            with log.open("rb") as file:
                file.seek(position)
                data = file.read()
        position += len(data)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
        if state.ended:
            break
        time.sleep(every)
    if rest:
        yield rest.decode(errors="replace")
