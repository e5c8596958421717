"""Every layout trains like one process, whatever else is set; a run goes on under another layout."""

import functools
import itertools
import secrets
from pathlib import Path
from typing import Any

import pytest
import ranks
import torch
from torch import Tensor

from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store
from llama_core.train import checkpoint
from llama_core.train.checkpoint import TrainState
from llama_core.train.distributed import World
from llama_core.train.optimizer import clip, make_optimizer, update
from llama_core.train.parallelize import build, init_weights
from llama_core.train.passes import IGNORED, backward, score

pytestmark = pytest.mark.timeout(1200)  # all cases of eight processes together, on a slow machine

VOCAB, BOS, STEPS = 324, 1, 10  # of the rows of a matrix, eight processes have unequal parts
SMALL = {
    "tokenizer.vocab_size": VOCAB,
    "model.dim": 40,
    "model.n_layers": 4,
    "model.n_heads": 4,
    "model.multiple_of": 4,
    "train.tokens": STEPS * 1024,
    "train.init_std": 0.1,
    "train.grad_clip": 0.5,
    "layout.micro_batch": 1,
}


Trained = dict[str, Any]  # what one process tells, see `train`


def recipe_of(world: World, settings: dict[str, Any]) -> Recipe:
    return load_recipe("micro", SMALL | {"launch.procs_per_node": world.size} | settings)


def batch(recipe: Recipe, n: int) -> Tensor:
    """Batch `n`: int64 (B, S + 1), in documents of 20 tokens."""
    generator = torch.Generator().manual_seed(n)
    size = (recipe.train.batch_sequences, recipe.train.seq_len + 1)
    tokens = torch.randint(3, VOCAB, size, generator=generator)
    return tokens.masked_fill_(torch.rand(size, generator=generator) < 1 / 20, BOS)


def train(
    world: World,
    settings: dict[str, Any],
    first: int = 1,
    last: int = STEPS,
    step: dict[str, Any] | None = None,
) -> Trained:
    """Train from update `first` to `last`. `step`: where a checkpoint is read before and written after.

    Returns the `curve`, the loss and the norm of the gradients of each step, and in the end the summed loss
    of `held_out` text, of all processes together; and of this process its `data_rank`, and what tokens of
    each step it has `seen`.
    """
    recipe = recipe_of(world, settings)
    parts = build(recipe, VOCAB, world)
    optimizer = make_optimizer(parts, recipe.train)
    mesh = parts.mesh
    if first == 1:
        init_weights(parts, recipe.train.init_std, recipe.train.seed)
    else:
        assert step is not None
        progress = checkpoint.load(Step.from_dict(step), parts, optimizer, world)
        assert progress is not None and progress.step == first - 1
    curve, seen = [], []
    for n in range(first, last + 1):
        whole = batch(recipe, n)
        mine = whole.chunk(mesh.data_size)[mesh.data_rank]
        rows = backward(parts, mine, recipe, BOS)
        assert rows.shape == mine.shape[:1] and rows.dtype == torch.float32
        norm, total = clip(parts.parameters(), recipe.train.grad_clip, rows)
        update(optimizer, n, recipe.train, norm.isfinite())
        curve.append((total.item() / recipe.train.global_batch_tokens, norm.item()))
        seen.append(mine.tolist())
    if step is not None and last < STEPS:
        state = TrainState(last, last * recipe.train.global_batch_tokens, "")
        checkpoint.save(Step.from_dict(step), parts, optimizer, state, world)
    held_out = batch(recipe, 0).chunk(mesh.data_size)[mesh.data_rank]
    targets = held_out[:, 1:].masked_fill(held_out[:, :-1] % 3 == 0, IGNORED)
    loss = world.sum(score(parts, held_out, targets, recipe, BOS).double().sum().item())[0]
    return {"curve": curve, "data_rank": mesh.data_rank, "seen": seen, "held_out": loss}


