"""Run a job to its end on the launcher that its recipe names: this is what the tasks use."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from infra.launch.agent import RESTARTED
from infra.launch.course import OFTEN, Course
from infra.launch.launcher import Handle, JobSpec, Launcher, State, time_to_save
from infra.launch.local import LocalLauncher
from infra.launch.slurm import SlurmLauncher
from llama_core.errors import AwayError, LaunchError
from llama_core.file_system import back_off
from llama_core.program import INTERRUPTED
from llama_core.recipes.running import Launch

TAIL = 30  # lines of a failed job's log that its error shows
# Seconds before a job that did not come further is started again: twice as many each time.
REST, LONGEST_REST = 5.0, 300.0
# Seconds for which a launcher that is away is asked again, and between two times.
PATIENCE = 3600.0
ASK, LONGEST_ASK = 5.0, 60.0
T = TypeVar("T")


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

    A job of this name that is queued or running is adopted; a launcher that is away is asked again. A job
    that fails or is preempted is started again as often as it comes further than before; where it does not,
    `launch.max_restarts` times in a row, with a rest between. Starts of its ranks by its agents count as
    well. A node on which ranks have failed first too often is left out, if there are others. Two errors are
    final: one that the job calls final (`@final`), and one that it explains (`@error`) before it has ever
    done anything. A caller who is interrupted or stops reading leaves the job to the next flow, which adopts
    it. It is cancelled where it cannot outlive its launcher, or where `cancel_asked` says so of the exception
    that has ended the reading. Raises LaunchError, and AwayError where nobody knows whether the job goes on.
    """
    launcher = launcher or get_launcher(job.launch)
    course = Course()
    while True:
        tail: deque[str] = deque(maxlen=TAIL)
        course.start()
        try:
            handle, past = yield from answered(partial(_adopt_or_submit, launcher, job))
        except LaunchError as error:
            if not course.begun:
                raise
            yield f"[launcher] {job.name} cannot be started now ({error}); it is tried again"
            if job.without:  # a node that is gone for good cannot be left out: Slurm refuses its name
                job = replace(job, without=())
            else:
                time.sleep(LONGEST_REST)
            continue
        except BaseException as reason:
            if launcher.outlives:
                cancel_asked(reason)  # there is nothing to cancel, but who asks learns that a job may go on
            raise
        ended: State | None = None
        try:
            for number, line in enumerate(launcher.logs(handle), 1):
                tail.append(line)
                course.note(line)
                yield line
                if number <= past:
                    continue  # the job has got over it, or will say so again
                if line != RESTARTED:
                    continue
                if left := _without(launcher, job, course.bad_node):
                    job = left
                    ended = State("failed", f"ranks failed {OFTEN} times on node {course.bad_node}")
                if course.stuck > job.launch.max_restarts:
                    ended = State("failed", course.cause)
                if ended:
                    launcher.cancel(handle)
                    break
            while not (state := ended or launcher.poll(handle)).ended:
                time.sleep(1)
        except BaseException as reason:
            if not launcher.outlives or cancel_asked(reason):
                launcher.cancel(handle, time_to_save(course.saving))
            raise
        if state.phase == "succeeded":
            return
        if ended is None:
            course.fail()
            job = _without(launcher, job, course.bad_node) or job
        final = course.final or state.phase == "cancelled" or bool(course.error and not course.begun)
        if final or course.stuck > job.launch.max_restarts:
            raise _failure(job, handle, state, course, tail)
        why = course.error or course.cause
        job = replace(job, saving=course.saving, env=job.env | {INTERRUPTED: why or str(state)})
        without = f", without node {' and '.join(job.without)}" if job.without else ""
        told = f"{state}: {why}" if why else str(state)
        yield f"[launcher] {job.name} {told}; it is started again from its last checkpoint{without}"
        if course.stuck > 1:
            time.sleep(back_off(course.stuck - 1, REST, LONGEST_REST))


def answered(ask: Callable[[], T]) -> Generator[str, None, T]:
    """Return what a launcher answers. While it is away it is asked again, and a line says so each time.

    Raises AwayError where it is away for longer than PATIENCE.
    """
    until, failures = time.monotonic() + PATIENCE, 0
    while True:
        try:
            return ask()
        except AwayError as away:
            if time.monotonic() > until:
                raise AwayError(f"{away}. Jobs may go on: start this again later, to adopt them") from away
            failures += 1
            rest = back_off(failures, ASK, LONGEST_ASK)
            yield f"[launcher] {away}; it is asked again in {rest:.0f} s"
        time.sleep(rest)


def patiently(ask: Callable[[], T], tell: Callable[[str], object]) -> T:
    """Return what `answered` does, and hand each line to `tell`."""
    lines = answered(ask)
    while True:
        try:
            tell(next(lines))
        except StopIteration as end:
            return cast(T, end.value)


def _adopt_or_submit(launcher: Launcher, job: JobSpec) -> tuple[Handle, int]:
    """Return a job that is queued or running, and how many lines its log had before it was followed."""
    if adopted := launcher.adopt(job.name):
        return adopted, _lines(adopted.log)
    return launcher.submit(job), 0


def _lines(log: Path) -> int:
    """Return how many lines a log has by now."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        return sum(1 for _ in file)
    return 0


def _without(launcher: Launcher, job: JobSpec, node: str) -> JobSpec | None:
    """Return a job that does not run on a node, or None where there is none, or not enough of the others."""
    if not node:
        return None
    without = tuple(sorted({*job.without, node}))
    with contextlib.suppress(LaunchError):
        if launcher.capacity().nodes - len(without) >= job.launch.nodes + job.launch.spare_nodes:
            return replace(job, without=without)
    return None


def _failure(job: JobSpec, handle: Handle, state: State, course: Course, tail: Iterable[str]) -> LaunchError:
    """Return the error of a job that is not started again."""
    last = "\n".join(tail)
    text = course.error or f"{job.name} {state}. The end of its log, {handle.log}:\n{last}"
    if course.stuck > 1:
        text += (
            f" ({course.stuck} starts in a row came no further, and launch.max_restarts is "
            f"{course.stuck - 1})"
        )
    failure = LaunchError(text)
    failure.cancelled = state.phase == "cancelled"
    return failure
