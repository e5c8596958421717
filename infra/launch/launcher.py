"""Launchers: where a training or evaluation job runs, behind the six methods of `Launcher`.

A job is `python -m MODULE ARGS`, under torchrun where it has several processes. It goes on from its own
checkpoint, so starting it again is always safe. `infra.launch.run` is what the tasks use; the methods are for
the launchers to write.
"""

import contextlib
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from infra.launch.capacity import Capacity
from llama_core.recipes.running import Launch

GRACE = 30  # seconds between asking a job to end and killing it
AT_ONCE = 16 << 20  # bytes of a log that are read at a time: that of three weeks has hundreds of megabytes
# Seconds that a job has to save and end: where it has not told how long a save takes, and at least.
TO_SAVE, LEAST_TO_SAVE = 300, 60


@dataclass(frozen=True)
class JobSpec:
    """A program and where to run it.

    `name` comes from the step's id, so that a new flow finds the job. `saving`: the seconds that it needs to
    save its progress, where it has told them. `without`: the nodes that it does not run on.
    """

    name: str
    module: str
    args: list[str]
    launch: Launch
    env: dict[str, str]
    saving: float | None = None
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Handle:
    """A submitted job. `log` grows while the job runs, and holds both its standard output and error."""

    name: str
    id: str
    log: Path


JobPhase = Literal["pending", "running", "unknown", "succeeded", "preempted", "failed", "cancelled"]


@dataclass(frozen=True)
class State:
    """The state of a job.

    `preempted`: it ended for no fault of its own (a time limit, a lost node). `unknown`: who knows does not
    answer.
    """

    phase: JobPhase
    reason: str = ""
    code: int | None = None

    @property
    def ended(self) -> bool:
        """Tell whether it is known that the job runs no more, and waits for nothing."""
        return self.phase not in ("pending", "running", "unknown")

    def __str__(self) -> str:
        return f"{self.phase} ({self.reason})" if self.reason else self.phase


class Launcher(Protocol):
    """A place where jobs run."""

    outlives: bool
    """Whether a job goes on when the process that has submitted it is gone."""

    def capacity(self) -> Capacity:
        """Return what could run here. Raises LaunchError where the launcher is missing, AwayError too."""

    def submit(self, job: JobSpec) -> Handle:
        """Start the job, or queue it. Raises LaunchError where it is refused, and AwayError."""

    def poll(self, handle: Handle) -> State:
        """Return the state of the job as it is now."""

    def cancel(self, handle: Handle, patience: float = 0) -> None:
        """End the job and all its processes. Does nothing where the job has ended.

        `patience`: seconds that it has to save its progress, if they are more than it has anyway.
        """

    def logs(self, handle: Handle) -> Iterator[str]:
        """Yield the lines of the log from its beginning, as they come, until the job has ended."""

    def adopt(self, name: str) -> Handle | None:
        """Return the job of this name that is queued or running, whoever submitted it, or None.

        Raises AwayError where the launcher does not answer.
        """


def time_to_save(saving: float | None) -> int:
    """Return how many seconds before its end a job is asked to save, which has taken it `saving` seconds.

    Twice as many, since the store may be slower then.
    """
    return TO_SAVE if saving is None else max(LEAST_TO_SAVE, math.ceil(2 * saving) + 30)


def start_method(launch: Launch) -> str:
    """Return how the agent starts its ranks: a GPU's driver and the libraries of macOS survive no fork."""
    return "fork" if launch.device == "cpu" and sys.platform == "linux" else "spawn"


def new_log(name: str, folder: Path) -> Path:
    """Make an empty log for a job of this name in a folder, and return its path."""
    number, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".log", dir=folder)
    os.close(number)
    return Path(path)


def follow(log: Path, poll: Callable[[], State], every: float) -> Iterator[str]:
    """Yield the lines of a growing log, read every `every` seconds until the job has ended.

    The file may appear late; until then, what a pending job waits for is a line too, and so is that nobody
    knows of the job for a while. The file is opened anew each time, because on NFS an open file may stay
    stale; one that cannot be read is tried again. One that has become shorter, because somebody rotates logs,
    is read from its beginning.
    """
    position, rest, told = 0, b"", ""
    while True:
        state = poll()
        if str(state) != told:
            told = str(state)
            if state.phase in ("pending", "unknown"):
                yield f"[launcher] {told}"
        data = b""
        with contextlib.suppress(OSError), log.open("rb") as file:
            if file.seek(0, os.SEEK_END) < position:
                position, rest = 0, b""
            file.seek(position)
            data = file.read(AT_ONCE)
        position += len(data)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
        if len(data) == AT_ONCE:
            continue
        if state.ended:
            break
        time.sleep(every)
    if rest:
        yield rest.decode(errors="replace")
