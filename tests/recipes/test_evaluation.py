"""Which checkpoints are evaluated, and where: no address knows of it."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_core.errors import RecipeError
from llama_core.recipe import Recipe
from llama_core.recipes.evaluation import At, step_at
from llama_core.recipes.load import load_recipe
from llama_core.recipes.training import Train

RAMP: list[list[int]] = [[10_000, 1024], [30_000, 2048]]


@given(
    tokens=st.integers(40_000, 400_000),
    every=st.integers(1, 500_000),
    ramp=st.sampled_from([[], RAMP]),
)
def test_the_first_checkpoint_after_each_multiple_is_evaluated_and_the_last_is_left_out(
    tokens: int, every: int, ramp: list[list[int]]
) -> None:
    train = Train(tokens=tokens, seq_len=64, global_batch_tokens=4096, batch_ramp=ramp, lr=1e-3)
    seen = [train.tokens_before(n + 1) for n in range(train.steps + 1)]
    wanted = [n for n, (a, z) in enumerate(pairwise(seen), 1) if a // every < z // every and n < train.steps]
    assert At(every=every).steps(train) == wanted
    for n in wanted[:3]:
        assert step_at(train, seen[n] // every * every) == n
    assert step_at(train, seen[-1] + 1) == train.steps and step_at(train, 1) == 1


def test_by_default_none_is() -> None:
    recipe = load_recipe("65b")
    assert recipe.evaluate.at.steps(recipe.train) == []


def test_the_paper_sized_training_is_evaluated_each_50_billion_tokens() -> None:
    recipe = load_recipe("65b", {"evaluate.at": "{every: 50e9}"})
    steps = recipe.evaluate.at.steps(recipe.train)
    assert len(steps) == 27 and steps[0] == 11_921
    assert all(
        recipe.train.tokens_before(n + 1) // 10**9 in (50 * k, 50 * k + 1) for k, n in enumerate(steps, 1)
    )


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({}, ("local", 4, 8, "cuda")),
        ({"launch.launcher": "slurm", "evaluate.launch.nodes": 3}, ("slurm", 3, 8, "cuda")),
        ({"evaluate.launch": "null"}, ("local", 256, 8, "cuda")),
        ({"evaluate.launch": "{device: cpu, procs_per_node: 1}"}, ("local", 4, 1, "cpu")),
    ],
)
def test_an_evaluation_runs_as_the_training_but_for_what_it_names(
    overrides: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    recipe = load_recipe("65b", overrides)
    launch = recipe.evaluation_launch
    assert (launch.launcher, launch.nodes, launch.procs_per_node, launch.device) == expected
    assert Recipe.model_validate(recipe.model_dump(mode="json", by_alias=True)) == recipe


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"evaluate.at.every": -1}, r"evaluate\.at\.every"),
        ({"evaluate.at.each": 1}, r"evaluate\.at\.each is not a key"),
        ({"evaluate.at.tasks": "[chess]"}, "no benchmark 'chess'"),
        ({"evaluate.launch.gpus": 1}, r"evaluate\.launch\.gpus is not a key"),
        ({"evaluate.heldout_bytes": 10**9}, r"evaluate\.heldout_bytes"),
        ({"train.float8": "rowwise", "evaluate.launch.device": "cpu"}, r"evaluate\.launch\.device cuda"),
    ],
)
def test_what_cannot_be_had_is_said_by_its_key(overrides: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        load_recipe("7b", overrides)
