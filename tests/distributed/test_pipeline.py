"""A pipeline has every block once, in balanced stages, and scores text as one process does."""

import pytest
import ranks
import torch

from llama_core.errors import RecipeError
from llama_core.recipes.load import load_recipe
from llama_core.recipes.training import Model
from llama_core.train.parallel.pipeline import cut
from llama_core.train.parallelize import build, init_weights
from llama_core.train.passes import score

SMALL = {"model.n_layers": 4, "train.init_std": 0.1, "layout.micro_batch": 2}


def score_all(world, settings):
    recipe = load_recipe("micro", SMALL | {"launch.procs_per_node": world.size} | settings)
    parts = build(recipe, 320, world)
    init_weights(parts, 0.1, 1)
    names = [name for name, _ in parts.named_parameters()]
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 320, (8, 65), generator=generator)
    rows = score(parts, tokens, tokens[:, 1:], recipe, 1)
    assert [name for name, _ in parts.named_parameters()] == names
    return rows.tolist(), names


@pytest.mark.parametrize("schedule", ["1f1b", "interleaved_1f1b", "zbv_zero_bubble"])
def test_a_pipeline_has_the_weights_and_the_scores_of_one_process(schedule):
    [(expected, names)] = ranks.call(1, score_all, {})
    found = ranks.call(2, score_all, {"layout.pp": 2, "layout.pp_schedule": schedule})
    rows = [sum(of_ranks) for of_ranks in zip(*(rows for rows, _ in found), strict=True)]
    assert rows == pytest.approx(expected, rel=1e-5)
    assert sorted(names) == sorted(name for _, of_rank in found for name in of_rank)


@pytest.mark.parametrize(("n_layers", "n_stages"), [(2, 2), (7, 3), (32, 8), (80, 16)])
def test_stages_have_all_blocks_and_the_first_and_last_fewer(n_layers, n_stages):
    model = Model(dim=64, n_layers=n_layers, n_heads=4, multiple_of=32)
    block = 4 * 64**2 + 3 * 64 * model.ffn_dim
    stages = cut(model, block // 64, n_stages)  # the embeddings weigh as much as a block
    assert [n for blocks in stages for n in blocks] == list(range(n_layers))
    sizes = [len(blocks) for blocks in stages]
    sizes[0] += 1
    sizes[-1] += 1
    assert max(sizes) == -(-(n_layers + 2) // n_stages)


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ({"pp_schedule": "interleaved_1f1b"}, "is of no use with layout.pp 1"),
        ({"pp": 4, "pp_schedule": "interleaved_1f1b"}, "makes 8 stages of 4 blocks"),
        ({"pp": 4, "micro_batch": 8}, "are not a multiple of 4 micro-batches.*: 4 does"),
        ({"pp": 2, "micro_batch": 8, "pp_schedule": "zbv_zero_bubble"}, "a multiple of 4 micro-batches"),
    ],
)
def test_a_pipeline_that_cannot_be_filled_is_refused_when_the_recipe_is_loaded(layout, said):
    settings = {f"layout.{name}": value for name, value in layout.items()}
    with pytest.raises(RecipeError, match=said):
        load_recipe("micro", SMALL | {"launch.procs_per_node": layout.get("pp", 1)} | settings)
