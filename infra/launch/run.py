"""Run a job to its end on the launcher that its recipe names: this is what the tasks use."""

import contextlib
import json
import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable

from infra.launch.launcher import Handle, JobSpec, Launcher, State
from infra.launch.local import LocalLauncher
from infra.launch.slurm import SlurmLauncher
from llama_core.errors import LaunchError
from llama_core.file_system import back_off
from llama_core.recipes.running import Launch

ERRORS = ("@error ", "@final ")
PROGRESS = re.compile(r"@(?:metrics|progress) (\{.*\})")  # how far a job has come
TAIL = 30  # lines of a failed job's log that its error shows
# Seconds before a job that did not come further is started again: twice as many each time.
REST, LONGEST_REST = 5.0, 300.0


def get_launcher(launch: Launch) -> Launcher:
    """Return the launcher that the recipe names."""
    if launch.launcher == "slurm":
        return SlurmLauncher(launch.partition)
    return LocalLauncher()


def run(
    job: JobSpec,
    launcher: Launcher | None = None,
    cancel_asked: Callable[[BaseException], bool] = lambda _: False,
) -> Generator[str]:
    """Run the job to its end and yield its log, line by line.

    A job of this name that is queued or running is adopted. A job that fails or is preempted is started again
    as often as it comes further than before; where it does not, `launch.max_restarts` times in a row, with a
    rest between. Two errors are final: one that the job calls final (`@final`), and one that it explains
    (`@error`) before it has ever done anything. A caller who is interrupted or stops reading leaves the job
    to the next flow, which adopts it. It is cancelled where it cannot outlive its launcher, or where
    `cancel_asked` says so of the exception that has ended the reading. Raises LaunchError.
    """
    launcher = launcher or get_launcher(job.launch)
    furthest: dict[str, int] = {}
    stuck = 0
    while True:
        tail: deque[str] = deque(maxlen=TAIL)
        error, final, before = "", False, dict(furthest)
        try:
            handle = launcher.adopt(job.name) or launcher.submit(job)
        except LaunchError as away:
            if not furthest:
                raise
            yield f"[launcher] {job.name} cannot be started now ({away}); it is tried again"
            time.sleep(LONGEST_REST)
            continue
        try:
            for line in launcher.logs(handle):
                tail.append(line)
                if told := PROGRESS.match(line):
                    _note(furthest, told[1])
                if line.startswith(ERRORS):
                    kind, _, error = line.partition(" ")
                    final = final or kind == "@final"
                yield line
            while not (state := launcher.poll(handle)).ended:
                time.sleep(1)
        except BaseException as reason:
            if not launcher.outlives or cancel_asked(reason):
                launcher.cancel(handle)
            raise
        if state.phase == "succeeded":
            return
        stuck = 0 if furthest != before else stuck + 1
        if state.phase == "cancelled" or (error and not furthest):
            final = True
        if final or stuck > job.launch.max_restarts:
            raise _failure(job, handle, state, error, tail, stuck)
        yield f"[launcher] {job.name} {state}; it is started again from its last checkpoint"
        if stuck > 1:
            time.sleep(back_off(stuck - 1, REST, LONGEST_REST))


def _note(furthest: dict[str, int], text: str) -> None:
    """Note what a line tells: a step of the training, or how many of some kind of items are done."""
    with contextlib.suppress(ValueError, TypeError):  # a line that a full disk has cut
        values = json.loads(text)
        kind = str(values.get("what", "step"))
        furthest[kind] = max(furthest.get(kind, 0), int(values.get("step", values.get("done"))))


def _failure(
    job: JobSpec, handle: Handle, state: State, error: str, tail: Iterable[str], stuck: int
) -> LaunchError:
    """Return the error of a job that is not started again."""
    last = "\n".join(tail)
    text = error or f"{job.name} {state}. The end of its log, {handle.log}:\n{last}"
    if stuck > 1:
        text += f" ({stuck} starts in a row came no further, and launch.max_restarts is {stuck - 1})"
    failure = LaunchError(text)
    failure.cancelled = state.phase == "cancelled"
    return failure
