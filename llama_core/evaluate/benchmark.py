"""The shape that all benchmarks have.

A benchmark says where its files lie, how their rows become items, what a model is asked about an item, how
its answers become a verdict, and how the verdicts become the benchmark's figures. A model is whatever answers
requests: the trained one, or one that a test has written.
"""

import abc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from llama_core.errors import InputError


@dataclass(frozen=True)
class Continuation:
    """A request to score a text after a context. Its answer is a `Likelihood`."""

    context: str
    """It may be empty: then the text is scored after the beginning of a text alone."""
    text: str


@dataclass(frozen=True)
class Whole:
    """A request to score a text from its first token on. Its answer is a `Likelihood`."""

    text: str


@dataclass(frozen=True)
class Generation:
    """A request to continue a prompt `samples` times. Its answer is as many texts, without the prompt."""

    prompt: str
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    """Strings before which a text is cut."""
    samples: int = 1
    temperature: float = 0.0
    """0 takes the most likely token always."""
    top_p: float = 1.0


class Likelihood(NamedTuple):
    """How likely a text is to a model."""

    nats: float
    """The logarithm of its probability, summed over its tokens."""
    tokens: int
    greedy: bool = False
    """True if the model's most likely tokens are the same text."""

    @property
    def per_token(self) -> float:
        """What the logarithm of the perplexity is the negative of."""
        return self.nats / self.tokens


Request = Continuation | Whole | Generation
Answer = Likelihood | list[str]


class Model(Protocol):
    """What a benchmark is run on."""

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        """Return the answer to each request, in their order."""
        ...


@dataclass(frozen=True)
class File:
    """A file of a benchmark."""

    name: str
    """Where it lies below the folder of the benchmarks, such as `piqa/valid.jsonl`, without an ending that
    says how it is packed."""
    content: bytes
    """What it holds, unpacked."""


@dataclass(frozen=True)
class Role:
    """What a benchmark reads a file, or several, for."""

    patterns: tuple[str, ...]
    """What their names may be (`fnmatch`, without an ending such as .gz): the first that matches any counts,
    and all files that match it are read, in the order of their names."""
    needed: bool = True
    """True if the benchmark cannot be run without."""


@dataclass(frozen=True)
class Variant:
    """One way of asking a benchmark's items, as the paper does it."""

    name: str
    """What a recipe calls it after the benchmark's name, such as `5-shot`, `maj1@100` or `respectful`."""
    shots: int = 0
    """The number of examples before an item."""
    samples: int = 1
    """The number of texts that are generated for an item."""
    temperature: float = 0.0
    top_p: float = 1.0
    k: int = 1
    """What `pass@k` and `maj1@k` count."""


@dataclass(frozen=True)
class Verdict:
    """What a benchmark makes of the answers about one item."""

    score: float | None
    """What the item adds to the benchmark's score: 0 or 1 in most; None where nothing could score it."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON values that a person wants to read beside it, or that `figures` needs."""


@dataclass(frozen=True)
class Result:
    """A benchmark's score and figures."""

    metric: str
    """How the score is counted, such as `accuracy by characters` or `exact match`."""
    score: float | None
    """The figure that the paper's table has, between 0 and 1; None where answers are kept and not scored."""
    stderr: float | None
    """Its standard error over the items; None where there is no score."""
    n: int
    """The number of items, or of what the score is the mean of."""
    chance: float | None = None
    """What guessing gives; None where that is nothing."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Further figures, between 0 and 1 unless their names say otherwise: groups, other metrics."""
    not_scored: str | None = None
    """Why there is no score, as a sentence that says what to do; None where there is one."""


class Item(Protocol):
    """An item of a benchmark."""

    @property
    def id(self) -> str:
        """What tells it from the benchmark's other items, whatever the limit and the order of files."""
        ...


T = TypeVar("T", bound=Item)


@dataclass(frozen=True)
class Dataset(Generic[T]):
    """What a benchmark's files hold."""

    items: Sequence[T]
    examples: Sequence[T] = ()
    """The pool of examples, of which none is an item."""


class Benchmark(abc.ABC, Generic[T]):
    """A benchmark of the paper. It holds no state, and is made once."""

    name: str
    """What a recipe calls it."""
    title: str
    """What the paper calls it."""
    files: Mapping[str, Role]
    """What it reads, by the roles that `load` knows: `items` at least."""
    variants: tuple[Variant, ...] = (Variant(""),)
    """The paper's: all of them are run unless the recipe names some."""

    @abc.abstractmethod
    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[T]:
        """Return the items of the files, by role. A role without a file has an empty list.

        Raises InputError, which names the file and the line.
        """

    def shots(self, item: T, examples: Sequence[T], k: int) -> Sequence[T]:
        """Return the examples that stand before an item. Raises InputError where there are fewer than `k`."""
        return enough(examples, k, self.name)

    @abc.abstractmethod
    def requests(self, item: T, shots: Sequence[T], variant: Variant) -> list[Request]:
        """Return what the model is asked about an item."""

    @abc.abstractmethod
    def judge(self, item: T, variant: Variant, answers: Sequence[Answer]) -> Verdict:
        """Return the verdict on the answers to `requests`. It may take time: code is run here."""

    @abc.abstractmethod
    def figures(self, variant: Variant, judged: Sequence[tuple[T, Verdict]]) -> Result:
        """Return the result over all items, of which there is at least one."""

    def service(self) -> str | None:
        """Return the name of the service that scores the answers, where the environment holds its key.

        With another service, or with one where there was none, it is another evaluation.
        """
        return None

    def missing(self, variant: Variant) -> str | None:
        """Return why this machine cannot run it, as a sentence that says what to do, or None."""
        return None


def enough(examples: Sequence[T], k: int, name: str) -> Sequence[T]:
    """Return the first `k` examples. Raises InputError where there are fewer."""
    if len(examples) < k:
        raise InputError(f"{name} wants {k} examples before each item, and its files hold {len(examples)}")
    return examples[:k]


def texts_of(answer: Answer) -> list[str]:
    """Return the texts of the answer to a generation."""
    assert isinstance(answer, list)
    return answer


def mean(scores: Sequence[float | None]) -> tuple[float, float]:
    """Return the mean of scores, of which none is missing, and its standard error."""
    assert None not in scores
    values = np.asarray(scores, np.float64)
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))
