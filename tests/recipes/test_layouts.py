"""A layout that cannot be had is refused when its recipe is loaded, with the nearest ones that can."""

import itertools

import pytest

from llama_core.errors import RecipeError
from llama_core.recipe import Recipe
from llama_core.recipes.layouts import near
from llama_core.recipes.load import load_recipe


@pytest.mark.parametrize(
    ("recipe", "overrides", "says"),
    [
        ("7b", {"tp": 3}, "layout.tp 3 does not divide 32 heads (model.n_heads): 2 or 4 do"),
        ("33b", {"tp": 8}, "layout.tp 8 does not divide 52 heads (model.n_heads): 4 does"),
        ("13b", {"tp": 40}, "tp 40 does not divide 13824 hidden units of a feed-forward layer"),
        ("65b", {"pp": 3}, "layout.pp 3 does not divide 80 blocks (model.n_layers): 2 or 4 do"),
        ("7b", {"cp": 3}, "layout.cp 3 does not cut train.seq_len 2048 into 6 equal chunks: 2 or 4 do"),
        (
            "7b",
            {"dp_replicate": 5},
            "divide 128 processes: layout.dp_replicate 4 or 8, or 125 or 130 proc",
        ),
        ("7b", {"tp": 2, "cp": 128}, "layout.cp 128 x layout.tp 2 = 256 does not divide 128 processes"),
        ("65b", {"tp": 1, "loss_parallel": False}, "2048 processes x layout.micro_batch 8: 1 does"),
        ("65b", {"tp": 8, "micro_batch": 3}, "x layout.micro_batch 3: 2 or 4 do"),
        ("7b", {"loss_parallel": True}, "layout.loss_parallel is of no use with layout.tp 1"),
        ("micro", {"tp": 2, "async_tp": True}, "layout.async_tp needs GPUs"),
        ("7b", {"tp": 2, "async_tp": True, "compile": False}, "set layout.compile to true"),
    ],
)
def test_an_impossible_layout_is_refused_with_the_nearest_that_can_be(
    recipe: str, overrides: dict, says: str
) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe(recipe, {f"layout.{name}": value for name, value in overrides.items()})
    assert says in str(error.value)


def test_a_vocabulary_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(RecipeError, match="does not divide 32001 pieces .tokenizer.vocab_size.: 1 does"):
        load_recipe("7b", {"layout.tp": 2, "tokenizer.vocab_size": 32001})


def test_float8_is_refused_where_it_cannot_be() -> None:
    load_recipe("7b", {"train.float8": "rowwise"})
    with pytest.raises(RecipeError, match="float8 rowwise is not made for matrices that layout.tp 2 shares"):
        load_recipe("13b", {"train.float8": "rowwise"})
    with pytest.raises(RecipeError, match="float8 tensorwise needs launch.device cuda"):
        load_recipe("micro", {"train.float8": "tensorwise", "train.precision": "bf16"})


def test_what_is_said_to_be_possible_is_so() -> None:
    with pytest.raises(RecipeError, match="does not divide over 96 data-parallel .*: 64 or 128 in all would"):
        load_recipe("7b", {"launch.nodes": 12})
    for nodes in (8, 16):
        load_recipe("7b", {"launch.nodes": nodes})
    with pytest.raises(RecipeError, match="layout.micro_batch 23: 16 or 32 do"):
        load_recipe("7b", {"launch.nodes": 1, "layout.micro_batch": 23})
    for micro_batch in (16, 32):
        load_recipe("7b", {"launch.nodes": 1, "layout.micro_batch": micro_batch})


def test_every_layout_that_is_allowed_uses_every_process_once() -> None:
    allowed = 0
    for sizes in itertools.product((1, 2, 3, 4), repeat=4):
        layout = dict(zip(("pp", "dp_replicate", "cp", "tp"), sizes, strict=True))
        try:
            recipe: Recipe = load_recipe(
                "micro",
                {
                    "layout": layout | {"micro_batch": 1},
                    "launch.procs_per_node": 16,
                    "model": {"n_layers": 4, "n_heads": 4, "dim": 32},
                },
            )
        except RecipeError:
            continue
        allowed += 1
        pp, dp_replicate, cp, tp = sizes
        assert pp * dp_replicate * recipe.layout.dp_shard(16) * cp * tp == 16
    assert allowed > 20


def test_near_is_the_next_on_either_side() -> None:
    assert near(5, 100, lambda n: 96 % n == 0) == [4, 6]
    assert near(3, 3, lambda n: n == 1) == [1]
    assert near(500, 96, lambda n: 96 % n == 0) == [96]
    assert near(2, 10**15, lambda n: n == 1) == [1], "it is found at once"


def test_a_huge_number_is_refused_at_once() -> None:
    for key in ("tp", "pp", "cp", "dp_replicate", "micro_batch"):
        with pytest.raises(RecipeError, match="layout"):
            load_recipe("7b", {f"layout.{key}": 2**62, "model.n_layers": 2**61 - 1})
    prime = 2**61 - 1
    with pytest.raises(RecipeError, match=f"layout.tp 2 does not divide {prime} heads .*: 1 does"):
        load_recipe("7b", {"layout.tp": 2, "model.n_heads": prime, "model.dim": 2 * prime})
