"""The report tells how a training went: the steps that made no update, and what interrupted it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from llama_core.artifact import Artifact
from llama_core.train.metrics.goodput import goodput
from tasks.report import POINTS, _training, metrics


def record(step: int, **more: Any) -> dict[str, Any]:
    """A step that took two seconds."""
    known = {"step": step, "tokens": step * 1024, "loss": 5.0 - step, "tokens_per_s": 512.0, "skipped": 0}
    return known | {"time": 100.0 + 2 * step, "seconds/passes": 2.0} | more


def test_steps_without_an_update_and_interruptions_are_told_with_where_they_come_from() -> None:
    why = "loss nan, gradient norm nan, sequences 16 to 31; the loss is not finite on rank 1 (sequences 19)"
    killed = {"interruption": "rank 3 was killed by SIGKILL", "time": 136.0}
    curve = [record(1), record(2, skipped=1, loss=None, no_update=why), record(3, **killed)]
    said = "\n".join(_training(curve, goodput(curve)))
    assert "Steps without an update: 1 (see `train.spike_norm` and `train.spike_loss`)" in said
    assert f"| 2 | {why} |" in said
    assert "Goodput 11.1%" in said, "4 s of 36"
    assert "Interruptions: 1, which cost 0:30" in said
    assert "| 3 | 0:30 | rank 3 was killed by SIGKILL |" in said


def test_of_many_steps_without_an_update_the_last_are_shown() -> None:
    curve = [record(1), *(record(n, skipped=1, loss=None, no_update="nan") for n in range(2, 30)), record(30)]
    said = "\n".join(_training(curve, goodput(curve)))
    assert "Steps without an update: 28" in said and "These are the last 20." in said
    assert "| 29 | nan |" in said and "| 9 | nan |" not in said


def test_of_a_long_training_every_step_without_an_update_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 5 * POINTS
    whole = [record(n, skipped=int(n == 7)) for n in range(1, steps + 1)]
    monkeypatch.setattr("tasks.report.records", lambda trained: iter(whole))
    curve = metrics(cast(Artifact, SimpleNamespace(counts={"steps": steps})))
    assert len(curve) < 1.1 * POINTS and [r["step"] for r in curve if r["skipped"]] == [7]
    said = "\n".join(_training(curve, goodput(whole)))
    assert "Goodput 100.0%" in said and "| 7 |" in said
