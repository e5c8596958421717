"""The report tells how a training went: the steps that made no update, and what interrupted it."""

from typing import Any

from tasks.report import _training


def record(step: int, **more: Any) -> dict[str, Any]:
    """A step that took two seconds."""
    known = {"step": step, "tokens": step * 1024, "loss": 5.0 - step, "tokens_per_s": 512.0, "skipped": 0}
    return known | {"time": 100.0 + 2 * step, "seconds/passes": 2.0} | more


def test_steps_without_an_update_and_interruptions_are_told_with_where_they_come_from() -> None:
    why = "loss nan, gradient norm nan, sequences 16 to 31; the loss is not finite on rank 1 (sequences 19)"
    killed = {"interruption": "rank 3 was killed by SIGKILL", "time": 136.0}
    said = _training([record(1), record(2, skipped=1, loss=None, no_update=why), record(3, **killed)])
    assert f"1 steps made no update (see train.spike_norm and train.spike_loss): step 2 ({why})" in said
    assert "Steps that count took 11.1% of" in said, "4 s of 36"
    assert "interrupted 1 times, which cost" in said
    assert "rank 3 was killed by SIGKILL, before step 3 (30 s)" in said
