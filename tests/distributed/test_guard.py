"""A gradient that is not finite, on whichever process, makes no update on any: the training goes on."""

import hashlib
import math
import re
import signal
from typing import Any

import programs
import pytest
import ranks
import torch
from trainings import end_of

from llama_core.recipes.load import load_recipe
from llama_core.train import checkpoint
from llama_core.train.checkpoints.files import raw_bytes
from llama_core.train.distributed import World
from llama_core.train.optimizer import clip, make_optimizer, update
from llama_core.train.parallelize import build, init_weights
from llama_core.train.passes import backward
from llama_core.train.stability.guard import NOTHING, Guard

VOCAB, BOS = 324, 1
SMALL = {"tokenizer.vocab_size": VOCAB, "model.dim": 40, "model.n_layers": 2, "model.n_heads": 4}
SMALL |= {"model.multiple_of": 4, "layout.micro_batch": 4}


def train(world: World, layout: dict[str, Any], bad: float | None, rank: int) -> dict[str, Any]:
    """Make four steps. In the second one, a process has the gradient `bad`, or nobody makes an update.

    Returns the norms of the gradients, and of this process the digest of its parts after each step.
    """
    recipe = load_recipe("micro", SMALL | {"launch.procs_per_node": world.size} | layout)
    parts = build(recipe, VOCAB, world)
    optimizer = make_optimizer(parts, recipe.train)
    init_weights(parts, 0.1, 1)
    guard = Guard(recipe.train, NOTHING, world.device)
    norms, digests, counts = [], [], []
    for n in range(1, 5):
        generator = torch.Generator().manual_seed(n)
        size = (recipe.train.batch_sequences, recipe.train.seq_len + 1)
        tokens = torch.randint(3, VOCAB, size, generator=generator)
        rows = backward(parts, tokens.chunk(parts.mesh.data_size)[parts.mesh.data_rank], recipe, BOS)
        if n == 2 and bad is not None and world.rank == rank:
            gradient: Any = next(p.grad for p in parts.parameters() if p.grad is not None and p.ndim > 1)
            local = gradient.to_local() if hasattr(gradient, "to_local") else gradient
            local[-1, -1] = bad
        norm, loss = clip(parts.parameters(), 1.0, rows)
        if n == 2 and bad is None:
            optimizer.zero_grad()
        else:
            update(optimizer, n, recipe.train, guard.allows(norm, loss / recipe.train.tokens_at(n)))
        norms.append(norm.item())
        digest = hashlib.sha256()
        for parameter in parts.parameters():
            state = optimizer.state[parameter]
            for tensor in (parameter, state["exp_avg"], state["exp_avg_sq"]):
                digest.update(raw_bytes(tensor.to_local() if hasattr(tensor, "to_local") else tensor))
        digests.append(digest.hexdigest())
        counts.append(float(next(iter(optimizer.state.values()))["step"]))
    return {"norms": norms, "digests": digests, "counts": counts}


@pytest.mark.parametrize(
    ("processes", "layout"),
    [(1, {}), (2, {}), (2, {"layout.tp": 2}), (2, {"layout.pp": 2})],
    ids=["one", "FSDP 2", "TP 2", "PP 2"],
)
@pytest.mark.parametrize("bad", [math.nan, pytest.param(math.inf, marks=pytest.mark.slow)])
def test_it_is_as_if_nobody_had_made_the_step(processes: int, layout: dict[str, Any], bad: float) -> None:
    skipped = ranks.call(processes, train, layout, bad, processes - 1)
    expected = ranks.call(processes, train, layout, None, 0)
    for one, other in zip(skipped, expected, strict=True):
        assert not math.isfinite(one["norms"][1]) and math.isfinite(other["norms"][1])
        assert one["digests"] == other["digests"]
        assert one["digests"][0] == one["digests"][1] != one["digests"][2]
        assert one["counts"] == [1, 1, 2, 3]


