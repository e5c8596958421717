"""Verdicts on likelihoods that are given: perplexity and total, MC1 and MC2."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import small_benchmarks as small

from llama_core.evaluate.benchmark import Likelihood, Result, Verdict
from llama_core.evaluate.benchmarks import BENCHMARKS


def judged(name: str, number: int, answers: Sequence[Likelihood]) -> tuple[Any, Verdict, Result]:
    """An item of a small set, the verdict on it, and the result of that alone."""
    benchmark = BENCHMARKS[name]
    item, variant = small.load(benchmark).items[number], benchmark.variants[0]
    verdict = benchmark.judge(item, variant, answers)
    return item, verdict, benchmark.figures(variant, [(item, verdict)])


@pytest.mark.parametrize(
    ("more", "less", "by_perplexity", "by_total"),
    [
        (Likelihood(-8.0, 4), Likelihood(-6.0, 2), 1, 0),
        (Likelihood(-6.0, 2), Likelihood(-8.0, 4), 0, 1),
        (Likelihood(-6.0, 3), Likelihood(-6.0, 3), 0, 0),
    ],
)
def test_perplexity_is_by_token_and_the_total_stands_beside_it(
    more: Likelihood, less: Likelihood, by_perplexity: int, by_total: int
) -> None:
    _, verdict, result = judged("crows_pairs", 0, [more, less])
    assert (verdict.score, result.score) == (by_perplexity, by_perplexity)
    assert result.figures == {"age": by_perplexity, "stereotype preferred by total likelihood": by_total}
    for number, gold in ((0, 0), (3, 1)):
        item, verdict, result = judged("winogender", number, [more, less] if gold == 0 else [less, more])
        assert item.gold == gold
        assert (verdict.score, result.score) == (by_perplexity, by_perplexity)
        assert result.figures["accuracy by total likelihood"] == by_total


def nats(*values: float) -> list[Likelihood]:
    return [Likelihood(value, 1) for value in values]


def test_mc1_is_against_its_own_false_answers_and_as_likely_is_not_enough() -> None:
    best, against, other_true, other_false = -2.0, -3.0, -1.0, -1.5
    _, verdict, result = judged("truthfulqa", 0, nats(best, against, other_true, other_false))
    assert (verdict.score, result.metric, result.score, result.chance) == (1, "MC1", 1, 0.5)
    assert judged("truthfulqa", 0, nats(best, best, other_true, other_false))[1].score == 0
    assert judged("truthfulqa", 1, nats(-2.0, -3.0, -1.0))[1].score == 0


def test_mc2_is_the_share_of_true_answers_however_unlikely_all_are() -> None:
    values = [-2.0, -3.0, -1.0, -1.5]
    true, false = math.exp(-2.0) + math.exp(-1.0), math.exp(-3.0) + math.exp(-1.5)
    for shift in (0.0, -1e4):
        *_, result = judged("truthfulqa", 0, nats(*(value + shift for value in values)))
        assert result.figures == {"MC2": pytest.approx(true / (true + false))}
