"""What the tests of the Slurm launcher run, and where."""

import re
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from busy import patience

from infra.launch.launcher import JobSpec
from llama_core.recipes.running import Launch

SLEEPER = """
    import os, sys, time
    sys.stdout.write(f"rank {os.environ['RANK']} is {os.getpid()}\\n")
    time.sleep(600)
"""
ALONE = {"nodes": 1, "procs_per_node": 1}  # a job of one process starts much sooner
LOGS = """logs of "jobs", 'all' 100%j #1 $HOME"""
# What the shell of a person may say who works inside an allocation, or has said what another job needs.
SURROUNDINGS = {
    "SBATCH_TIMELIMIT": "1",
    "SBATCH_PARTITION": "half",
    "SBATCH_OUTPUT": "/dev/null",
    "SBATCH_EXPORT": "NONE",
    "SBATCH_WAIT": "1",
    "SLURM_JOB_ID": "999999",
    "SLURM_NNODES": "7",
    "SLURM_NTASKS": "7",
    "SLURM_NTASKS_PER_NODE": "7",
    "SLURM_MEM_PER_CPU": "64",
    "SLURM_MEM_PER_NODE": "64",
    "SLURM_TIMELIMIT": "1",
    "SLURM_NODEID": "5",
    "SQUEUE_STATES": "SUSPENDED",
    "SQUEUE_FORMAT": "%N",
    "SINFO_PARTITION": "half",
    "SCANCEL_STATE": "SUSPENDED",
    "RANK": "5",
    "WORLD_SIZE": "7",
    "MASTER_ADDR": "192.0.2.1",
    "PET_RDZV_BACKEND": "c10d",
    "PET_NNODES": "7",
    "TORCHELASTIC_USE_AGENT_STORE": "False",
}


def spec(folder: Path, program: str, *args: str, name: str = "", **launch: object) -> JobSpec:
    """A job that runs the program's text, from a folder, on two nodes with two processes each."""
    (folder / "program.py").write_text(textwrap.dedent(program))
    settings = {"nodes": 2, "procs_per_node": 2, "time_limit": "00:10:00", "max_restarts": 0}
    environment = {"PYTHONPATH": str(folder), "GLOO_SOCKET_IFNAME": "lo"}
    where = Launch(launcher="slurm", **(settings | launch))
    return JobSpec(name or f"llama-{folder.name}", "program", list(args), where, environment)


def ranks(lines: Iterator[str], count: int = 4) -> list[int]:
    """The process ids that the ranks print, read until all have."""
    pids: dict[str, int] = {}
    for line in lines:
        if found := re.match(r"rank (\d) is (\d+)", line):
            pids[found[1]] = int(found[2])
        if len(pids) == count:
            break
    return [pids[rank] for rank in sorted(pids)]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds, and fail where it does not within some seconds (see `patience`)."""
    deadline = time.monotonic() + patience(seconds)
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