SCRIPT = """
import os, signal, sys, time
from llama_core.train import loop
taken, batch_of, clip, backward, step = [], loop.batch_of, loop.clip, loop.backward, loop.Metrics.step
def noted(n, passed_over):
    taken.append(batch_of(n, passed_over))
    return taken[-1]
loop.batch_of = noted
{fault}
from llama_core.train.run import main
sys.exit(main({url!r}))
"""
LARGE = """
def large(*of):
    norm, loss = clip(*of)
    return norm * (1000 if taken[-1] in {bad} else 1), loss
loop.clip = large
"""
BROKEN = LARGE.replace("1000", "float('nan')")
# The gradients stay as they are.
TENFOLD = "loop.backward = lambda *of: backward(*of) * (10 if taken[-1] in {bad} else 1)"
NAN = """
def broken(parts, *of):
    def hook(module, inputs, output):
        if taken[-1] in {bad} and os.environ["RANK"] == "1":
            output.register_hook(lambda gradient: gradient * float("nan"))
    handle = parts.models[0].norm.register_forward_hook(hook)
    rows = backward(parts, *of)
    handle.remove()
    return rows
loop.backward = broken
"""
KILLED_WITHIN = """
def killed(self, n, *of):
    if n == 14:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, n, *of)
loop.Metrics.step = killed
"""
KILLED_AT_THE_RETURN = "loop.checkpoint.go_back = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
KILLED_AFTER_THE_RETURN = """
past = loop.past
def killed(*of):
    loop.Metrics.step = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    return past(*of)
loop.past = killed
"""
PAST = "loop.batch_of = lambda n, _: n - 1 if n <= {first} else n - 1 + {passed}"


def run_with(run, fault: str, ranks: int = 2) -> str:
    done = programs.run("-c", SCRIPT.format(fault=fault, url=run.publish(ranks)), ranks=ranks)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("fault", [LARGE, TENFOLD, NAN], ids=["norm", "loss", "NaN"])
def test_a_spike_that_stays_is_passed_over_from_the_checkpoint_before_it(training, fault: str) -> None:
    """It is three batches long, and two steps may be skipped: as if batches 10 to 13 had never been."""
    few = {"train.spike_window": 5, "train.most_skipped": 2, "run.save_every": 5}
    run, other = training(**few), training(**few)
    said = run_with(run, fault.format(bad={11, 12, 13}))
    assert "steps 12 to 14 made no update: back to the weights after step 10, past batches 10 to 13" in said
    assert "step 12 made no update: loss" in said and "sequences 176 to 191" in said
    run_with(other, PAST.format(first=10, passed=4))
    assert end_of(run) == end_of(other)
    progress, _ = checkpoint.read_progress(run.step.folder, checkpoint.final(run.artifact()))
    assert progress.passed_over == ((10, 14),) and progress.returns == 1


@pytest.mark.slow
def test_it_goes_back_by_the_margin_and_past_the_batches_around(training) -> None:
    """There is a later checkpoint after step 12; as if batches 11 to 14 had never been."""
    few = {"train.spike_window": 5, "train.most_skipped": 2, "train.spike_margin": 1, "run.save_every": 2}
    run, other = training(**few), training(**few)
    said = run_with(run, TENFOLD.format(bad={12, 13, 14}))
    assert "steps 13 to 15 made no update: back to the weights after step 10, past batches 11 to 14" in said
    run_with(other, PAST.format(first=11, passed=4))
    assert end_of(run) == end_of(other)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [LARGE, TENFOLD, NAN], ids=["norm", "loss", "NaN"])
def test_a_spike_that_passes_is_one_step_without_an_update(training, fault: str) -> None:
    run = training(**{"train.spike_window": 5})
    said = run_with(run, fault.format(bad={11}))
    [skipped] = [r for r in run.records() if r["skipped"]]
    assert skipped["step"] == 12 and "sequences 176 to 191" in skipped["no_update"]
    if fault == NAN:
        told = re.search(r"gradients are not finite on rank (\S+) \(sequences (.*)\)", skipped["no_update"])
        assert told and told[1] == "1" and len(told[2].split(", ")) == 8, skipped["no_update"]
    assert "back to" not in said


