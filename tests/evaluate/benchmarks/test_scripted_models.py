"""Models whose scores are known beforehand get them, by each of the three rules, on whole sets."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from asked import run
from small_benchmarks import EVALDATA, load

from llama_core.evaluate.benchmark import Answer, Continuation, Dataset, Likelihood, Request, Result
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.benchmarks.choices import ALONE, Question, Rule
from llama_core.evaluate.files import Folder, NotThere

CHARACTERS, RATIO, PLAIN = Rule.CHARACTERS.value, Rule.RATIO.value, Rule.PLAIN.value
# The questions, and of them those whose first, shortest and longest choice is the right one.
TABLE = {
    "hellaswag": (10042, 2515, 2545, 2420),
    "piqa": (1838, 910, 982, 891),
    "siqa": (1954, 643, 625, 695),
    "winogrande": (1267, 628, 645, 624),
    "arc_easy": (2376, 596, 582, 631),
    "arc_challenge": (1172, 266, 225, 319),
    "openbookqa": (500, 138, 74, 181),
    "boolq": (3270, 1237, 1237, 2033),
    "race_middle": (1436, 309, 288, 442),
    "race_high": (3498, 754, 739, 1070),
    "mmlu": (14042, 3222, 3222, 3222),
}
SMALL_TABLE = {
    "hellaswag": (3, 1, 1, 1),
    "piqa": (3, 1, 1, 2),
    "siqa": (3, 1, 1, 1),
    "winogrande": (3, 1, 2, 1),
    "arc_easy": (3, 1, 0, 3),
    "arc_challenge": (3, 1, 0, 3),
    "openbookqa": (3, 1, 0, 3),
    "boolq": (3, 2, 2, 1),
    "race_middle": (4, 1, 1, 1),
    "race_high": (4, 1, 1, 1),
    "mmlu": (8, 8, 8, 8),
}
Score = Callable[[Question, int], float]


class Scripted:
    """A model that says what `score` makes of a question and the number of a choice, whatever the context.

    With `reads`, it knows nothing where there is no question: its score after "Answer:" is one for all.
    """

    def __init__(self, items: Sequence[Question], score: Score, reads: bool = False) -> None:
        self.items, self.score, self.reads = items, score, reads

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        answers: list[Answer] = []
        times = len(requests) // sum(
            len(item.choices) for item in self.items
        )  # 2 where the ratio is asked for
        for item in self.items:
            for _ in range(times):
                for number in range(len(item.choices)):
                    request = requests[len(answers)]
                    assert isinstance(request, Continuation)
                    blind = self.reads and request.context == ALONE
                    answers.append(Likelihood(0.0 if blind else self.score(item, number), 1))
        return answers


def length(item: Question, number: int) -> int:
    return 1 if item.group else len(item.choices[number])  # letters are scored where there are subjects


def accuracies(name: str, dataset: Dataset[Question], score: Score, reads: bool = False) -> dict[str, int]:
    """The number of right choices by each rule."""
    benchmark: Any = copy.copy(BENCHMARKS[name])
    benchmark.rules = tuple(Rule)
    result = run(benchmark, benchmark.variants[0], dataset, Scripted(dataset.items, score, reads))
    found = {rule.value: result.figures.get(rule.value, result.score) for rule in Rule}
    return {rule: round(value * result.n, 6) for rule, value in found.items()}


def check(name: str, dataset: Dataset[Question], row: tuple[int, int, int, int]) -> None:
    n, first, shortest, longest = row
    assert len(dataset.items) == n
    if name in ("winogrande", "mmlu"):  # what is scored is as long for each choice
        by_characters = {"first": first, "shortest": shortest, "longest": longest}
    else:
        by_characters = {"first": longest, "shortest": first, "longest": longest}
    found = accuracies(name, dataset, lambda item, number: -1.0)
    assert found == {PLAIN: first, RATIO: first, CHARACTERS: by_characters["first"]}
    found = accuracies(name, dataset, lambda item, number: -float(length(item, number)))
    assert found == {PLAIN: shortest, RATIO: first, CHARACTERS: by_characters["shortest"]}
    found = accuracies(name, dataset, lambda item, number: -1e4 + length(item, number))
    assert found == {PLAIN: longest, RATIO: first, CHARACTERS: by_characters["longest"]}

    def gold(item: Question, number: int) -> float:
        return 0.0 if number == item.gold else -100.0

    assert accuracies(name, dataset, gold) == {PLAIN: n, RATIO: first, CHARACTERS: n}
    assert accuracies(name, dataset, gold, reads=True) == {PLAIN: n, RATIO: n, CHARACTERS: n}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "mmlu" else ()) for name in TABLE]
)
def test_scripted_models_have_the_scores_of_the_published_sets(name: str) -> None:
    try:
        dataset = Folder(str(EVALDATA)).load(BENCHMARKS[name])
    except NotThere as missing:
        pytest.skip(str(missing))
    check(name, dataset, TABLE[name])


@pytest.mark.parametrize("name", SMALL_TABLE)
def test_scripted_models_have_the_scores_of_a_small_set(name: str) -> None:
    check(name, load(BENCHMARKS[name]), SMALL_TABLE[name])


def result_of(name: str, score: Score) -> Result:
    dataset, benchmark = load(BENCHMARKS[name]), BENCHMARKS[name]
    return run(benchmark, benchmark.variants[0], dataset, Scripted(dataset.items, score))


@pytest.mark.parametrize("name", SMALL_TABLE)
def test_the_score_is_by_the_papers_rule_and_the_others_stand_beside_it(name: str) -> None:
    result = result_of(name, lambda item, number: -1.0)
    n, first, _, longest = SMALL_TABLE[name]
    if name in ("boolq", "openbookqa"):
        assert (result.metric, result.score) == (RATIO, pytest.approx(first / n))
        assert result.figures.keys() == {CHARACTERS, PLAIN}
    elif name == "mmlu":
        assert (result.metric, result.score) == ("accuracy", 1.0)
    else:
        assert (result.metric, result.score) == (
            CHARACTERS,
            pytest.approx((first if name == "winogrande" else longest) / n),
        )
        assert result.figures.keys() == ({RATIO, PLAIN} if name.startswith("race") else {PLAIN})
    assert result.n == n


def test_chance_is_one_over_the_number_of_choices() -> None:
    assert result_of("boolq", lambda item, number: 0.0).chance == 0.5
    assert result_of("arc_easy", lambda item, number: 0.0).chance == pytest.approx(
        (1 / 3 + 1 / 4 + 1 / 2) / 3
    )


def test_a_choice_is_divided_by_its_characters_and_not_by_its_bytes_or_the_space_before_it() -> None:
    assert Rule.CHARACTERS.best([2, 5], [-2.1, -5.0]) == 1
    dataset = load(BENCHMARKS["piqa"])
    item = Question("x", "Question:", ("äöü", "abcd"), 0)
    verdict = BENCHMARKS["piqa"].judge(
        item, BENCHMARKS["piqa"].variants[0], [Likelihood(-3.0, 1), Likelihood(-4.1, 1)]
    )
    assert verdict.score == 1 and len(dataset.items) == 3
