"""Every element of a tensor is written once, by a rank that has it, and is found from any other layout."""

import itertools
import random
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from llama_core.step import Step
from llama_core.store import Store, to_json
from llama_core.train.checkpoints import files
from llama_core.train.checkpoints.layout import Box, Layout, Parameter, Parts, Split

KINDS = ("model", "exp_avg", "exp_avg_sq")


def drawn(seed: int, shapes: dict[str, tuple[int, ...]] | None = None) -> Layout:
    """A layout of a few tensors, most of whose parts are unequal and some empty."""
    rng = random.Random(seed)
    pp = rng.choice([1, 1, 2, 3])
    grid = (pp, rng.choice([1, 2]), rng.choice([1, 2, 3, 5]), rng.choice([1, 2, 4]))
    shapes = shapes or {
        name: tuple(rng.randint(1, 13) for _ in range(rng.choice([1, 2]))) for name in "abcdef"
    }
    parameters = {}
    for name, shape in shapes.items():
        splits = [Split(axis="tp", dim=rng.randrange(len(shape)))] if rng.random() < 0.7 else []
        splits += [Split(axis="fsdp", dim=0)] if rng.random() < 0.9 else []
        dtype = "bfloat16" if name == "f" else "float32"
        parameters[name] = Parameter(dtype=dtype, shape=shape, pp=rng.randrange(pp), splits=tuple(splits))
    return Layout(grid, KINDS, parameters, piece=rng.choice([1, 16, 100, 10_000]))


def slices(box: Box) -> tuple[slice, ...]:
    return tuple(slice(start, stop) for start, stop in box)


@pytest.mark.parametrize("seed", range(30))
def test_each_element_is_written_once_and_its_holders_are_known(seed: int) -> None:
    layout = drawn(seed)
    rng = random.Random(seed)
    parts = [layout.parts(rank) for rank in range(layout.size)]
    for name, parameter in layout.parameters.items():
        written = np.zeros(parameter.shape, int)
        for of_rank in parts:
            if name in of_rank:
                written[slices(of_rank[name].box)] += 1
        assert (written == 1).all()
        ends = [sorted((rng.randint(0, n), rng.randint(0, n))) for n in parameter.shape]
        need = tuple((start, stop) for start, stop in ends)
        wanted = np.zeros(parameter.shape, bool)
        wanted[slices(need)] = True
        holders = {rank for rank, p in enumerate(parts) if name in p and wanted[slices(p[name].box)].any()}
        found = list(layout.holders(name, need))
        assert sorted(found) == sorted(holders)


@pytest.mark.parametrize("seed", range(30))
def test_any_layout_reads_any_other(seed: int, store: Store) -> None:
    layout = drawn(seed)
    generator = torch.Generator().manual_seed(seed)
    values = {
        (kind, name): torch.randn(p.shape, generator=generator).to(files.DTYPES[p.dtype])
        for kind, (name, p) in itertools.product(KINDS, layout.parameters.items())
    }
    step = Step(store, "train", 1, {})
    with step.shard("step-00000001") as shard:
        for rank in range(layout.size):
            parts = layout.parts(rank)

            def part_of(kind: str, name: str, parts: Parts = parts) -> list[Tensor]:
                return [values[kind, name][slices(parts[name].box)]]

            files.write(shard, layout, rank, part_of)
        shard.publish_bytes(f"{shard.name}/layout.json", to_json(layout.as_dict()))
    committed = step.committed("step-00000001")
    assert committed
    shapes = {name: p.shape for name, p in layout.parameters.items()}
    other = drawn(seed + 1000, shapes)
    for rank in range(other.size):
        reader = files.Reader(step.folder, committed)
        assert reader.layout.parameters == layout.parameters
        place, targets = other.place_of(rank), {}
        wanted: list[files.Piece] = []
        for name, parameter in other.parameters.items():
            need = other.box_of(parameter, place)
            for kind in KINDS:
                dtype = files.DTYPES[layout.parameters[name].dtype]
                target = torch.full([b - a for a, b in need], 7.0, dtype=dtype)
                targets[kind, name] = need, target
                wanted += reader.pieces(kind, name, need, partial(files.paste, target, need))
        reader.read(wanted)
        for key, (need, target) in targets.items():
            assert torch.equal(target, values[key][slices(need)]), key
        needed = {r for n, p in other.parameters.items() for r in layout.holders(n, other.box_of(p, place))}
        assert reader._tables.keys() == needed, "no other table is opened"
