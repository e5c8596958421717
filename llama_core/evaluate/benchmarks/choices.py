"""Questions with choices: the choice counts that a model finds most likely, by one of three rules.

The paper divides a choice's log-likelihood by its characters, as lm-eval does, and for BoolQ and OpenBookQA
subtracts the log-likelihood that the choice has after "Answer:" alone, as GPT-3 does (Touvron et al. 2023,
section 3).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeVar, cast

from llama_core.errors import InputError
from llama_core.evaluate.benchmark import (
    Answer,
    Benchmark,
    Continuation,
    File,
    Item,
    Likelihood,
    Request,
    Result,
    Variant,
    Verdict,
    mean,
)

Named = TypeVar("Named", bound=Item)

ALONE = "Answer:"  # what a choice stands behind where its likelihood without the question is asked for


class Rule(Enum):
    """How a choice's score follows from its log-likelihood. Its value is what the result calls it."""

    CHARACTERS = "accuracy by characters"
    RATIO = "accuracy by ratio to Answer"
    PLAIN = "accuracy by plain likelihood"

    def best(self, characters: Sequence[int], nats: Sequence[float], alone: Sequence[float] = ()) -> int:
        """Return the number of the choice with the highest score, and of several the first.

        `characters`: the length of each choice. `nats`: its log-likelihood after the question. `alone`: that
        after "Answer:", which only the ratio needs.
        """
        scores = list(nats)
        if self is Rule.CHARACTERS:
            scores = [value / max(length, 1) for value, length in zip(nats, characters, strict=True)]
        elif self is Rule.RATIO:
            scores = [value - other for value, other in zip(nats, alone, strict=True)]
        return max(range(len(scores)), key=scores.__getitem__)


@dataclass(frozen=True)
class Question:
    """A question with choices, one of which is right."""

    id: str
    """Empty in a row that has none, until `numbered` gives it one."""
    context: str
    """What stands before a choice and the space that parts them."""
    choices: tuple[str, ...]
    gold: int
    """The number of the right choice, from 0."""
    group: str = ""
    """The part of the benchmark that it belongs to."""


class MultipleChoice(Benchmark[Question]):
    """A benchmark of questions with choices."""

    rules: tuple[Rule, ...] = (Rule.CHARACTERS, Rule.PLAIN)
    """The first makes the score; the accuracy by the others is told beside it."""

    def scored(self, item: Question, shots: Sequence[Question]) -> list[Continuation]:
        """Return what is scored for each choice."""
        return [Continuation(item.context, f" {choice}") for choice in item.choices]

    def requests(self, item: Question, shots: Sequence[Question], variant: Variant) -> list[Request]:
        """Return what is scored for each choice; for the ratio, the same texts after "Answer:" follow."""
        scored = self.scored(item, shots)
        alone = [Continuation(ALONE, one.text) for one in scored] if Rule.RATIO in self.rules else []
        return [*scored, *alone]

    def judge(self, item: Question, variant: Variant, answers: Sequence[Answer]) -> Verdict:
        """Return 1 where the first rule's choice is the right one; every rule's choice is in the details."""
        nats, n = nats_of(answers), len(item.choices)
        lengths = [len(one.text) - 1 for one in self.scored(item, ())]  # without the space before them
        chosen = {rule.value: rule.best(lengths, nats[:n], nats[n:]) for rule in self.rules}
        details = {"gold": item.gold, "chosen": chosen, "nats": nats[:n]}
        if Rule.RATIO in self.rules:
            details["nats_alone"] = nats[n:]
        return Verdict(float(chosen[self.rules[0].value] == item.gold), details)

    def figures(self, variant: Variant, judged: Sequence[tuple[Question, Verdict]]) -> Result:
        """Return the accuracy by each rule."""
        score, stderr = mean([verdict.score for _, verdict in judged])
        chance, _ = mean([1 / len(item.choices) for item, _ in judged])
        others = {
            rule.value: mean([float(v.details["chosen"][rule.value] == item.gold) for item, v in judged])[0]
            for rule in self.rules[1:]
        }
        return Result(self.rules[0].value, score, stderr, len(judged), chance, others)


def nats_of(answers: Sequence[Answer]) -> list[float]:
    """Return the log-likelihoods in answers that are all likelihoods."""
    found = []
    for answer in answers:
        assert isinstance(answer, Likelihood)
        found.append(answer.nats)
    return found


def by_group(scores: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    """Return the mean of the scores of each group, of pairs (group, score), in the order of the names."""
    groups: dict[str, list[float | None]] = {}
    for group, score in scores:
        groups.setdefault(group, []).append(score)
    return {group: mean(found)[0] for group, found in sorted(groups.items())}


def only(files: Mapping[str, Sequence[File]], role: str = "items") -> Sequence[File]:
    """Return the file of a role that has one at most. Raises InputError where several could be it."""
    found = files.get(role, ())
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise InputError(f"{names} could each be the file that is meant: leave one of them in the folder")
    return found


def distinct(files: Sequence[File]) -> Sequence[File]:
    """Return files that are parts of one set. Raises InputError where two folders have a file of one name."""
    known: dict[str, str] = {}
    for file in files:
        other = known.setdefault(file.name.rpartition("/")[2], file.name)
        if other != file.name:
            raise InputError(f"{other} and {file.name} are there: leave one of their folders")
    return files


def numbered(items: Iterable[Named]) -> list[Named]:
    """Return the items, dataclasses, each with an id of its own: its row's, or the row's number, from 0."""
    found, known = [], Counter[str]()
    for number, item in enumerate(items):
        name = item.id or str(number)
        known[name] += 1
        named = name if known[name] == 1 else f"{name}#{known[name]}"
        found.append(replace(cast(Any, item), id=named))
    return found
