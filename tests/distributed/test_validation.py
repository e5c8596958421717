"""Validation in the loop scores as `evaluate` does, on every layout, and moves no bit of the training."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from programs import run as run_program
from trainings import HELD_OUT

from llama_core.artifact import Artifact
from llama_core.evaluate.score import Scorer
from llama_core.recipes.load import load_recipe
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokens.heldout import bits_per_byte, texts, windows
from llama_core.train import checkpoint
from llama_core.train.distributed import World
from llama_core.train.metrics.names import VALIDATION
from llama_core.train.parallelize import build
from llama_core.train.passes import IGNORED
from llama_core.train.validation import rows_of

SOURCES = ("code", "docs")
BOS = 1


def scores(training: Any) -> dict[int, dict[str, float]]:
    """By step and source."""
    found = {
        r["step"]: {k.removeprefix(VALIDATION): v for k, v in r.items() if k.startswith(VALIDATION)}
        for r in training.records()
    }
    return {step: values for step, values in found.items() if values}


def curve(training: Any) -> list[tuple[float, float]]:
    return [(r["loss"], r["grad_norm"]) for r in training.records()]


EVERY_5 = {"run.validate_every": 5 * 1024, "run.validate_bytes": 10_000}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_leaves_the_training_as_it_is_to_the_bit(validated: Callable[..., Any], precision: str) -> None:
    plain, with_it = (
        validated(**{"train.precision": precision, "run.validate_every": every, "run.validate_bytes": 10_000})
        for every in (0, 5 * 1024)
    )
    plain.run(1)
    with_it.run(1)
    assert scores(plain) == {} and list(scores(with_it)) == [5, 10, 15, 20]
    assert curve(with_it) == curve(plain)
    assert with_it.artifact().digest == plain.artifact().digest


@pytest.mark.parametrize("documents", [True, False])
def test_it_gives_the_bits_per_byte_that_evaluate_gives(
    validated: Callable[..., Any], prepared: Artifact, documents: bool
) -> None:
    run = validated(**EVERY_5, **{"train.document_mask": documents})
    run.run(1)
    artifact, recipe = run.artifact(), run.job.recipe
    tokenizer = Tokenizer.load(run.job.input("tokenizer"))
    world = World(0, 1, torch.device("cpu"))
    model = build(recipe, tokenizer.n_words, world)
    checkpoint.load_weights(artifact.store, checkpoint.final(artifact), model, world)
    scorer = Scorer(model.whole, recipe.train.seq_len, 4096, world)
    for source, found in scores(run)[20].items():
        chosen = texts(prepared, source, 10_000)
        assert sorted(chosen) == sorted(f"{source} {text}" for text in HELD_OUT)
        expected = sum(scorer.rolling([tokenizer.encode(text) for text in chosen], tokenizer.bos_id))
        n_bytes = sum(len(text.encode()) for text in chosen)
        assert found == pytest.approx(bits_per_byte(expected, n_bytes), abs=2e-5)
    assert len(scores(run)[20]) == 2


@pytest.mark.slow
def test_processes_share_it_and_the_training_losses_stay_theirs(validated: Callable[..., Any]) -> None:
    alone, plain, two = validated(**EVERY_5), validated(**{"run.validate_every": 0}), validated(**EVERY_5)
    alone.run(1)
    plain.run(2)
    two.run(2)
    assert curve(two) == curve(plain)
    for step, expected in scores(alone).items():
        assert scores(two)[step] == pytest.approx(expected, abs=2e-4), step


@pytest.mark.slow
@pytest.mark.parametrize("layout", [{"tp": 2}, {"cp": 2}, {"tp": 2, "loss_parallel": False}])
def test_other_layouts_give_the_same(validated: Callable[..., Any], layout: dict[str, Any]) -> None:
    alone, other = validated(**EVERY_5), validated(**EVERY_5)
    alone.run(1)
    other.run(2, **layout)
    for step, expected in scores(alone).items():
        assert scores(other)[step] == pytest.approx(expected, abs=2e-4), step


def test_where_nothing_is_held_out_the_log_says_so(training: Callable[..., Any]) -> None:
    run = training(**{"train.tokens": 1024})
    assert "no validation, since no text is held out" in run.run(1)
    assert scores(run) == {}


def test_damaged_text_costs_the_validation_alone(validated: Callable[..., Any]) -> None:
    run = validated(**EVERY_5, **{"train.tokens": 1024})
    script = f"""
import sys
from llama_core.errors import DamagedError
from llama_core.train import validation
def damaged(*_):
    raise DamagedError("heldout.parquet is damaged")
validation.texts = damaged
from llama_core.train.run import main
sys.exit(main({run.publish()!r}))
"""
    done = run_program("-c", script)
    assert done.returncode == 0, done.stdout
    assert len(run.records()) == 1 and scores(run) == {}


@given(
    texts=st.lists(st.lists(st.integers(3, 50), min_size=1, max_size=40), min_size=1, max_size=8),
    seq_len=st.integers(2, 12),
    joined=st.booleans(),
)
def test_rows_score_each_token_once_after_what_comes_before_it(
    texts: list[list[int]], seq_len: int, joined: bool
) -> None:
    pairs = [pair for text in texts for pair in windows(text, BOS, seq_len)]
    rows = rows_of(pairs, BOS, seq_len, joined)
    scored = [target for _, targets in rows for target in targets if target != IGNORED]
    assert scored == [token for text in texts for token in text]
    for tokens, targets in rows:
        assert len(tokens) == seq_len + 1 and len(targets) == seq_len
        assert all(t in (IGNORED, token) for t, token in zip(targets, tokens[1:]))
        assert joined or BOS not in tokens[1:], "a text that is not masked off would be seen"


def test_the_presets_validate_each_so_many_tokens() -> None:
    assert load_recipe("65b").run.validate_every == 10**9
    for name in ("micro", "tiny"):
        recipe = load_recipe(name)
        assert 3 <= recipe.train.tokens / recipe.run.validate_every <= 5
