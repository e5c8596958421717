"""A training that starts from another's checkpoint goes on as that would have, or as it is told to."""

import math
from typing import Any

import pytest
from trainings import end_of, run_and_die

from llama_core.errors import DamagedError, InputError
from llama_core.train import checkpoint, start

EVERY_5 = {"run.save_every": 5, "run.keep": 2}


def from_(other: Any, at: int, **more: Any) -> dict[str, Any]:
    return {"train.start_from": {"step": other.step.name, "at": at} | more}


@pytest.fixture(scope="module")
def other(training):
    """An unfinished training that has checkpoints after steps 5, 10 and 15."""
    run = training(**EVERY_5)
    run_and_die(run, "shards/step-00000020.json")
    assert run.committed() == ["step-00000005", "step-00000010", "step-00000015"]
    assert run.step.finished() is None
    return run


@pytest.fixture(scope="module")
def undisturbed(training):
    run = training(**EVERY_5)
    run.run(1)
    return run


@pytest.fixture(scope="module")
def gone_on(training, other):
    run = training(**EVERY_5, **from_(other, 10))
    output = run.run(1)
    assert f"starting from {other.step.name}@10" in output
    return run


def test_with_all_taken_over_it_is_the_undisturbed_run_bit_for_bit(gone_on, undisturbed) -> None:
    digest, records = end_of(undisturbed)
    assert end_of(gone_on) == (digest, records[10:])
    told = gone_on.artifact()
    assert (told.facts["steps"], told.facts["tokens"]) == (20, 20 * 1024)


@pytest.mark.slow
def test_in_bf16_it_is_the_undisturbed_run_as_well(training) -> None:
    bf16 = EVERY_5 | {"train.precision": "bf16"}
    theirs, whole = training(**bf16), training(**bf16)
    run_and_die(theirs, "shards/step-00000015.json")
    mine = training(**bf16, **from_(theirs, 10))
    for run in (whole, mine):
        run.run(1)
    digest, records = end_of(whole)
    assert end_of(mine) == (digest, records[10:])


def test_it_goes_on_at_two_processes(training, other, undisturbed) -> None:
    run = training(**from_(other, 10))
    run.run(2)
    records = end_of(undisturbed)[1][10:]
    for (step, loss, norm), (_, expected, of_norm) in zip(end_of(run)[1], records, strict=True):
        assert loss == pytest.approx(expected, abs=1e-5), step
        assert norm == pytest.approx(of_norm, rel=1e-5), step


@pytest.mark.parametrize("at", ["shards/step-00000010.json", "shards/step-00000015.json"])
def test_killed_before_and_after_its_first_checkpoint_it_comes_to_the_same_end(
    training, other, gone_on, at
) -> None:
    run = training(**EVERY_5, **from_(other, 10))
    run_and_die(run, at)
    assert run.committed() == (["step-00000010"] if "15" in at else [])
    run.run(1)
    assert end_of(run) == end_of(gone_on)


@pytest.mark.slow
def test_once_it_has_a_checkpoint_the_other_training_may_go(training, undisturbed) -> None:
    theirs = training(**EVERY_5)
    run_and_die(theirs, "shards/step-00000015.json")
    run = training(**EVERY_5, **from_(theirs, 10))
    run_and_die(run, "step-00000015/state.json")
    theirs.step.folder.delete(theirs.step.folder.list())
    start.check(run.step.root, run.job.recipe)
    with pytest.raises(InputError, match="it has none"):  # which no training has begun with
        start.check(run.step.root, training(**from_(theirs, 5)).job.recipe)
    run.run(1)
    assert end_of(run)[1] == end_of(undisturbed)[1][10:]


def test_another_rate_moves_the_weights_from_the_same_loss(training, other, undisturbed) -> None:
    run = training(**from_(other, 10), **{"train.lr": 1e-3})
    run.run(1)
    mine, theirs = run.records(), undisturbed.records()[10:]
    assert mine[0]["step"] == 11 and mine[0]["tokens"] == 11 * 1024
    assert mine[0]["loss"] == theirs[0]["loss"], "the first batch meets the weights that were taken"
    assert mine[0]["lr"] == pytest.approx(theirs[0]["lr"] / 10)
    assert mine[-1]["loss"] != theirs[-1]["loss"]


def test_more_tokens_go_on_at_a_larger_batch_after_the_one_that_was(training, other, undisturbed) -> None:
    more = {"train.global_batch_tokens": 2048, "train.tokens": 30 * 1024}
    run = training(**from_(other, 10), **more, **{"train.batch_ramp": [[10 * 1024, 1024]]})
    run.run(1)
    mine, theirs = run.records(), undisturbed.records()
    assert [r["tokens"] for r in mine] == [1024 * n for n in range(12, 31, 2)]
    # Its first batch is the two that the other training had, at the weights from before both.
    assert mine[0]["loss"] == pytest.approx((theirs[10]["loss"] + theirs[11]["loss"]) / 2, abs=0.1)


