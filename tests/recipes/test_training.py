"""The lengths of a training, as pure functions of the recipe: steps, batches and tokens."""

from typing import Any

import pytest

from llama_core.errors import RecipeError
from llama_core.recipes.load import load_recipe
from llama_core.recipes.training import Train


def train(**values: Any) -> Train:
    return Train(**({"tokens": 100_000, "seq_len": 10, "global_batch_tokens": 400, "lr": 1.0} | values))


@pytest.mark.parametrize("name", ["micro", "tiny", "7b", "33b"])
def test_without_a_ramp_every_batch_has_the_same_size(name: str) -> None:
    cfg = load_recipe(name).train
    assert cfg.batches == [cfg.batch_sequences] and cfg.steps == cfg.tokens // cfg.global_batch_tokens
    for step in (1, 2, 1000, 250_001):
        assert cfg.tokens_before(step) == (step - 1) * cfg.global_batch_tokens
        assert cfg.sequences_at(step) == cfg.batch_sequences
        assert cfg.sequences_before(step) == (step - 1) * cfg.batch_sequences


@pytest.mark.parametrize("ramp", [[[1000, 100]], [[1000, 100], [2050, 200]], [[95, 100], [5001, 300]]])
def test_a_ramp_grows_batch_by_batch_and_leaves_no_sequence_out(ramp: list[list[int]]) -> None:
    cfg = train(batch_ramp=ramp, warmup_steps=0)
    assert cfg.batches == [size // 10 for _, size in ramp] + [40]
    seen = 0
    for step in range(1, cfg.steps + 1):
        assert cfg.sequences_before(step) * 10 == cfg.tokens_before(step) == seen
        size = next((size for until, size in ramp if seen < until), 400)
        assert cfg.tokens_at(step) == cfg.sequences_at(step) * 10 == size
        seen += size
    assert 100_000 - 400 < seen <= 100_000


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"batch_ramp": [[512]]}, r"\[512\] is no pair"),
        ({"batch_ramp": [[0, 512]]}, "is no pair"),
        ({"batch_ramp": [[512, -512]]}, "is no pair"),
        ({"batch_ramp": [[4096, 500]]}, "batch_ramp 500 must be a multiple of seq_len 64"),
        ({"batch_ramp": [[4096, 1024]]}, "smaller than global_batch_tokens 1024"),
        ({"batch_ramp": [[4096, 512], [8192, 256]]}, "larger than the one before"),
        ({"batch_ramp": [[500, 512], [510, 768]]}, "larger than what the batches before it add up to"),
        ({"batch_ramp": [[40_960, 512]]}, "leave no batch after it"),
        ({"batch_ramp": [[4096, 64]]}, "batch of 1 sequences does not divide over 2 data.*: 1 in all would"),
        ({"batch_ramp": [[4096, 256], [8192, 768]]}, "4 sequences .* 2 processes x .*micro_batch 8: 2 does"),
        ({"batch_ramp": "[[4096, x]]"}, "batch_ramp.0.1"),
        ({"decay_tokens": 1024}, "of no use without schedule: wsd"),
        ({"decay_shape": "linear"}, "of no use without schedule: wsd"),
        ({"schedule": "wsd", "decay_tokens": 40_960}, "warmup_steps 4 there are 36864 tokens"),
        ({"schedule": "wsd", "warmup_steps": 2000}, "there are 0 tokens"),
        ({"schedule": "linear"}, "'cosine' or 'wsd'"),
        ({"start_from": {"step": "train/0123456789abcdef"}}, "start_from.at is missing"),
        (
            {"start_from.stp": "x"},
            r"train.start_from.stp is not a key \(did you mean 'step'\?\); allowed: step, at",
        ),
        ({"start_from": {"step": "tokens/0123456789abcdef", "at": 1}}, "start_from.step"),
        ({"start_from": {"step": "../0123456789abcdef", "at": 1}}, "start_from.step"),
        ({"start_from.step": "train/0123456789abcdef", "start_from.at": 40}, "leaves nothing of 40 steps"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_with_its_numbers(overrides: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        load_recipe("micro", {f"train.{key}": value for key, value in overrides.items()})


def test_the_papers_recipes_state_what_the_paper_does_not() -> None:
    for name in ("7b", "13b", "33b", "65b"):
        recipe = load_recipe(name)
        assert (recipe.train.schedule, recipe.train.batch_ramp) == ("cosine", [])
        stated = recipe.model.model_fields_set | recipe.train.model_fields_set
        assert {"norm_eps", "adam_eps"} <= stated
        assert (recipe.model.norm_eps, recipe.train.adam_eps) == (1e-6, 1e-8)