@pytest.mark.slow
def test_one_that_stays_however_often_it_goes_back_ends_with_a_report(training) -> None:
    run = training(**{"train.most_skipped": 1, "train.most_returns": 1, "run.save_every": 5})
    script = SCRIPT.format(fault=NAN.format(bad=set(range(11, 30))), url=run.publish(2))
    done = programs.run("-c", script, ranks=2)
    assert done.returncode == 1, done.stdout
    told = re.search(r"DivergedError: (training diverged at step 11: .*)", done.stdout)
    assert told and "past the batches 10 to 12." in told[1], done.stdout
    assert "gradients are not finite on rank 1 (sequences 2" in told[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kill", "told"),
    [(KILLED_WITHIN, [13, 14, 15]), (KILLED_AT_THE_RETURN, [])],
    ids=["within", "at the return"],
)
def test_a_restart_among_steps_without_an_update_decides_as_if_there_had_been_none(
    training, kill: str, told: list[int]
) -> None:
    """Four steps from the 12th on make no update, and three may: with or without a restart it goes back.

    `told`: the steps that the restarted one tells of.
    """
    few = {"train.spike_window": 5, "train.most_skipped": 3, "run.save_every": 1, "run.keep": 1}
    run, other = training(**few), training(**few)
    fault = TENFOLD.format(bad={11, 12, 13, 14})
    killed = SCRIPT.format(fault=f"{fault}\n{kill}", url=run.publish(2))
    assert programs.run("-c", killed, ranks=2).returncode == -signal.SIGKILL
    said = run_with(run, fault)
    assert [int(n) for n in re.findall(r"^step (\d+) made no update", said, re.M)] == told
    assert "steps 12 to 15 made no update: back to the weights after step 11" in said
    run_with(other, fault)
    assert end_of(run) == end_of(other)


def test_a_start_between_a_return_and_the_next_save_does_not_go_back_once_more(training) -> None:
    few = {
        "train.spike_window": 5,
        "train.most_skipped": 1,
        "train.most_returns": 1,
        "train.tokens": 16 * 1024,
    }
    run = training(**few, **{"run.save_every": 8})
    fault = BROKEN.format(bad={10, 11})
    killed = SCRIPT.format(fault=f"{fault}\n{KILLED_AFTER_THE_RETURN}", url=run.publish())
    died = programs.run("-c", killed)
    assert died.returncode == -signal.SIGKILL and re.search(
        "^steps 11 to 12 made no update", died.stdout, re.M
    )
    assert not re.search("^steps 11 to 12 made no update", run_with(run, fault, 1), re.M)
    progress, _ = checkpoint.read_progress(run.step.folder, checkpoint.final(run.artifact()))
    assert (progress.passed_over, progress.returns) == (((8, 12),), 1)


@pytest.mark.slow
def test_without_a_checkpoint_it_goes_back_to_the_drawn_weights_and_to_no_moments(training) -> None:
    """Batches 2 to 4 are broken: as if batches 0 to 4 had never been."""
    few = {"train.most_skipped": 2, "train.tokens": 12 * 1024}
    run, other = training(**few), training(**few)
    said = run_with(run, BROKEN.format(bad={2, 3, 4}), 1)
    assert "back to the weights after step 0, past batches 0 to 4" in said
    run_with(other, PAST.format(first=0, passed=5), 1)
    assert end_of(run) == end_of(other)


def test_a_checkpoint_before_any_update_is_whole(training) -> None:
    """Its loss is none, and no NaN, which JSON has not."""
    run = training(**{"train.tokens": 3 * 1024, "run.save_every": 1, "run.keep": 9})
    run_with(run, BROKEN.format(bad={0}), 1)
    found = [checkpoint.read_progress(run.step.folder, s)[0] for s in checkpoint.saved_in(run.step.folder)]
    assert [(p.step, p.loss is None) for p in found] == [(1, True), (2, False), (3, False)]