@pytest.mark.slow
def test_a_stable_rate_goes_on_as_if_more_tokens_had_been_meant(training) -> None:
    stable = {"train.schedule": "wsd", "train.decay_tokens": 5 * 1024}
    short, long = training(**EVERY_5, **stable), training(**stable, **{"train.tokens": 30 * 1024})
    run_and_die(short, "shards/step-00000020.json")
    longer = training(**stable, **{"train.tokens": 30 * 1024}, **from_(short, 15))
    long.run(1)
    longer.run(1)
    digest, records = end_of(long)
    assert end_of(longer) == (digest, records[15:])


@pytest.mark.slow
def test_a_ramp_is_the_same_at_two_processes_and_after_a_kill(training) -> None:
    ramp = EVERY_5 | {"train.batch_ramp": [[3 * 1024, 512]]}
    whole, two, killed = (training(**ramp) for _ in range(3))
    whole.run(1)
    assert [r["tokens"] for r in whole.records()][:8] == [512 * n for n in (1, 2, 3, 4, 5, 6, 8, 10)]
    run_and_die(killed, "shards/step-00000010.json")
    killed.run(1)
    assert end_of(killed) == end_of(whole)
    two.run(2)
    for (step, loss, norm), (_, expected, of_norm) in zip(end_of(two)[1], end_of(whole)[1], strict=True):
        assert loss == pytest.approx(expected, abs=1e-5), step
        assert norm == pytest.approx(of_norm, rel=1e-5), step
    # The mean of a batch, however many sequences it has: untrained, about log of the vocabulary.
    assert whole.records()[0]["loss"] == pytest.approx(math.log(400), rel=0.1)


@pytest.mark.parametrize("moments", [True, False])
def test_anew_it_counts_and_reads_from_the_start(training, other, undisturbed, moments) -> None:
    run = training(
        **from_(other, 15, anew=True, optimizer=moments), **{"train.warmup_steps": 0, "train.seed": 2}
    )
    run.run(1)
    records = run.records()
    assert [r["step"] for r in records] == list(range(1, 21))
    assert records[-1]["tokens"] == 20 * 1024
    first = undisturbed.records()[0]["loss"]
    assert records[0]["loss"] < 0.95 * first, "the weights have learnt"
    assert max(r["loss"] for r in records) < first, "no update was out of proportion"
    shard = run.step.committed(run.artifact().facts["final"])
    assert checkpoint.read_progress(run.step.folder, shard)[1] == (35 if moments else 20)


@pytest.mark.parametrize(
    ("overrides", "start_from", "says"),
    [
        ({}, {"at": 11}, "has no checkpoint after step 11: it has those after 5, 10, 15"),
        ({}, {"step": "train/0123456789abcdef"}, "it has none"),
        ({"model.n_layers": 3}, {}, "model of .* is another one .* layers.2"),
        ({"model.dim": 64}, {}, "which is 32 there and 64 here|x 32 there and .* x 64 here"),
        ({"tokenizer.vocab_size": 500}, {}, "400 x 32 there and 500 x 32 here"),
        ({"train.global_batch_tokens": 2048, "layout.micro_batch": 8}, {}, "10,240 tokens.* 20,480 by then"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(training, other, overrides, start_from, says) -> None:
    more = {"train.tokens": 40 * 2048} | overrides
    run = training(
        **more,
        **from_(other, **({"at": 10} | start_from))
        if "step" not in start_from
        else {"train.start_from": {"at": 10} | start_from},
    )
    with pytest.raises(InputError, match=says):
        start.check(run.step.root, run.job.recipe)


def test_a_checkpoint_that_is_cut_is_refused_before_any_work(training) -> None:
    theirs = training(**EVERY_5)
    run_and_die(theirs, "shards/step-00000010.json")
    run = training(**from_(theirs, 5))
    entry = theirs.step.committed("step-00000005").object("/00000.data")
    theirs.step.folder.publish_bytes(entry.name, theirs.step.folder.read(entry.name)[:-1])
    with pytest.raises(DamagedError, match="missing or cut: choose another"):
        start.check(run.step.root, run.job.recipe)


def test_other_data_are_refused_before_the_first_step(training, other) -> None:
    for change in ({"train.seed": 2}, {"mixture": {"code": 0.5, "docs": 0.5}}):
        run = training(**from_(other, 10), **change)
        output = run.run(1, expect=2)
        assert "was trained on other data" in output and "@metrics" not in output
        assert run.committed() == []


def test_a_training_that_diverged_is_started_from_as_well(training, other, undisturbed) -> None:
    bad = training(**from_(other, 10), **{"train.lr": 1e20, "train.most_skipped": 2, "train.most_returns": 0})
    assert "diverged at step" in bad.run(1, expect=2)
    assert bad.committed() == ["step-00000010"]
    good = training(**from_(bad, 10))
    good.run(1)
    assert end_of(good)[1] == end_of(undisturbed)[1][10:]
