"""A gradient that is not finite, on whichever process, makes no update on any: the training goes on."""

import hashlib
import math
import re
from typing import Any

import programs
import pytest
import ranks
import torch
from trainings import end_of

from llama_core import program
from llama_core.recipes.load import load_recipe
from llama_core.train import checkpoint
from llama_core.train.checkpoints.files import raw_bytes
from llama_core.train.distributed import World
from llama_core.train.optimizer import clip, make_optimizer, update
from llama_core.train.parallelize import build, init_weights
from llama_core.train.passes import backward
from llama_core.train.stability import watchdog
from llama_core.train.stability.guard import NO_NORMS, Guard

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
    guard = Guard(recipe.train, NO_NORMS, world.device)
    norms, digests, counts = [], [], []
    for n in range(1, 5):
        generator = torch.Generator().manual_seed(n)
        size = (recipe.train.batch_sequences, recipe.train.seq_len + 1)
        tokens = torch.randint(3, VOCAB, size, generator=generator)
        backward(parts, tokens.chunk(parts.mesh.data_size)[parts.mesh.data_rank], recipe, BOS)
        if n == 2 and bad is not None and world.rank == rank:
            gradient: Any = next(p.grad for p in parts.parameters() if p.grad is not None and p.ndim > 1)
            local = gradient.to_local() if hasattr(gradient, "to_local") else gradient
            local[-1, -1] = bad
        norm = clip(parts.parameters(), 1.0)
        if n == 2 and bad is None:
            optimizer.zero_grad()
        else:
            update(optimizer, n, recipe.train, guard.allows(norm))
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
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_it_is_as_if_nobody_had_made_the_step(processes: int, layout: dict[str, Any], bad: float) -> None:
    skipped = ranks.call(processes, train, layout, bad, processes - 1)
    expected = ranks.call(processes, train, layout, None, 0)
    for one, other in zip(skipped, expected, strict=True):
        assert not math.isfinite(one["norms"][1]) and math.isfinite(other["norms"][1])
        assert one["digests"] == other["digests"]
        assert one["digests"][0] == one["digests"][1] != one["digests"][2]
        assert one["counts"] == [1, 1, 2, 3]


@pytest.mark.slow
def test_a_process_that_stops_is_found_out_by_the_other_and_the_run_goes_on(training) -> None:
    """It is stopped by a signal, as a GPU that never answers would stop it: neither waits for ten minutes."""
    run, undisturbed = (training(**{"run.save_every": 5, "run.hang_after": 4}) for _ in range(2))
    undisturbed.run(2)
    script = f"""
import os, signal, sys
from llama_core.train import loop
step = loop.Metrics.step
def stop_once(self, n, *more):
    if n == 12 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGSTOP)
    return step(self, n, *more)
loop.Metrics.step = stop_once
from llama_core.train.run import main
sys.exit(main({run.publish(2)!r}))
"""
    done = programs.run("-c", script, ranks=2, timeout=60)
    assert done.returncode == program.HUNG, done.stdout
    assert "rank 0 comes no further in step 1" in done.stdout
    [name] = watchdog.folder_of(run.step.root, run.step.name).list()
    assert name.endswith(".rank0.txt"), "the other one could not write"
    # The save after step 10 may still have been on its way.
    assert re.search(r"resuming after step (5|10) of 20", run.run(2))
    assert end_of(run) == end_of(undisturbed)


SPIKES = """
import sys
from llama_core.train import loop
taken, batch_of, clip = [], loop.batch_of, loop.clip
def noted(n, passed_over):
    taken.append(batch_of(n, passed_over))
    return taken[-1]
def with_spikes(parameters, most):
    return clip(parameters, most) * (1000 if taken[-1] in {bad} else 1)
loop.batch_of, loop.clip = noted, with_spikes
from llama_core.train.run import main
sys.exit(main({url!r}))
"""
PAST = """
import sys
from llama_core.train import loop
loop.batch_of = lambda n, _: n - 1 if n <= 10 else n + 3
from llama_core.train.run import main
sys.exit(main({url!r}))
"""


@pytest.mark.slow
def test_a_spike_that_stays_is_passed_over_from_the_checkpoint_before_it(training) -> None:
    """It is three batches long, and two steps may be skipped: as if batches 10 to 13 had never been."""
    few = {"train.spike_window": 5, "train.most_skipped": 2, "run.save_every": 5}
    run, other = training(**few), training(**few)
    done = programs.run("-c", SPIKES.format(bad={11, 12, 13}, url=run.publish(2)), ranks=2)
    assert done.returncode == 0, done.stdout
    assert (
        "steps 12 to 14 made no update: back to the weights after step 10, past batches 10 to 13"
        in done.stdout
    )
    assert "step 12 made no update: loss" in done.stdout and "sequences 176 to 191" in done.stdout
    assert programs.run("-c", PAST.format(url=other.publish(2)), ranks=2).returncode == 0
    assert end_of(run) == end_of(other)
    progress, _ = checkpoint.read_progress(run.step.folder, checkpoint.final(run.artifact()))
    assert progress.passed_over == ((10, 14),) and progress.returns == 1


@pytest.mark.slow
def test_a_spike_that_passes_is_one_step_without_an_update(training) -> None:
    run = training(**{"train.spike_window": 5})
    done = programs.run("-c", SPIKES.format(bad={11}, url=run.publish(2)), ranks=2)
    assert done.returncode == 0, done.stdout
    assert [r["step"] for r in run.records() if r["skipped"]] == [12]
    assert "back to" not in done.stdout


BROKEN = SPIKES.replace("(1000 if", "(float('nan') if")


def test_without_a_checkpoint_it_goes_back_to_the_drawn_weights_and_to_no_moments(training) -> None:
    """Batches 2 to 4 are broken: as if batches 0 to 4 had never been."""
    few = {"train.most_skipped": 2, "train.tokens": 12 * 1024}
    run, other = training(**few), training(**few)
    done = programs.run("-c", BROKEN.format(bad={2, 3, 4}, url=run.publish()))
    assert done.returncode == 0, done.stdout
    assert "back to the weights after step 0, past batches 0 to 4" in done.stdout
    script = PAST.replace("n - 1 if n <= 10 else n + 3", "n + 4")
    assert programs.run("-c", script.format(url=other.publish())).returncode == 0
    assert end_of(run) == end_of(other)


def test_a_checkpoint_before_any_update_is_whole(training) -> None:
    """Its loss is none, and no NaN, which JSON has not."""
    run = training(**{"train.tokens": 3 * 1024, "run.save_every": 1, "run.keep": 9})
    done = programs.run("-c", BROKEN.format(bad={0}, url=run.publish()))
    assert done.returncode == 0, done.stdout
    found = [checkpoint.read_progress(run.step.folder, s)[0] for s in checkpoint.saved_in(run.step.folder)]
    assert [(p.step, p.loss is None) for p in found] == [(1, True), (2, False), (3, False)]
