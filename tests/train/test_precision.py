"""One process in bf16 computes what FSDP2 computes, and keeps float32 weights where all look for them."""

import gc

import pytest
import torch
from torch import Tensor

from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.train import distributed
from llama_core.train.distributed import World
from llama_core.train.garbage import EVERY, collected_between
from llama_core.train.optimizer import clip, make_optimizer, update
from llama_core.train.parallel import data
from llama_core.train.parallel.mesh import Mesh
from llama_core.train.parallel.parts import Parts
from llama_core.train.parallelize import build, init_weights
from llama_core.train.passes import backward

VOCAB = 400
ALONE = World(0, 1, torch.device("cpu"))


def recipe(**values: object) -> Recipe:
    small = {
        "train.precision": "bf16",
        "train.init_std": 0.1,
        "train.grad_clip": 0.3,
        "layout.micro_batch": 4,
    }
    return load_recipe("micro", small | values)


def sharded_by_fsdp(of: Recipe) -> Parts:
    """The model on one process as it would be among many."""
    plain = build(
        of.model_copy(update={"train": of.train.model_copy(update={"precision": "fp32"})}), VOCAB, ALONE
    )
    mesh = Mesh.of(of.layout, ALONE)
    data.shard(plain.whole, mesh, "bf16")
    return Parts([plain.whole], mesh)


def train(parts: Parts, of: Recipe, steps: int) -> tuple[list[tuple[float, float]], dict[str, Tensor]]:
    """Losses and gradient norms of `steps` steps of four micro-batches, and the weights after them."""
    init_weights(parts, of.train.init_std, of.train.seed)
    optimizer = make_optimizer(parts, of.train)
    generator = torch.Generator().manual_seed(3)
    seen = []
    for n in range(1, steps + 1):
        batch = torch.randint(1, VOCAB, (16, of.train.seq_len + 1), generator=generator)
        rows = backward(parts, batch, of, 1)
        norm, _ = clip(parts.parameters(), of.train.grad_clip, rows)
        update(optimizer, n, of.train, norm.isfinite())
        seen.append((rows.sum().item(), norm.item()))
    weights = {name: p.detach() for name, p in parts.named_parameters()}
    return seen, {n: w.full_tensor() if hasattr(w, "full_tensor") else w for n, w in weights.items()}


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ten_steps_in_bf16_are_those_of_fsdp_bit_for_bit(compiled):
    of = recipe(**{"layout.compile": compiled, "layout.activation_checkpointing": "full"})
    seen, weights = train(build(of, VOCAB, ALONE), of, 10)
    try:
        expected, same = train(sharded_by_fsdp(of), of, 10)
    finally:
        distributed.close_group()
    assert seen == expected
    assert any(norm > of.train.grad_clip for _, norm in seen)
    assert weights.keys() == same.keys()
    assert all(torch.equal(weights[name], same[name]) for name in same)


def test_bf16_differs_from_float32_and_keeps_float32_weights():
    half, whole = recipe(), recipe(**{"train.precision": "fp32"})
    (losses, weights), (others, _) = (train(build(of, VOCAB, ALONE), of, 2) for of in (half, whole))
    assert losses != others
    assert losses[0][0] == pytest.approx(others[0][0], rel=1e-2)
    assert {w.dtype for w in weights.values()} == {torch.float32}


def test_the_weights_are_cast_once_a_step_and_their_gradients_are_freed_at_once(monkeypatch):
    of, casts, cast = recipe(), [], torch._foreach_copy_
    monkeypatch.setattr(torch, "_foreach_copy_", lambda *a: (casts.append(len(a[0])), cast(*a)))
    parts = build(of, VOCAB, ALONE)
    train(parts, of, 3)
    assert casts == [len(list(parts.parameters()))] * 3
    used = parts.whole.output.weight
    assert used.dtype == torch.bfloat16 and used.grad is None


def test_garbage_is_collected_between_steps_alone():
    collected: list[str] = []
    gc.callbacks.append(lambda phase, info: collected.append(phase))
    try:
        during = []
        for n in collected_between(range(1, 2 * EVERY + 1)):
            if n == 1:
                collected.clear()
            [[] for _ in range(2000)]  # enough for a collection, were it automatic
            held = [[n] for _ in range(2000)]
            during.append((n, len(collected)))
            del held
    finally:
        gc.callbacks.pop()
    assert gc.isenabled() and gc.get_freeze_count() == 0
    assert {count for n, count in during if n <= EVERY} == {0}
    assert {count for n, count in during if n > EVERY} == {2}, "the start and the stop of one"


def test_a_loop_that_breaks_leaves_collection_as_it_was():
    for n in collected_between(range(1, 10)):
        assert not gc.isenabled()
        if n == 3:
            break
    assert gc.isenabled()
