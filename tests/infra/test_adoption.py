"""A flow that adopts a job reads its log from the beginning, and judges it by what it does now."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.launch.agent import RESTARTED
from infra.launch.launcher import Handle, JobSpec, State
from infra.launch.run import run
from llama_core.errors import LaunchError
from llama_core.recipes.running import Launch

FAILED = "[agent] rank 1 failed first: it was killed by SIGKILL (node n{})"


class Running:
    """A launcher with one job, whose log has some lines, to which others come."""

    outlives = True

    def __init__(self, log: Path, past: list[str], coming: list[str]):
        self.handle, self.lines = Handle("llama-train-1", "1", log), past + coming
        log.write_text("".join(f"{line}\n" for line in past))
        self.cancelled = False

    def adopt(self, name: str) -> Handle | None:
        return None if self.cancelled else self.handle

    def submit(self, job: JobSpec) -> Handle:
        raise AssertionError("it runs")

    def capacity(self) -> None:
        raise LaunchError("unknown")

    def logs(self, handle: Handle) -> Iterator[str]:
        yield from self.lines

    def poll(self, handle: Handle) -> State:
        return State("succeeded", code=0)

    def cancel(self, handle: Handle) -> None:
        self.cancelled = True


def follow(launcher: Running) -> list[str]:
    job = JobSpec("llama-train-1", "program", [], Launch(max_restarts=2), {})
    return list(run(job, launcher))  # type: ignore[arg-type]


def step(n: int) -> str:
    return f'@metrics {{"step": {n}}}'


STUCK = [step(1), *(line for n in range(4) for line in (FAILED.format(n), RESTARTED))]


def test_failures_that_the_job_has_got_over_unwatched_do_not_end_it(tmp_path: Path) -> None:
    launcher = Running(tmp_path / "log", [*STUCK, step(2), step(3)], [step(4)])
    assert follow(launcher)[-1] == step(4)
    assert not launcher.cancelled


def test_a_job_that_is_still_stuck_is_ended(tmp_path: Path) -> None:
    launcher = Running(tmp_path / "log", STUCK, [FAILED.format(9), RESTARTED])
    with pytest.raises(LaunchError, match="starts in a row came no further"):
        follow(launcher)
    assert launcher.cancelled