TOLERANCE = 1e-4
# The number of processes, and the layout.
LAYOUTS: dict[str, tuple[int, dict[str, Any]]] = {
    "FSDP 2": (2, {}),
    "TP 2": (2, {"tp": 2}),
    "TP 2 with loss parallel": (2, {"tp": 2, "loss_parallel": True}),
    "CP 2": (2, {"cp": 2}),
    "PP 2": (2, {"pp": 2}),
    "PP 2 interleaved": (2, {"pp": 2, "pp_schedule": "interleaved_1f1b"}),
    "PP 2 zero-bubble": (2, {"pp": 2, "pp_schedule": "interleaved_zero_bubble"}),
    "PP 2 ZBV": (2, {"pp": 2, "pp_schedule": "zbv_zero_bubble"}),
    "FSDP 4": (4, {}),
    "HSDP 2x2": (4, {"dp_replicate": 2}),
    "TP 4": (4, {"tp": 4}),
    "TP 4 with loss parallel": (4, {"tp": 4, "loss_parallel": True}),
    "FSDP x TP": (4, {"tp": 2, "loss_parallel": True}),
    "FSDP x CP": (4, {"cp": 2}),
    "CP x TP": (4, {"cp": 2, "tp": 2}),
    "FSDP x PP": (4, {"pp": 2}),
    "FSDP x PP ZBV": (4, {"pp": 2, "pp_schedule": "zbv_zero_bubble"}),
    "TP x PP": (4, {"tp": 2, "loss_parallel": True, "pp": 2, "pp_schedule": "interleaved_1f1b"}),
    "CP x PP": (4, {"cp": 2, "pp": 2}),
    "FSDP 8": (8, {}),
    "FSDP x TP x PP": (8, {"tp": 2, "pp": 2, "pp_schedule": "interleaved_zero_bubble"}),
    "HSDP x CP": (8, {"dp_replicate": 2, "cp": 2}),
    "HSDP x TP": (8, {"dp_replicate": 2, "tp": 2}),
    "CP x FSDP x TP": (8, {"cp": 2, "tp": 2, "loss_parallel": True}),
}
SETTINGS = ("documents", "accumulate", "recompute", "compile")
# Each layout is run with two of these; any two of the settings have all four pairs of values among the four.
PAIRS = [(a, b, a ^ b, c) for a, b, c in itertools.product((False, True), repeat=3)]


EAGER = ("FSDP 8", "HSDP x CP", "HSDP x TP")  # eight compilers on two cores take a minute for each layout


def choices(n: int, name: str) -> list[tuple[bool, ...]]:
    """The settings that layout `n` is run with: two that differ in all."""
    one = PAIRS[n % len(PAIRS)]
    both = [one, tuple(not value for value in one)]
    return [(*chosen[:-1], False) for chosen in both] if name in EAGER else both


CASES = [(name, chosen) for n, name in enumerate(LAYOUTS) for chosen in choices(n, name)]


def is_slow(name: str, chosen: tuple[bool, ...]) -> bool:
    return LAYOUTS[name][0] > 2 or chosen[SETTINGS.index("compile")]


def settings(name: str, chosen: tuple[bool, ...]) -> dict[str, Any]:
    size, layout = LAYOUTS[name]
    documents, accumulate, recompute, compiled = chosen
    pp = layout.get("pp", 1)
    turn = pp * (2 if layout.get("pp_schedule") == "zbv_zero_bubble" else 1)
    data = size // (pp * layout.get("tp", 1) * layout.get("cp", 1))
    return {
        **{f"layout.{key}": value for key, value in layout.items()},
        "train.document_mask": documents,
        "layout.micro_batch": 16 // data // turn // (2 if accumulate else 1),
        "layout.activation_checkpointing": "full" if recompute else "none",
        "layout.compile": compiled,
    }


def train_all(world: World, all_settings: list[dict[str, Any]]) -> list[Trained]:
    return [train(world, each) for each in all_settings]


@functools.cache
def results(size: int, slow: bool) -> dict[Any, list[Trained]]:
    """What each process of all cases of a size has to tell, by the case: they have the same processes."""
    cases = [case for case in CASES if LAYOUTS[case[0]][0] == size and is_slow(*case) == slow]
    found = ranks.call(size, train_all, [settings(*case) for case in cases], timeout=1100 if slow else 240)
    return {case: [of_rank[n] for of_rank in found] for n, case in enumerate(cases)}


