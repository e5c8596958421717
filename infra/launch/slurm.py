"""Slurm: `sbatch` a script that runs torchrun on every node, and watch the job.

The state comes from `scontrol`, because `sacct` needs a database that many clusters do not run. The log
lies in a folder that all nodes share (LLAMA_LOGS), and so must this project and its Python. What a site asks
for and no recipe says goes into the variables that sbatch reads itself: SBATCH_ACCOUNT, SBATCH_QOS and so on
(`infra.launch.environment`).
"""

import contextlib
import math
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from infra.home import logs_folder
from infra.launch.capacity import Capacity
from infra.launch.course import last_saving
from infra.launch.environment import of_slurm
from infra.launch.launcher import (
    Handle,
    JobPhase,
    JobSpec,
    State,
    follow,
    new_log,
    start_method,
    time_to_save,
)
from llama_core.errors import AwayError, LaunchError
from llama_core.program import STOPPED
from llama_core.recipes.time_limit import seconds

INVALID = "Invalid job id"  # what Slurm says of a job that it does not know
# What its commands say where the controller is away, starts, or has too much to do.
AWAY = re.compile(
    "Unable to contact slurm controller|Socket timed out|Connection (refused|reset|timed out)|"
    "Zero Bytes were transmitted|in standby mode|No route to host",
    re.IGNORECASE,
)
PHASES: dict[str, JobPhase] = {
    **dict.fromkeys(("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"), "pending"),
    **dict.fromkeys(("SUSPENDED", "STOPPED", "POWER_UP_NODE", "REQUEUE_FED", "RESV_DEL_HOLD"), "pending"),
    **dict.fromkeys(("RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "RESIZING"), "running"),
    **dict.fromkeys(("PREEMPTED", "TIMEOUT", "DEADLINE", "NODE_FAIL", "BOOT_FAIL", "REVOKED"), "preempted"),
    **dict.fromkeys(("FAILED", "OUT_OF_MEMORY", "LAUNCH_FAILED", "RECONFIG_FAIL"), "failed"),
    "COMPLETED": "succeeded",
    "CANCELLED": "cancelled",
}


class SlurmLauncher:
    """A `Launcher` whose jobs are batch jobs of a Slurm cluster.

    `partition`: None is the cluster's default. `every`: seconds between two looks at a job.
    """

    outlives = True

    def __init__(self, partition: str | None = None, every: float = 5.0):
        self.partition, self.every = partition, every

    def capacity(self) -> Capacity:
        """Return what the partition has, busy or not, or the largest of several.

        Where the nodes of one differ, those with the most GPUs count.
        """
        rows = [
            line.split("|") for line in _slurm("sinfo", "--noheader", "--format=%P|%D|%c|%m|%G").splitlines()
        ]
        chosen = self.partition or next((r[0] for r in rows if r[0].endswith("*")), rows[0][0])
        of_each: list[Capacity] = []
        for name in chosen.rstrip("*").split(","):
            mine = [r for r in rows if r[0].rstrip("*") == name]
            if not mine:
                names = sorted({r[0].rstrip("*") for r in rows})
                raise LaunchError(
                    f"Slurm has no partition {name!r}: launch.partition can be {', '.join(names)}"
                )
            of_each.append(_capacity(mine))
        return max(of_each, key=lambda partition: (partition.gpus, partition.nodes))

    def submit(self, job: JobSpec) -> Handle:
        """Submit the job to the queue. Raises LaunchError where Slurm refuses it."""
        job = replace(job, saving=job.saving or last_saving(job.name, logs_folder()))
        log = new_log(job.name, logs_folder())
        text = script(job, log, self.partition)
        if job.saving:
            _tell_of_kill_wait(job.saving, log)
        try:
            # The environment goes beside the script, so that credentials are in no file and no command line.
            number = _slurm("sbatch", "--parsable", stdin=text, env=job.env).strip().split(";")[0]
        except LaunchError:
            log.unlink()  # nothing will be written to it
            raise
        return Handle(job.name, number, log)

    def poll(self, handle: Handle) -> State:
        """Return the state of the job, which is unknown as long as Slurm's controller is away."""
        forgotten = State("failed", f"Slurm has forgotten job {handle.id}")
        try:
            fields = _fields(handle.id)
        except LaunchError as error:
            if INVALID in str(error):
                return forgotten
            return State("unknown", f"{error}; job {handle.id} goes on, and is looked for again")
        if "JobState" not in fields:
            return State("unknown", f"scontrol says nothing of job {handle.id}, which is looked for again")
        # A controller that has lost its state gives its numbers once more.
        if fields.get("JobName", handle.name) != handle.name:
            return forgotten
        if _is_headless(fields):
            with contextlib.suppress(LaunchError):  # it is tried again at the next look
                _slurm("scontrol", "requeue", handle.id)
            return State("pending", f"its first node, {fields['BatchHost']}, is lost: it is queued again")
        return _state(fields)

    def cancel(self, handle: Handle, patience: float = 0) -> None:
        """End the job, and return when it has ended.

        Where Slurm itself would kill it before `patience` is over, its script is asked to let the ranks save
        and then to cancel the job. It does so even if this process is killed meanwhile.
        """
        # Slurm would try for minutes to signal one that does not run.
        if patience > (_kill_wait() or math.inf) and self.poll(handle).phase == "running":
            with contextlib.suppress(LaunchError):  # it has just ended
                _slurm("scancel", "--batch", "--signal=USR2", handle.id)
                self._await_end(handle, patience)
        try:
            _slurm("scancel", handle.id)
        except LaunchError as error:
            if INVALID not in str(error):
                raise LaunchError(f"{error}; job {handle.id} goes on until it takes `scancel`") from error
        self._await_end(handle, math.inf)

    def _await_end(self, handle: Handle, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self.poll(handle).ended and time.monotonic() < deadline:
            time.sleep(min(self.every, 1.0))

    def logs(self, handle: Handle) -> Iterator[str]:
        """Yield the lines of the log from its beginning until the job has ended."""
        return follow(handle.log, lambda: self.poll(handle), self.every)

    def adopt(self, name: str) -> Handle | None:
        """Return the user's job of this name that is queued or running, or None."""
        asked = ("--me", "--noheader", f"--name={name}", "--sort=i", "--format=%A %k")
        found = re.search(r"^(\d+) (\S+)", _slurm("squeue", *asked), re.MULTILINE)
        return Handle(name, found[1], Path(os.fsdecode(unquote_to_bytes(found[2])))) if found else None


def script(job: JobSpec, log: Path, partition: str | None) -> str:
    """Return the text of the batch script, whose output goes to `log`.

    Because of `--dependency=singleton`, two jobs of one name never run at the same time. The path of the log
    is the comment of the job: where Slurm shows it as the output, it may have replaced a `%`. Raises
    LaunchError where an option has a line break.
    """
    launch = job.launch
    limit = seconds(launch.time_limit)
    warning = _warning(limit, job.saving)
    options: dict[str, str | int | None] = {
        "job-name": job.name,
        "nodes": launch.nodes + launch.spare_nodes,
        "ntasks-per-node": 1,
        "time": launch.time_limit,
        "output": _without_patterns(str(log)),
        "comment": quote(os.fsencode(log)),
        "open-mode": "append",
        "dependency": "singleton",
    }
    if limit is not None:
        options["signal"] = f"B:USR1@{warning}"
    if launch.device == "cuda":
        options |= {"gpus-per-node": launch.procs_per_node, "exclusive": None}
    else:
        options |= {"cpus-per-task": launch.procs_per_node}
    if partition:
        options["partition"] = partition
    if launch.spare_nodes:
        options["no-kill"] = None
    if job.without:
        options["exclude"] = ",".join(job.without)
    lines = ["requeue", *(k if v is None else f"{k}={_word(str(v))}" for k, v in options.items())]
    start = f"--start-method={start_method(launch)}"
    # Where torchrun itself would set it is too late for ranks that are forked from a process with torch.
    threads = "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}\n" if launch.device == "cpu" else ""
    agent = [sys.executable, "-u", "-m", "infra.launch.agent", start, f"--max-restarts={launch.max_restarts}"]
    spare = f"{launch.nodes}:{launch.nodes + launch.spare_nodes}"
    sizes = [f"--nnodes={spare}", f"--nproc-per-node={launch.procs_per_node}", "-m", job.module]
    node = '--node-rank="$SLURM_NODEID" --master-addr="$MASTER_ADDR" --master-port="$MASTER_PORT"'
    # Without spare nodes no node can be done without.
    lost = "--no-kill --kill-on-bad-exit=0" if launch.spare_nodes else "--kill-on-bad-exit=1"
    ranks = f"exec {shlex.join(agent)} {node} {shlex.join([*sizes, *job.args])}"
    return (
        "\n".join(["#!/bin/bash", *(f"#SBATCH --{line}" for line in lines)])
        + f"""

# Slurm warns this shell before the time limit: the ranks save a checkpoint and end.
trap 'time_up=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1
# The launcher asks for the same before it cancels the job, where Slurm would not wait for a save.
trap 'cancelled=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR2
end_if_cancelled() {{ if [ "$cancelled" ]; then scancel "$SLURM_JOB_ID"; sleep 60; fi; }}

first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_ADDR=$(scontrol show node "$first" | sed -n 's/.*NodeAddr=\\([^ ]*\\).*/\\1/p')
MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))
TORCH_ELASTIC_SHUTDOWN_TIMEOUT={warning}
export MASTER_ADDR MASTER_PORT TORCH_ELASTIC_SHUTDOWN_TIMEOUT
{threads}
end_if_cancelled
srun {lost} --cpu-bind=none bash -c {shlex.quote(ranks)} &
srun=$!
while kill -0 "$srun" 2>/dev/null; do wait "$srun"; done
wait "$srun"
code=$?
end_if_cancelled
if [ "$code" -ne 0 ] && [ "$time_up" ]; then exit {STOPPED}; fi
exit "$code"
"""
    )


def _warning(limit: int | None, saving: float | None) -> int:
    """Return how many seconds before its time limit a job is asked to save: a part of its time at most."""
    wanted = time_to_save(saving)
    return wanted if limit is None else min(wanted, limit // (4 if saving is None else 2))


def _tell_of_kill_wait(saving: float, log: Path) -> None:
    """Write into the log that a save takes longer than Slurm waits when it ends a job before its time."""
    kill_wait = _kill_wait()
    if kill_wait and saving > kill_wait:
        log.write_text(
            f"[launcher] a save takes {saving:.0f} s, and Slurm kills a job that scancel or a preemption "
            f"ends after {kill_wait} s (KillWait): then the steps since the last save are lost. Who cancels "
            "the run in Prefect, or by Ctrl-C twice, lets it save\n"
        )


def _kill_wait() -> int | None:
    """Return the seconds between Slurm's asking a job to end and its killing it, or None if unknown."""
    with contextlib.suppress(LaunchError):
        if found := re.search(r"^KillWait\s*=\s*(\d+)", _slurm("scontrol", "show", "config"), re.MULTILINE):
            return int(found[1])
    return None


def _capacity(rows: list[list[str]]) -> Capacity:
    """Return what one partition has: its name, nodes, cores, MB and GPUs, in a row for each kind of node."""
    gpus = max(_gpus(r[4]) for r in rows)
    best = [r for r in rows if _gpus(r[4]) == gpus]
    memory = min(int(r[3].rstrip("+")) for r in best)
    return Capacity(
        launcher="slurm",
        nodes=sum(int(r[1]) for r in best),
        cores=min(int(r[2].rstrip("+")) for r in best),
        node_memory=memory << 20 if memory > 1 else None,  # 1 MB means that nobody told Slurm
        gpus=gpus,
        gpu_memory=None,
    )


def _is_headless(fields: dict[str, str]) -> bool:
    """Tell whether a job that runs has lost its first node, and with it the script that would end it.

    A job with spare nodes goes on then, as far as Slurm knows, and does nothing more until its time limit.
    """
    first, nodes = fields.get("BatchHost"), fields.get("NodeList")
    if fields.get("JobState") != "RUNNING" or not first or nodes in (None, "", "(null)", first):
        return False
    with contextlib.suppress(LaunchError):
        return first not in _slurm("scontrol", "show", "hostnames", nodes).split()
    return False


def _state(fields: dict[str, str]) -> State:
    name = fields["JobState"]
    code, _, killer = fields.get("ExitCode", "0:0").partition(":")
    phase = PHASES.get(name, "unknown")
    if phase == "unknown":
        return State(phase, f"Slurm calls its state {name}")
    if phase == "failed" and int(code) == STOPPED:
        return State("preempted", "time limit, or asked to end", STOPPED)
    if phase == "failed":
        how = f"killed by signal {killer}" if int(killer) else f"exit code {code}"
        return State("failed", how if name == "FAILED" else name, int(code))
    if phase == "preempted":
        return State(phase, name)
    reason = fields.get("Reason", "None")
    if phase != "pending" or reason == "None":
        return State(phase)
    held = f": `scontrol release {fields['JobId']}` lets it go on" if "held" in reason.lower() else ""
    return State(phase, f"{reason}{held}")


def _word(value: str) -> str:
    """Return the value of an option as a line of a batch script has it. Raises LaunchError."""
    if set(value) & set("\n\r\0"):
        raise LaunchError(f"Slurm takes no line break in {value!r}")
    return value if re.fullmatch(r"[\w@%+=:,./-]+", value) else '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def _without_patterns(path: str) -> str:
    """Return how Slurm is told a file's path in which no `%j` stands for anything.

    One with a backslash is taken as it is, but for backslashes that escape; in others a `%` is doubled.
    """
    return path.replace("\\", "\\\\") if "\\" in path else path.replace("%", "%%")


def _fields(number: str) -> dict[str, str]:
    """Return what scontrol says of a job, such as {"JobState": "RUNNING", "ExitCode": "0:0", ...}."""
    found = re.findall(r"(\w+)=(\S*)", _slurm("scontrol", "show", "job", number))
    return dict(reversed(found))  # the first of a name: what looks like another may be part of a path


def _gpus(gres: str) -> int:
    """Return the number of GPUs in Slurm's `gpu:8`, `gpu:h100:8(S:0-1),nvme:1` or `(null)`."""
    return sum(int(n) for n in re.findall(r"\bgpu(?::[^:,()]+)?:(\d+)", gres))


def _slurm(*command: str, stdin: str | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command of Slurm's, with `env` beside what it may know. Raises LaunchError, and AwayError."""
    known = of_slurm() | (env or {})
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env=known,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # as Python has paths
            timeout=120,
        )
    except FileNotFoundError:
        raise LaunchError(f"{command[0]} is not installed here, as it is on a login node") from None
    except subprocess.TimeoutExpired:
        raise AwayError(f"{command[0]} did not answer: is Slurm's controller up? (`scontrol ping`)") from None
    if done.returncode:
        said = "; ".join(done.stderr.strip().splitlines())
        kind = AwayError if AWAY.search(said) else LaunchError
        raise kind(f"{' '.join(command)}: {said or f'exit code {done.returncode}'}")
    return done.stdout
