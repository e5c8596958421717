"""A run that was stopped, killed or damaged goes on from its last whole checkpoint, to the same end."""

import re
import signal
import time
from pathlib import Path

import programs
import pytest
import ranks
from trainings import end_of, run_and_die

from llama_core.program import STOPPED

EVERY_5 = {"run.save_every": 5, "run.keep": 2}


def damage(training, name, ending="", at=100):
    """Turn over one byte of an object of a checkpoint, or of its commit."""
    entry = training.step.committed(name).object(ending).name if ending else f"shards/{name}.json"
    path = Path(training.step.folder.path(entry))
    data = bytearray(path.read_bytes())
    data[at] ^= 255
    path.write_bytes(data)


@pytest.fixture(scope="module")
def undisturbed(training):
    run = training(**EVERY_5)
    run.run(1)
    return run


@pytest.mark.slow
def test_bf16_goes_on_to_the_same_bits(training):
    killed, whole = (training(**EVERY_5, **{"train.precision": "bf16"}) for _ in range(2))
    run_and_die(killed, "shards/step-00000010.json")
    killed.run(1)
    whole.run(1)
    assert end_of(killed) == end_of(whole)


@pytest.mark.parametrize(
    "at",
    [
        "step-00000010/00000.data",
        "shards/step-00000010.json",
        pytest.param("step-00000010/state.json", marks=pytest.mark.slow),
        pytest.param("manifest.json", marks=pytest.mark.slow),
    ],
)
def test_killed_inside_a_save_it_goes_on_to_the_same_bits(training, undisturbed, at):
    killed = training(**EVERY_5)
    run_and_die(killed, at)
    last = "step-00000020" if at == "manifest.json" else "step-00000005"
    assert killed.committed()[-1] == last
    killed.run(1)
    assert end_of(killed) == end_of(undisturbed)


def test_a_finished_run_holds_the_record_of_every_step_and_only_the_kept_checkpoints(undisturbed):
    artifact = undisturbed.artifact()
    assert [r["step"] for r in undisturbed.records()] == list(range(1, 21))
    kept = ["step-00000010", "step-00000015", "step-00000020"]
    assert [s.name for s in artifact.shards] == ["metrics", *kept]
    assert artifact.facts["final"] == "step-00000020"
    assert artifact.counts == {"steps": 20, "tokens": 20 * 1024}
    listed = {entry.name for entry in artifact.objects()}
    lying = {n for n in artifact.store.list() if n != "manifest.json" and not n.startswith("shards/")}
    assert lying == listed
    started = time.monotonic()
    assert "@metrics" not in undisturbed.run_afresh(), "a finished step is not trained again"
    assert time.monotonic() - started < 60


def test_sigterm_saves_and_another_layout_goes_on(training, undisturbed):
    moved = training(**{"run.save_every": 100})
    process = programs.Program("-m", "llama_core.train", moved.publish())
    for line in process.output:
        if line.startswith("@metrics") and '"step": 7,' in line:
            process.send_signal(signal.SIGTERM)
            break
    process.output.read()
    assert process.wait() == STOPPED
    (saved,) = moved.committed()
    assert "step-00000007" <= saved < "step-00000020"
    moved.run(2)
    for (_, loss, norm), (_, loss_moved, norm_moved) in zip(
        end_of(undisturbed)[1], end_of(moved)[1], strict=True
    ):
        assert loss_moved == pytest.approx(loss, abs=1e-5)
        assert norm_moved == pytest.approx(norm, rel=1e-5)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(training, undisturbed):
    run = training(**EVERY_5)
    run_and_die(run, "manifest.json")
    damage(run, "step-00000015", "/00000.data")
    damage(run, "step-00000020", at=0)
    output = run.run(2)
    assert "step-00000020 is left out" in output and "shards/step-00000020.json is damaged" in output
    assert re.search(
        r"step-00000015 is left out.* (model|optimizer)\.\S+@0\S* of \S+00000.data is damaged", output
    )
    assert '"step": 11,' in output and '"step": 10,' not in output
    for (step, loss, _), (_, expected, _) in zip(end_of(run)[1], end_of(undisturbed)[1], strict=True):
        assert loss == pytest.approx(expected, abs=1e-5), step


def test_with_no_whole_checkpoint_left_nothing_is_trained(training):
    run = training(**{"run.save_every": 10, "run.keep": 1})
    run_and_die(run, "manifest.json")
    damage(run, "step-00000010", "/layout.json")
    damage(run, "step-00000020", "/00000.data", at=-1)
    output = run.run(1, expect=2)
    assert "@error no checkpoint of" in output and "step-00000010" in output
    assert "@metrics" not in output
    assert run.committed() == ["step-00000010", "step-00000020"], "nothing is deleted"


def test_losses_that_are_no_numbers_stop_the_run_and_none_is_in_the_weights(training):
    few = {"train.most_skipped": 2, "train.most_returns": 1}
    run = training(**{"train.lr": 1e20, "train.warmup_steps": 0, "run.save_every": 1, **few})
    output = run.run(1, expect=2)
    assert len(re.findall("^WARNING .*: back to the weights after step ", output, re.M)) == 1
    first = int(re.search(r"@final training diverged at step (\d+): 3 steps in a row", output)[1])
    assert "though it went back past the batches" in output
    assert run.committed()[-1] == f"step-{first + 2:08d}", "those that are passed over are saved"
    assert f"step {first} made no update" in output


@pytest.mark.slow
@pytest.mark.parametrize("first, then", [(1, 2), (2, 1)])
def test_a_checkpoint_in_bf16_of_one_process_goes_on_on_two_and_the_other_way_round(training, first, then):
    """One process has float32 weights beside those in bf16, two have FSDP's."""
    moved, whole = (training(**EVERY_5, **{"train.precision": "bf16"}) for _ in range(2))
    whole.run(first)
    run_and_die(moved, "shards/step-00000010.json", first)
    moved.run(then)
    losses, expected = ([r["loss"] for r in run.records()] for run in (moved, whole))
    assert losses[:5] == expected[:5]
    assert losses[5] == pytest.approx(expected[5], abs=1e-6), "the same weights"
    assert losses == pytest.approx(expected, abs=5e-3)


@pytest.mark.slow
def test_a_run_goes_on_over_many_layouts_with_the_same_tokens_and_losses(training):
    moved, whole = training(**EVERY_5), training(**EVERY_5)
    taken = {}
    layouts = [(1, 4, {}), (2, 8, {}), (4, 12, {}), (2, 15, {"tp": 2}), (2, 18, {"pp": 2}), (1, None, {})]
    for processes, stop, layout in layouts:
        taken |= ranks.train(moved, processes, stop, timeout=300, micro_batch=2, **layout)
    expected = ranks.train(whole, 1, timeout=300, micro_batch=2)
    assert ranks.digest_of_rows(taken, 20) == ranks.digest_of_rows(expected, 20)
    for (step, loss, norm), (_, its_loss, its_norm) in zip(end_of(moved)[1], end_of(whole)[1], strict=True):
        assert loss == pytest.approx(its_loss, abs=1e-5), step
        assert norm == pytest.approx(its_norm, rel=1e-5), step