@functools.cache
def alone() -> dict[bool, Trained]:
    """One process, with documents that see each other and that do not."""
    both = [{"layout.micro_batch": 16, "train.document_mask": mask} for mask in (False, True)]
    [(seeing, apart)] = ranks.call(1, train_all, both)
    return {False: seeing, True: apart}


def assert_alike(curve: list[tuple[float, float]], expected: list[tuple[float, float]]) -> None:
    assert len(curve) == len(expected) == STEPS
    for (loss, norm), (expected_loss, expected_norm) in zip(curve, expected, strict=True):
        assert loss == pytest.approx(expected_loss, rel=TOLERANCE)
        assert norm == pytest.approx(expected_norm, rel=TOLERANCE)


def test_clipping_bites_and_documents_matter() -> None:
    for trained in alone().values():
        assert sum(norm > SMALL["train.grad_clip"] for _, norm in trained["curve"]) >= 3
    assert abs(alone()[True]["curve"][0][0] - alone()[False]["curve"][0][0]) > 1e-3


def test_every_pair_of_settings_occurs_and_every_layout_has_them_all() -> None:
    for a, b in itertools.combinations(range(len(SETTINGS)), 2):
        assert {(chosen[a], chosen[b]) for _, chosen in CASES} == set(
            itertools.product((False, True), repeat=2)
        )
    for name in LAYOUTS:
        for n in range(len(SETTINGS)):
            expected = {False} if name in EAGER and SETTINGS[n] == "compile" else {False, True}
            assert {chosen[n] for of, chosen in CASES if of == name} == expected


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        pytest.param(
            name,
            chosen,
            marks=[pytest.mark.slow] if is_slow(name, chosen) else [],
            id=", ".join([name, *(word for word, on in zip(SETTINGS, chosen, strict=True) if on)]),
        )
        for name, chosen in CASES
    ],
)
def test_a_layout_trains_like_one_process(name: str, chosen: tuple[bool, ...]) -> None:
    found = results(LAYOUTS[name][0], is_slow(name, chosen))[name, chosen]
    expected = alone()[chosen[0]]
    assert_alike(found[0]["curve"], expected["curve"])
    assert found[0]["held_out"] == pytest.approx(expected["held_out"], rel=TOLERANCE)
    seen = {of_rank["data_rank"]: of_rank["seen"] for of_rank in found}
    for n in range(STEPS):
        whole = [row for rank in sorted(seen) for row in seen[rank][n]]
        assert whole == expected["seen"][n]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("FSDP 2", "TP 2"),
        ("PP 2", "FSDP 2"),
        *(
            pytest.param(before, after, marks=pytest.mark.slow)
            for before, after in [
                ("TP 2", "CP 2"),
                ("CP 2", "PP 2 ZBV"),
                ("CP 2", "FSDP x TP"),
                ("PP 2 interleaved", "TP x PP"),
                ("FSDP x PP", "FSDP x TP x PP"),
                ("FSDP x TP", "HSDP 2x2"),
                ("HSDP 2x2", "TP 4"),
                ("TP 4", "FSDP x CP"),
                ("CP x TP", "FSDP 2"),
                ("FSDP x TP", "CP x FSDP x TP"),
                ("CP x FSDP x TP", "FSDP 8"),
                ("FSDP 8", "HSDP x TP"),
                ("HSDP x TP", "FSDP 4"),
            ]
        ),
    ],
)
def test_a_run_goes_on_under_another_layout(tmp_path: Path, before: str, after: str) -> None:
    step = Step(Store(str(tmp_path)), "train", 1, {"test": secrets.token_hex(8)}).as_dict()
    eager = (True, False, False, False)
    curve = []
    for name, first, last in ((before, 1, 5), (after, 6, STEPS)):
        found = ranks.call(LAYOUTS[name][0], train, settings(name, eager), first, last, step, timeout=200)
        curve += found[0]["curve"]
        seen = {of_rank["data_rank"]: of_rank["seen"] for of_rank in found}
        for n in range(last - first + 1):
            whole = [row for rank in sorted(seen) for row in seen[rank][n]]
            assert whole == alone()[True]["seen"][first - 1 + n]
    assert_alike(curve, alone()[True]["curve"])
