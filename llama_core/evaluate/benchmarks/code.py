"""Benchmarks whose answers are programs: each is run with an item's tests, and pass@k counts what passes."""

import abc
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from llama_core.errors import InputError
from llama_core.evaluate.benchmark import Answer, Benchmark, Item, Result, Variant, Verdict, mean
from llama_core.evaluate.sandbox import programs

TOP_P = 0.95  # as Chen et al. sample; the paper does not name another
MAX_NEW_TOKENS = 512
T = TypeVar("T", bound=Item)


class Code(Benchmark[T]):
    """A benchmark of programs. Its score is pass@k, without bias: the mean over the items."""

    @abc.abstractmethod
    def program(self, item: T, text: str) -> str:
        """Return the program that comes to its end if what the model has written is right."""

    def judge(self, item: T, variant: Variant, answers: Sequence[Answer]) -> Verdict:
        """Return pass@k of the item, and in `outcomes` what came of each program: `passed`, or why not.

        Raises SandboxError.
        """
        (texts,) = answers
        assert isinstance(texts, list)
        outcomes = programs.run_all([self.program(item, text) for text in texts])
        right = sum(outcome.passed for outcome in outcomes)
        said = ["passed" if outcome.passed else outcome.reason for outcome in outcomes]
        return Verdict(pass_at_k(len(outcomes), right, variant.k), {"outcomes": said})

    def figures(self, variant: Variant, judged: Sequence[tuple[T, Verdict]]) -> Result:
        """Return pass@k."""
        score, stderr = mean([verdict.score for _, verdict in judged])
        return Result(f"pass@{variant.k}", score, stderr, len(judged))

    def missing(self, variant: Variant) -> str | None:
        """Return why this machine cannot run programs, or None."""
        return programs.missing()


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the probability that one of `k` samples is right, taken from `n` of which `c` are.

    That is 1 - C(n-c, k) / C(n, k), as a product of factors between 0 and 1 (Chen et al. 2021, section 2.1).
    Raises ValueError where `k` is more than `n`.
    """
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass@{k} of {n} samples with {c} right ones")
    if n - c < k:
        return 1.0
    return float(1 - np.prod(1 - k / np.arange(n - c + 1, n + 1)))


def once_each(items: Sequence[T], name: str) -> Sequence[T]:
    """Return the items. Raises InputError where two have the same id."""
    seen: set[Any] = set()
    for item in items:
        if item.id in seen:
            raise InputError(f"the files of {name} have the task {item.id} twice")
        seen.add(item.id)
    return items
