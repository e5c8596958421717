"""Run a job to its end on the launcher that its recipe names: this is what the tasks use."""

from collections import deque
from collections.abc import Iterator

from infra.launch.launcher import JobSpec, Launcher
from infra.launch.local import LocalLauncher
from infra.launch.slurm import SlurmLauncher
from llama_core.errors import LaunchError
from llama_core.recipes.running import Launch

PROGRESS = ("@metrics ", "@progress ")
ERRORS = ("@error ", "@final ")
TAIL = 30  # lines of a failed job's log that its error shows


def get_launcher(launch: Launch) -> Launcher:
    """Return the launcher that the recipe names."""
    if launch.launcher == "slurm":
        return SlurmLauncher(launch.partition)
    return LocalLauncher()


def run(job: JobSpec, launcher: Launcher | None = None) -> Iterator[str]:
    """Run the job to its end and yield its log, line by line.

    A job of this name that is queued or running is adopted. A job that fails is started again, at most
    `launch.max_restarts` times; so is one that is preempted, which counts only if it did nothing since its
    last start. Two errors are final: one that the job calls final (`@final`), and one that it explains
    (`@error`) before it has done anything. The job is cancelled when the caller is interrupted or stops
    reading. Raises LaunchError.
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
                if line.startswith(PROGRESS):
                    progressed = True
                if line.startswith(ERRORS):
                    kind, _, error = line.partition(" ")
                    final = final or kind == "@final"
                yield line
        except BaseException:
            launcher.cancel(handle)
            raise
        state = launcher.poll(handle)
        if state.phase == "succeeded":
            return
        if state.phase != "preempted" or not progressed:
            restarts += 1
        if state.phase == "cancelled" or (error and not progressed):
            final = True
        if final or restarts > job.launch.max_restarts:
            last = "\n".join(tail)
            failure = LaunchError(error or f"{job.name} {state}. The end of its log, {handle.log}:\n{last}")
            failure.cancelled = state.phase == "cancelled"
            raise failure
        yield f"[launcher] {job.name} {state}; it is started again from its last checkpoint"
        handle = None
