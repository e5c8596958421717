"""Problems whose solution is worked out in words before its answer: GSM8k and MATH (section 3.5, Table 7).

As in Minerva's evaluation, the same published examples stand before every problem, and the answer is taken
once from the most likely text (`greedy`), and once by the vote of texts that are drawn (`maj1@k`).
"""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from llama_core.evaluate.benchmark import (
    Answer,
    Benchmark,
    Generation,
    Request,
    Result,
    Variant,
    Verdict,
    mean,
    texts_of,
)
from llama_core.evaluate.benchmarks.choices import by_group
from llama_core.evaluate.judge.vote import vote

EXAMPLES = resources.files("llama_core.evaluate.benchmarks") / "examples"
SHOWN_VOTES = 10  # different answers of an item whose votes are told
TEMPERATURE, TOP_P = 0.6, 0.95  # of the texts that vote


@dataclass(frozen=True)
class Problem:
    """A problem and its solution."""

    id: str
    problem: str
    solution: str
    """The way to the answer, as it stands in the prompt where the problem is an example."""
    answer: str
    """The right answer, normalised."""
    groups: tuple[str, ...] = ()
    """The parts of the benchmark that it belongs to."""


class Worked(Benchmark[Problem]):
    """A benchmark of such problems."""

    most_new_tokens: int
    stop: tuple[str, ...]

    @abc.abstractmethod
    def prompt(self, item: Problem, shots: Sequence[Problem]) -> str:
        """Return what the model continues."""

    @abc.abstractmethod
    def answer_of(self, text: str) -> str | None:
        """Return the normalised answer in what a model has written, or None."""

    def is_right(self, answer: str, item: Problem) -> bool:
        """Tell whether a normalised answer is the item's."""
        return answer == item.answer

    def requests(self, item: Problem, shots: Sequence[Problem], variant: Variant) -> list[Request]:
        return [
            Generation(
                self.prompt(item, shots),
                self.most_new_tokens,
                self.stop,
                variant.samples,
                variant.temperature,
                variant.top_p,
            )
        ]

    def judge(self, item: Problem, variant: Variant, answers: Sequence[Answer]) -> Verdict:
        """Return 1 where the answer of most texts is right; texts without an answer have no vote."""
        found = [self.answer_of(text) for text in texts_of(answers[0])[: _votes(variant)]]
        chosen, counts = vote(found)
        right = chosen is not None and self.is_right(chosen, item)
        answered = sum(counts.values()) / len(found)
        details: dict[str, Any] = {"answer": chosen, "gold": item.answer, "answered": answered}
        if len(found) > 1:
            details["votes"] = dict(list(counts.items())[:SHOWN_VOTES])
        return Verdict(float(right), details)

    def figures(self, variant: Variant, judged: Sequence[tuple[Problem, Verdict]]) -> Result:
        """Return the share of problems that are solved, in all and in each group."""
        score, stderr = mean([verdict.score for _, verdict in judged])
        figures = by_group((group, verdict.score) for item, verdict in judged for group in item.groups)
        figures["texts with an answer"] = mean([float(v.details["answered"]) for _, v in judged])[0]
        metric = f"maj1@{_votes(variant)}" if variant.temperature else "exact match"
        return Result(metric, score, stderr, len(judged), figures=figures)


def variants(shots: int, k: int) -> tuple[Variant, ...]:
    """Return the paper's two ways of asking, of which the second has `k` votes."""
    return (Variant("greedy", shots), Variant(f"maj1@{k}", shots, k, TEMPERATURE, TOP_P, k))


def published_examples(file: str, problem: str, solution: str) -> list[Problem]:
    """Return the examples of a file of this package, from the keys of their problem and solution."""
    found = yaml.safe_load((EXAMPLES / file).read_text("utf-8"))["examples"]
    return [Problem(f"example-{i}", one[problem], one[solution], "") for i, one in enumerate(found)]


def _votes(variant: Variant) -> int:
    """Return how many texts vote: k, or fewer where fewer are drawn."""
    return min(variant.k, variant.samples)
