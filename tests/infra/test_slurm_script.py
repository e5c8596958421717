"""What Slurm is told of a job: its script, and the environment of sbatch."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from system.slurm_jobs import SLEEPER, SURROUNDINGS, spec

from infra.launch.course import last_saving
from infra.launch.launcher import Handle, JobSpec
from infra.launch.slurm import SlurmLauncher, script
from llama_core.errors import LaunchError


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., JobSpec]:
    """job(program, **launch): a job that runs the program's text."""
    return partial(spec, tmp_path)


def test_without_slurm_the_message_says_where_to_start_the_flow(job, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LLAMA_LOGS", str(tmp_path))
    for verb in (lambda: SlurmLauncher().capacity(), lambda: SlurmLauncher().submit(job(SLEEPER))):
        with pytest.raises(LaunchError, match="is not installed here, as it is on a login node"):
            verb()


@pytest.mark.parametrize(
    ("limit", "saving", "warning"),
    [("24:00:00", 1.5, 60), ("24:00:00", 400.2, 831), ("20:00", 400.2, 600)],
)
def test_a_job_is_warned_in_time_for_the_save_that_it_has_told_of(
    job, tmp_path: Path, limit, saving, warning
) -> None:
    the_job = job(SLEEPER, time_limit=limit)
    for n, seconds in enumerate((7, saving)):  # the last of the newest log counts
        log = tmp_path / f"{the_job.name}-{n}.log"
        log.write_text(f"""@metrics {{"step": 1, "save_seconds": 900}}
@metrics {{"step": 2, "save_seconds": {seconds}, "time": 1}}
@metrics {{"step": 3}}""")
        os.utime(log, (n, n))
    told = last_saving(the_job.name, tmp_path)
    assert told == saving
    text = script(replace(the_job, saving=told), Path("/logs/x-%j.log"), None)
    assert f"#SBATCH --signal=B:USR1@{warning}\n" in text
    assert f"TORCH_ELASTIC_SHUTDOWN_TIMEOUT={warning}\n" in text


@pytest.mark.parametrize(
    ("limit", "warning"), [("24:00:00", 300), ("2-0", 300), ("1-00:00:10", 300), ("10", 150), ("4:20", 65)]
)
def test_a_job_is_warned_five_minutes_before_its_limit_or_less_where_it_is_short(job, limit, warning) -> None:
    text = script(job(SLEEPER, time_limit=limit), Path("/logs/x-%j.log"), None)
    assert f"#SBATCH --signal=B:USR1@{warning}\n" in text


def test_a_job_without_a_time_limit_is_not_warned(job) -> None:
    text = script(job(SLEEPER, time_limit="UNLIMITED"), Path("/logs/x.log"), None)
    assert "#SBATCH --time=UNLIMITED\n" in text
    assert "--signal=B:" not in text


def test_a_value_that_would_end_its_line_in_the_script_is_refused(job) -> None:
    with pytest.raises(LaunchError, match="no line break in 'main.n#SBATCH --wrap=id'"):
        script(job(SLEEPER), Path("/logs/x.log"), "main\n#SBATCH --wrap=id")


RECORDING_SBATCH = """#!/bin/sh
env > "$RECORD/environment"
cat > "$RECORD/script"
echo 12
"""


def test_sbatch_is_told_of_no_other_job(job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(RECORDING_SBATCH)
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    needed = {"SLURM_CONF": "/etc/slurm.conf", "SBATCH_ACCOUNT": "physics", "RECORD": str(tmp_path)}
    for name, value in (
        SURROUNDINGS
        | needed
        | {"LLAMA_LOGS": str(tmp_path), "OMPI_COMM_WORLD_RANK": "3", "LLAMA_LIFELINE": "0"}
    ).items():
        monkeypatch.setenv(name, value)
    the_job = job(SLEEPER)
    the_job.env["AWS_SECRET_ACCESS_KEY"] = "do-not-tell"
    assert SlurmLauncher("main").submit(the_job).id == "12"
    lines = (tmp_path / "environment").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    assert not set(SURROUNDINGS) & set(environment)
    assert not {"OMPI_COMM_WORLD_RANK", "LLAMA_LIFELINE"} & set(environment)
    assert (needed | the_job.env).items() <= environment.items()
    assert "do-not-tell" not in (tmp_path / "script").read_text()


ANSWERS = [
    ("", "unknown (scontrol says nothing of job 12, which is looked for again)"),
    ("JobId=12 JobName=another JobState=RUNNING", "failed (Slurm has forgotten job 12)"),
    ("JobState=PENDING Reason=Priority", "pending (Priority)"),
    ("JobState=PENDING Reason=None", "pending"),
    (
        "JobState=PENDING Reason=launch_failed_requeued_held",
        "pending (launch_failed_requeued_held: `scontrol release 12` lets it go on)",
    ),
    (
        "JobState=SPECIAL_EXIT Reason=JobHeldUser",
        "pending (JobHeldUser: `scontrol release 12` lets it go on)",
    ),
    ("JobState=REQUEUED Reason=BeginTime", "pending (BeginTime)"),
    ("JobState=COMPLETING Reason=NonZeroExitCode ExitCode=1:0", "running"),
    ("JobState=COMPLETED", "succeeded"),
    ("JobState=CANCELLED ExitCode=0:15", "cancelled"),
    ("JobState=FAILED ExitCode=75:0", "preempted (time limit, or asked to end)"),
    ("JobState=FAILED ExitCode=1:0", "failed (exit code 1)"),
    ("JobState=FAILED ExitCode=0:9", "failed (killed by signal 9)"),
    ("JobState=OUT_OF_MEMORY ExitCode=0:125", "failed (OUT_OF_MEMORY)"),
    *(
        (f"JobState={state} Reason=None", f"preempted ({state})")
        for state in ("TIMEOUT", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "REVOKED")
    ),
    ("JobState=PAUSED_BY_A_LATER_SLURM", "unknown (Slurm calls its state PAUSED_BY_A_LATER_SLURM)"),
]


@pytest.mark.parametrize(("answer", "state"), ANSWERS)
def test_what_slurm_says_of_a_job_is_a_state(
    answer: str, state: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Those that no cluster for tests comes to: a newer Slurm, a node that does not boot, a lost state."""
    if answer:
        rest = "JobId=12 JobName=llama-train-1 ExitCode=0:0 Command=(null) Comment=JobState=FAILED"
        rest = " ".join(word for word in rest.split() if f"{word.split('=')[0]}=" not in answer)
        answer = f"{answer} {rest}"
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f"#!/bin/sh\necho '{answer}'\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert str(SlurmLauncher().poll(Handle("llama-train-1", "12", tmp_path / "log"))) == state
