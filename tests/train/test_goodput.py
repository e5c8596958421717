"""The share of a training's time that its steps took."""

import pytest

from llama_core.step import Step
from llama_core.store import Store
from llama_core.train.metrics.goodput import MOST, Pause, goodput, since, told


def record(step: int, at: float, seconds: float) -> dict[str, float]:
    return {"step": step, "time": at, "seconds/data": seconds / 4, "seconds/passes": seconds * 3 / 4}


def test_a_restart_costs_what_was_lost_and_the_pause() -> None:
    """Step 3 was done twice, and the record holds the second time alone."""
    found = goodput([record(1, 102, 2), record(2, 104, 2), record(3, 140, 2), record(4, 143, 2)])
    assert (found.effective, found.wall) == (8, 43)
    assert found.share == pytest.approx(8 / 43)
    assert found.pauses == [Pause(3, 34), Pause(4, 1)] and found.interruptions == []


def test_interruptions_are_told_with_cause_and_cost() -> None:
    killed = {"interruption": "rank 3 was killed by SIGKILL"}
    found = goodput([record(1, 102, 2), record(2, 140, 2) | killed, record(3, 142, 2)])
    assert found.interruptions == [Pause(2, 36, "rank 3 was killed by SIGKILL")]
    assert told(found.interruptions) == "rank 3 was killed by SIGKILL, before step 2 (36 s)"
    assert told(found.interruptions * 12).startswith("2 earlier ones; rank 3 was killed")


def test_interruptions_since_a_save_are_told_together(store: Store) -> None:
    """The record of the steps in between, which told of the earlier ones, is lost with them."""
    step = Step(store, "train", 1, {})
    assert since(step, 100, "rank 3 was killed") == "rank 3 was killed"
    assert since(step, 100, "n2 is gone") == "rank 3 was killed; then n2 is gone"
    assert since(step, 200, "n4 is gone") == "n4 is gone"
    for n in range(MOST):
        since(step, 300, str(n))
    assert since(step, 300, "n5 is gone").startswith("0; then 1; then 2")
    assert since(step, 300, "n5 is gone").startswith("1 earlier ones; then 1; then 2")


def test_what_was_done_before_the_first_checkpoint_is_lost_time() -> None:
    """The first attempt began at 40, and has left nothing else; step 3 made no update."""
    first = record(1, 102, 2) | {"interruption": "rank 0 was killed by SIGKILL", "began": 40.0}
    found = goodput([first, record(2, 104, 2), record(3, 106, 2) | {"skipped": 1}])
    assert (found.effective, found.wall) == (4, 66)
    assert found.interruptions == [Pause(1, 60, "rank 0 was killed by SIGKILL")]
    undisturbed = goodput([record(1, 102, 2) | {"began": 99.9}, record(2, 104, 2)])
    assert (undisturbed.wall, undisturbed.pauses) == (4, [])


def test_a_training_without_pauses_spends_all_its_time_on_steps() -> None:
    found = goodput(record(n, 100 + n, 1) for n in range(1, 50))
    assert found.share == 1 and found.pauses == []
    assert goodput([]).share == 1


def test_only_the_longest_pauses_are_kept() -> None:
    ends = [sum(range(n + 1)) + n for n in range(1, 40)]  # each step takes a second, the pauses grow
    found = goodput(record(n, end, 1) for n, end in enumerate(ends, 1))
    assert [pause.step for pause in found.pauses] == list(range(30, 40))
