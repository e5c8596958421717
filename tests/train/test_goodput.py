"""The share of a training's time that its steps took."""

import pytest

from llama_core.train.metrics.goodput import Pause, goodput


def record(step: int, at: float, seconds: float) -> dict[str, float]:
    return {"step": step, "time": at, "seconds/data": seconds / 4, "seconds/passes": seconds * 3 / 4}


def test_a_restart_costs_what_was_lost_and_the_pause() -> None:
    """Step 3 was done twice, and the record holds the second time alone."""
    found = goodput([record(1, 102, 2), record(2, 104, 2), record(3, 140, 2), record(4, 143, 2)])
    assert (found.effective, found.wall) == (8, 43)
    assert found.share == pytest.approx(8 / 43)
    assert found.pauses == [Pause(3, 34), Pause(4, 1)]


def test_a_training_without_pauses_spends_all_its_time_on_steps() -> None:
    found = goodput(record(n, 100 + n, 1) for n in range(1, 50))
    assert found.share == 1 and found.pauses == []
    assert goodput([]).share == 1


def test_only_the_longest_pauses_are_kept() -> None:
    ends = [sum(range(n + 1)) + n for n in range(1, 40)]  # each step takes a second, the pauses grow
    found = goodput(record(n, end, 1) for n, end in enumerate(ends, 1))
    assert [pause.step for pause in found.pauses] == list(range(30, 40))
