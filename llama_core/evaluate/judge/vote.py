"""The vote of several answers to one question (maj1@k of Lewkowycz et al. 2022)."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class Vote(NamedTuple):
    """What several answers say together."""

    answer: str | None
    """The one that most of them are; of several that are equally many, the one that was given first. None
    where no answer was given."""
    counts: dict[str, int]
    """How many gave each answer, most first."""


def vote(answers: Iterable[str | None]) -> Vote:
    """Return the vote of answers, which are in the order of their texts; None is no answer, and no vote."""
    ranked = Counter(answer for answer in answers if answer is not None).most_common()
    return Vote(ranked[0][0] if ranked else None, dict(ranked))
