"""A flow that adopts a job reads its log from the beginning, and judges it by what it does now."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.launch import launcher
from infra.launch.agent import RESTARTED
from infra.launch.capacity import Capacity
from infra.launch.launcher import Handle, JobSpec, State
from infra.launch.run import run
from llama_core.errors import AwayError, LaunchError
from llama_core.recipes.running import Launch

FAILED = "[agent] rank 1 failed first: it was killed by SIGKILL (node n{})"


class Submitted(Exception):
    """A job is started, and not adopted."""

    def __init__(self, job: JobSpec):
        self.job = job


class Running:
    """A launcher with one job, whose log has some lines, to which others come."""

    outlives = True

    def __init__(self, log: Path, past: list[str], coming: list[str]):
        self.handle, self.lines = Handle("llama-train-1", "1", log), past + coming
        log.write_text("".join(f"{line}\n" for line in past))
        self.cancelled = False
        self.nodes = 1
        self.away = 0  # times that it does not answer

    def adopt(self, name: str) -> Handle | None:
        if self.away:
            self.away -= 1
            raise AwayError("squeue: Unable to contact slurm controller")
        return None if self.cancelled else self.handle

    def submit(self, job: JobSpec) -> Handle:
        raise Submitted(job)

    def capacity(self) -> Capacity:
        return Capacity("slurm", self.nodes, cores=1, node_memory=None, gpus=0, gpu_memory=None)

    def logs(self, handle: Handle) -> Iterator[str]:
        yield from self.lines

    def poll(self, handle: Handle) -> State:
        return State("succeeded", code=0)

    def cancel(self, handle: Handle, patience: float = 0) -> None:
        self.cancelled = True


def follow(launcher: Running) -> list[str]:
    job = JobSpec("llama-train-1", "program", [], Launch(max_restarts=2), {})
    return list(run(job, launcher))  # type: ignore[arg-type]


def step(n: int) -> str:
    return f'@metrics {{"step": {n}}}'


STUCK = [step(1), *(line for n in range(4) for line in (FAILED.format(n), RESTARTED))]


def test_failures_that_the_job_has_got_over_unwatched_do_not_end_it(tmp_path: Path) -> None:
    running = Running(tmp_path / "log", [*STUCK, step(2), step(3)], [step(4)])
    assert follow(running)[-1] == step(4)
    assert not running.cancelled


def test_a_job_that_is_still_stuck_is_ended(tmp_path: Path) -> None:
    running = Running(tmp_path / "log", STUCK, [FAILED.format(9), RESTARTED])
    with pytest.raises(LaunchError, match="starts in a row came no further"):
        follow(running)
    assert running.cancelled


def test_a_node_that_failed_unwatched_is_left_out_when_it_fails_again_and_not_before(tmp_path: Path) -> None:
    past = [step(1), *(line for n in range(2, 4) for line in (FAILED.format(1), RESTARTED, step(n)))]
    running = Running(tmp_path / "log", past, [step(4), step(5)])
    running.nodes = 9
    follow(running)
    assert not running.cancelled, "it has got over it, and comes further"

    running = Running(tmp_path / "log", past, [step(4), FAILED.format(1), RESTARTED])
    running.nodes = 9
    with pytest.raises(Submitted) as again:
        follow(running)
    assert running.cancelled and again.value.job.without == ("n1",)


def test_a_node_that_slurm_does_not_know_any_more_is_not_left_out_for_ever(tmp_path: Path) -> None:
    class Repaired(Running):
        def submit(self, job: JobSpec) -> Handle:
            if job.without:
                raise LaunchError("sbatch: error: Batch job submission failed: Invalid node name specified")
            raise Submitted(job)

    past = [step(1), FAILED.format(1), RESTARTED, step(2)]
    running = Repaired(tmp_path / "log", past, [step(3), FAILED.format(1), RESTARTED])
    running.nodes = 9
    with pytest.raises(Submitted):
        follow(running)
    assert running.cancelled


def test_a_launcher_that_is_away_when_a_job_is_to_be_adopted_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(tmp_path / "log", [step(1)], [step(2)])
    running.away = 2
    monkeypatch.setattr("infra.launch.run.ASK", 0.0)
    *told, one, two = follow(running)
    assert told == ["[launcher] squeue: Unable to contact slurm controller; it is asked again in 0 s"] * 2
    assert [one, two] == [step(1), step(2)]

    running.away = 1000
    monkeypatch.setattr("infra.launch.run.PATIENCE", 0.0)
    with pytest.raises(AwayError, match="may go on: start this again"):
        follow(running)
    assert not running.cancelled


def test_who_stops_while_a_launcher_is_away_leaves_the_job(tmp_path: Path) -> None:
    running, reasons = Running(tmp_path / "log", [], []), list[BaseException]()
    running.away = 1000
    job = JobSpec("llama-train-1", "program", [], Launch(max_restarts=2), {})
    lines = run(job, running, lambda reason: bool(reasons.append(reason)))  # type: ignore[arg-type]
    next(lines)
    lines.close()
    assert [type(reason) for reason in reasons] == [GeneratorExit] and not running.cancelled


def test_a_log_that_is_cut_by_its_rotation_is_read_on(tmp_path: Path) -> None:
    log, seen = tmp_path / "log", list[str]()
    log.write_text("one\ntwo\n")
    states = iter(["running", "running", "running", "succeeded"])
    for line in launcher.follow(log, lambda: State(next(states)), 0):  # type: ignore[arg-type]
        seen.append(line)
        if line == "two":
            log.write_text("three\n")
    assert seen == ["one", "two", "three"]


def test_a_long_log_is_read_to_its_end_a_part_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "AT_ONCE", 10)
    log, lines = tmp_path / "log", [f"line {n} é" for n in range(100)]
    log.write_text("\n".join(lines))
    asked = iter(["running", *["succeeded"] * 1000])
    assert list(launcher.follow(log, lambda: State(next(asked)), 1000)) == lines  # type: ignore[arg-type]
