"""The vote of k answers wins as often as closed forms say, ties and missing answers included."""

from fractions import Fraction
from itertools import permutations, product
from math import comb, factorial

import pytest

from llama_core.evaluate.judge.vote import vote

P = Fraction(2, 7)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 7, 8])
def test_of_two_answers_the_more_frequent_wins_and_a_tie_is_won_by_half(k: int) -> None:
    wins = sum(
        P ** drawn.count("right") * (1 - P) ** drawn.count("wrong")
        for drawn in product(("right", "wrong"), repeat=k)
        if vote(drawn).answer == "right"
    )
    closed = sum(comb(k, j) * P**j * (1 - P) ** (k - j) for j in range(k // 2 + 1, k + 1))
    if k % 2 == 0:
        closed += Fraction(comb(k, k // 2), 2) * (P * (1 - P)) ** (k // 2)
    assert wins == closed


@pytest.mark.parametrize("k", [1, 2, 5])
def test_what_is_no_answer_has_no_vote(k: int) -> None:
    share = {"right": P, "wrong": Fraction(1, 7), None: Fraction(4, 7)}
    wins = Fraction(0)
    for drawn in product(share, repeat=k):
        if vote(drawn).answer == "right":
            weight = Fraction(1)
            for one in drawn:
                weight *= share[one]
            wins += weight
    closed = Fraction(0)
    for right in range(1, k + 1):
        for wrong in range(min(right, k - right) + 1):
            none = k - right - wrong
            ways = factorial(k) // (factorial(right) * factorial(wrong) * factorial(none))
            chance = ways * share["right"] ** right * share["wrong"] ** wrong * share[None] ** none
            closed += chance / 2 if wrong == right else chance
    assert wins == closed


def test_of_answers_that_are_equally_many_the_first_one_counts_in_every_order() -> None:
    for drawn in permutations(["a", "a", "b", "b", "c", None]):
        assert vote(drawn).answer == next(one for one in drawn if one in ("a", "b"))
    assert vote([None, "b", "a", "a"]) == ("a", {"a": 2, "b": 1})
    assert vote([None, None]) == (None, {})
    assert vote([]) == (None, {})
