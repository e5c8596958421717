"""Rank 0 keeps the record of a training in segments: killed or damaged, it is that of the weights."""

from typing import Any

import pytest
from trainings import end_of, run_and_die

from llama_core.job import Job

EVERY_5 = {"run.save_every": 5, "run.keep": 2}


def segments(training: Any) -> list[str]:
    """The names of all segments on the store, those that no checkpoint names included."""
    return sorted(n.rpartition("/")[2] for n in training.step.folder.list() if "/metrics/" in n)


@pytest.fixture(scope="module")
def undisturbed(training):
    run = training(**EVERY_5)
    run.run(1)
    return run


def test_each_segment_is_written_once_and_the_artifact_has_all_in_order(undisturbed) -> None:
    names = [f"{n + 1:08d}-{n + 5:08d}.jsonl" for n in (0, 5, 10, 15)]
    assert segments(undisturbed) == names
    shard = undisturbed.artifact().shard("metrics")
    assert [o.name.rpartition("/")[2] for o in shard.objects] == names
    assert [r["step"] for r in undisturbed.records()] == list(range(1, 21))
    sizes = undisturbed.step.folder.sizes()
    states = [size for name, size in sizes.items() if name.endswith("state.json")]
    assert len(states) == 3 and max(states) - min(states) < 40, "a save does not grow with the steps"
    per_step = [size for name, size in sizes.items() if "/metrics/" in name]
    assert max(per_step) < 1.2 * min(per_step)


@pytest.mark.parametrize("at", ["metrics/00000006-00000010.jsonl", "shards/step-00000010.json"])
def test_killed_inside_a_segment_or_before_its_checkpoint_it_keeps_each_step_once(
    training, undisturbed, at
) -> None:
    killed = training(**EVERY_5)
    run_and_die(killed, at)
    assert killed.committed() == ["step-00000005"]
    killed.run(1)
    assert end_of(killed) == end_of(undisturbed)
    assert segments(killed) == segments(undisturbed), "what no checkpoint names is swept"


@pytest.mark.slow
def test_a_resume_from_an_older_checkpoint_drops_the_later_segments(training, undisturbed) -> None:
    run = training(**EVERY_5)
    run_and_die(run, "shards/step-00000020.json")
    for name in ("step-00000010", "step-00000015"):
        run.step.folder.publish_bytes(f"shards/{name}.json", b"{")
    of_run = run.job.recipe.run.model_copy(update={"save_every": 7})
    run.job = Job(run.step, run.job.recipe.model_copy(update={"run": of_run}))
    assert "step-00000015 is left out" in run.run(1)
    assert end_of(run) == end_of(undisturbed)
    assert segments(run) == ["00000001-00000005.jsonl", "00000006-00000007.jsonl", "00000008-00000014.jsonl",
                             "00000015-00000020.jsonl"]  # fmt: skip


@pytest.mark.slow
def test_the_segments_of_another_attempt_are_used_as_they_lie(training, undisturbed) -> None:
    run = training(**EVERY_5)
    run_and_die(run, "shards/step-00000015.json")
    run.run(1)
    assert end_of(run) == end_of(undisturbed)
    places = {o.name.partition("/")[0]: o.name for o in run.artifact().shard("metrics").objects}
    assert len(places) == 2


@pytest.mark.slow
def test_a_lost_segment_costs_the_record_before_it_and_not_the_training(training) -> None:
    run = training(**EVERY_5)
    run_and_die(run, "shards/step-00000020.json")
    [lost] = [n for n in run.step.folder.list() if n.endswith("00000006-00000010.jsonl")]
    run.step.folder.delete([lost])
    assert "the record of the first steps is lost" in run.run(1)
    assert [r["step"] for r in run.records()] == list(range(11, 21))


@pytest.mark.slow
def test_the_other_ranks_keep_nothing(training) -> None:
    run = training(**EVERY_5)
    run.run(2)
    assert segments(run) == [f"{n + 1:08d}-{n + 5:08d}.jsonl" for n in (0, 5, 10, 15)]
    for name in ("loss/code", "loss/docs", "seconds/data", "seconds/passes", "seconds/optimizer"):
        assert all(r[name] >= 0 for r in run.records()), name
    for r in run.records():
        assert r["mfu"] is None and r["mfu_causal"] is None, "a CPU has no peak"
        assert r["joules"] is None or r["joules"] >= 0, "few users may read a CPU's counter"
        assert r["tokens_per_s_per_device"] == pytest.approx(r["tokens_per_s"] / 2, abs=0.1)
        assert r["memory/resident"] > 2**26
        assert min(r["loss/code"], r["loss/docs"]) <= r["loss"] <= max(r["loss/code"], r["loss/docs"])
    assert run.records()[0]["page_fetches_per_sequence"] > 0
