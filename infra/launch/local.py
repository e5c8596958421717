"""One machine: the job is a child process that cannot outlive its launcher.

The child and its ranks read a pipe that only the launcher can write to (`llama_core.lifeline`), so they
end with it, even when it is killed with -9.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, cast

from infra.home import logs_here
from infra.launch.capacity import Capacity
from infra.launch.environment import inherited
from infra.launch.launcher import GRACE, Handle, JobSpec, State, follow, new_log, start_method
from llama_core import lifeline
from llama_core.program import STOPPED

EVERY = 0.1  # seconds between two looks at the log
GONE_AFTER = 5.0  # seconds in which what was killed is gone, but for what nobody reaps
KILL_AFTER = GRACE + 5  # seconds: the agent itself kills its ranks after GRACE


@dataclass(frozen=True)
class Child(Handle):
    """A job on this machine, and its process."""

    process: subprocess.Popen[bytes]


class LocalLauncher:
    """A `Launcher` whose jobs are child processes on this machine."""

    outlives = False

    def capacity(self) -> Capacity:
        """Return what this machine has, busy or not."""
        gpus = _gpu_memory()
        return Capacity(
            launcher="local",
            nodes=1,
            cores=os.cpu_count() or 1,
            node_memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            gpus=len(gpus),
            gpu_memory=min(gpus, default=None),
        )

    def submit(self, job: JobSpec) -> Handle:
        """Start the job as a child process that ends with this one."""
        path = new_log(job.name, logs_here())
        with path.open("wb") as log:
            process = lifeline.start(_command(job), _environment(job), log)
        return Child(job.name, str(process.pid), path, process)

    def poll(self, handle: Handle) -> State:
        """Return the state of the job, as its exit code tells it."""
        code = cast(Child, handle).process.poll()
        if code is None:
            return State("running")
        _sweep(cast(Child, handle))
        if code == 0:
            return State("succeeded", code=0)
        if code == STOPPED:
            return State("preempted", "it was asked to end", code)
        killer = -code if code < 0 else code - 128  # the agent tells a rank's signal as 128 + number
        if killer == signal.SIGKILL:
            return State("failed", "killed by SIGKILL, perhaps for want of memory", code)
        if killer > 0 and killer in signal.valid_signals():
            return State("failed", f"killed by {signal.Signals(killer).name}", code)
        return State("failed", f"exit code {code}", code)

    def cancel(self, handle: Handle, patience: float = 0) -> None:
        """Ask the job to end, and kill it and its ranks if it does not within KILL_AFTER seconds.

        Nobody sits before a terminal for longer.
        """
        process = cast(Child, handle).process
        try:
            process.terminate()
            process.wait(KILL_AFTER)
        except subprocess.TimeoutExpired:
            pass
        finally:  # a second interrupt ends the waiting, not the killing
            _sweep(cast(Child, handle))
            process.wait()

    def logs(self, handle: Handle) -> Iterator[str]:
        """Yield the lines of the log from its beginning until the job has ended."""
        return follow(handle.log, lambda: self.poll(handle), EVERY)

    def adopt(self, name: str) -> Handle | None:
        """Return None: on one machine the job has gone with its launcher."""
        return None


def _command(job: JobSpec) -> list[str]:
    if job.launch.world_size == 1:
        return [sys.executable, "-m", job.module, *job.args]
    agent = [sys.executable, "-m", "infra.launch.agent", f"--start-method={start_method(job.launch)}"]
    agent.append(f"--max-restarts={job.launch.max_restarts}")
    return [*agent, f"--nproc-per-node={job.launch.procs_per_node}", "-m", job.module, *job.args]


def _environment(job: JobSpec) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // job.launch.procs_per_node)
    defaults = {
        "OMP_NUM_THREADS": str(threads),
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(GRACE),
    }
    return defaults | inherited() | job.env | {"PYTHONUNBUFFERED": "1"}


def _sweep(child: Child) -> None:
    """End what the child may have left behind: its ranks by the lifeline, its process group by a signal.

    A process that is killed may still write for a moment, and the next job must not run beside it.
    """
    pipe = cast(IO[bytes], child.process.stdin)
    if pipe.closed:
        return
    pipe.close()
    deadline = time.monotonic() + GONE_AFTER
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(child.process.pid, signal.SIGKILL)
            time.sleep(0.01)


def _gpu_memory() -> list[int]:
    """Return the bytes of each GPU that a job would see.

    They come from nvidia-smi, because torch takes seconds, and memory of the GPU.
    """
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return []
    memory = [int(mib) << 20 for mib in found if mib.isdigit()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return memory if visible is None else memory[: len([v for v in visible.split(",") if v.strip()])]
