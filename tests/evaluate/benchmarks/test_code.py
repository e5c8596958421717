"""Code counts as right if it passes its tests, and pass@k is the estimator without bias."""

import gzip
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from asked import run
from hypothesis import given
from hypothesis import strategies as st

from llama_core.errors import InputError
from llama_core.evaluate.benchmark import Answer, Generation, Request, Variant, Verdict
from llama_core.evaluate.benchmarks.code import Code, pass_at_k
from llama_core.evaluate.benchmarks.humaneval import STOP, HumanEval
from llama_core.evaluate.benchmarks.mbpp import MBPP
from llama_core.evaluate.files import Folder
from llama_core.evaluate.sandbox import programs

EVALDATA = Path(os.environ.get("LLAMA_EVALDATA") or Path(__file__).parents[4] / "shared" / "evaldata")
lacking = programs.missing()
linux = pytest.mark.skipif(lacking is not None, reason=f"no program of a model is run here: {lacking}")

FUNCTIONS = [
    {
        "task_id": "Tiny/0",
        "prompt": 'def double(x):\n    """Return twice x.\n    >>> double(2)\n    4\n    """\n',
        "canonical_solution": "    return 2 * x\n",
        "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate(2) == 4\n",
        "entry_point": "double",
    },
    {
        "task_id": "Tiny/1",
        "prompt": 'import math\n\n\ndef root(x):\n    """Return the root of x."""\n',
        "canonical_solution": "    return helper(x)\n\n\ndef helper(x):\n    return math.sqrt(x)\n",
        "test": "def check(candidate):\n    assert candidate(9) == 3\n",
        "entry_point": "root",
    },
]
TASKS = [
    {
        "task_id": number,
        "text": f"Write a function to add {number}.",
        "code": f"def add(x):\r\n\treturn x + {number}",
        "test_setup_code": "",
        "test_list": [f"assert add({x}) == {x + number}" for x in (0, 1, 2)],
        "challenge_test_list": [],
    }
    for number in (1, 2, 3, 4, 5, 11, 510, 511)
]
TASKS.append(
    {
        "task_id": 12,
        "text": "Write a class with a value.",
        "code": "class Node:\r\n  def __init__(self, value):\r\n    self.value = value",
        "test_setup_code": "node = Node(3) \r\n",
        "test_list": ["assert node.value == 3"],
        "challenge_test_list": [],
    }
)


class Scripted:
    """A model that answers each request with texts that are made of its number and of the sample's."""

    def __init__(self, write: Callable[[int, int], str]):
        self.write, self.asked = write, list[Request]()

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        self.asked = list(requests)
        counts = [request.samples for request in requests if isinstance(request, Generation)]
        return [[self.write(number, sample) for sample in range(n)] for number, n in enumerate(counts)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, rows in (("humaneval/HumanEval.jsonl.gz", FUNCTIONS), ("mbpp/mbpp.jsonl", TASKS)):
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return tmp_path


def variant(benchmark: Code[Any], k: int, samples: int) -> Variant:
    (found,) = [v for v in benchmark.variants if v.k == k]
    return Variant(found.name, found.shots, samples, found.temperature, found.top_p, min(k, samples))


@pytest.mark.parametrize(
    "n, c, k, expected",
    [
        (5, 2, 3, 0.9),
        (200, 10, 100, 0.99923),
        (200, 0, 100, 0),
        (200, 1, 100, 0.5),
        (200, 200, 1, 1),
        (200, 50, 1, 0.25),
        (100, 1, 100, 1),
        (100, 0, 100, 0),
        (1, 1, 1, 1),
    ],
)
def test_pass_at_k_is_the_closed_form(n: int, c: int, k: int, expected: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(expected, abs=5e-6)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_right_one(numbers: tuple[int, int, int]) -> None:
    n, c, k = numbers
    assert pass_at_k(n, c, k) == pytest.approx(1 - math.comb(n - c, k) / math.comb(n, k), abs=1e-12)


@pytest.mark.parametrize("n, c, k", [(5, 6, 1), (5, -1, 1), (5, 1, 6), (5, 1, 0)])
def test_more_cannot_be_drawn_than_there_are(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError):
        pass_at_k(n, c, k)


@linux
def test_canonical_solutions_pass_and_empty_bodies_fail(data: Path) -> None:
    human_eval, mbpp = HumanEval(), MBPP()
    functions, tasks = Folder(str(data)).load(human_eval), Folder(str(data)).load(mbpp)
    solutions = Scripted(lambda number, _: functions.items[number].solution)
    codes = Scripted(lambda number, _: tasks.items[number].code)
    bodies = Scripted(lambda *_: "    pass\n")
    empty = Scripted(lambda *_: "def add(x):\n    pass\n")
    one = variant(human_eval, 1, 1), variant(mbpp, 1, 1)
    assert run(human_eval, one[0], functions, solutions).score == 1
    assert run(human_eval, one[0], functions, bodies).score == 0
    assert run(mbpp, one[1], tasks, codes).score == 1
    assert run(mbpp, one[1], tasks, empty).score == 0


@linux
def test_pass_at_k_is_the_mean_over_the_items_and_outcomes_are_told(data: Path) -> None:
    benchmark = HumanEval()
    functions = Folder(str(data)).load(benchmark)
    right = {(0, 1), (0, 3)}
    model = Scripted(lambda i, s: functions.items[i].solution if (i, s) in right else "    return 1 / 0\n")
    told: list[Verdict] = []
    result = run(
        benchmark, variant(benchmark, 100, 5), functions, model, lambda *found: told.append(found[3])
    )
    assert (result.metric, result.score, result.n) == ("pass@5", 0.5, 2)
    wrong = "ZeroDivisionError: division by zero"
    assert told[0].details == {"outcomes": [wrong, "passed", wrong, "passed", wrong]}
    of_three = Variant("", samples=5, k=3)
    assert run(benchmark, of_three, functions, model).score == pytest.approx((0.9 + 0) / 2)


def test_functions_are_asked_for_without_examples_as_the_paper_does(data: Path) -> None:
    benchmark = HumanEval()
    (first, _) = Folder(str(data)).load(benchmark).items
    one, hundred = (benchmark.requests(first, (), variant)[0] for variant in benchmark.variants)
    assert one == Generation(FUNCTIONS[0]["prompt"], 512, STOP, 200, 0.1, 0.95)
    assert hundred == Generation(FUNCTIONS[0]["prompt"], 512, STOP, 200, 0.8, 0.95)
    assert STOP == ("\nclass", "\ndef", "\n#", "\nif", "\nprint")


def test_tasks_are_asked_for_after_the_three_examples_of_the_publisher(data: Path) -> None:
    benchmark = MBPP()
    dataset = Folder(str(data)).load(benchmark)
    assert [task.id for task in dataset.items] == ["11", "510", "12"]
    first = dataset.items[0]
    (asked,) = benchmark.requests(first, benchmark.shots(first, dataset.examples, 3), benchmark.variants[1])
    assert isinstance(asked, Generation)
    assert (asked.stop, asked.samples, asked.temperature) == (("[DONE]",), 100, 0.8)
    pieces = asked.prompt.split("\n[DONE]\n\n")
    opening = "You are an expert Python programmer, and here is your task: Write a function to add "
    assert [piece.removeprefix(opening)[:2] for piece in pieces] == ["2.", "3.", "4.", "11"]
    assert pieces[0] == (
        f"{opening}2. Your code should pass these tests:\n\n"
        "assert add(0) == 2\nassert add(1) == 3\nassert add(2) == 4\n[BEGIN]\ndef add(x):\r\n\treturn x + 2"
    )
    assert asked.prompt.endswith("assert add(2) == 13\n[BEGIN]\n")


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"entry_point": "f(); g"}, "HumanEval.jsonl, line 1: `entry_point` is 'f\\(\\); g', and not a name"),
        ({"test": None}, "HumanEval.jsonl, line 1: `test` is 'None', and not a text"),
        ({"task_id": "Tiny/1"}, "the files of humaneval have the task Tiny/1 twice"),
    ],
)
def test_a_damaged_file_is_told_by_name(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    rows = [FUNCTIONS[0] | change, FUNCTIONS[1]]
    (tmp_path / "HumanEval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=complaint):
        Folder(str(tmp_path)).load(HumanEval())


@linux
@pytest.mark.slow
@pytest.mark.skipif(not (EVALDATA / "mbpp").is_dir(), reason="MBPP is not here")
def test_the_500_solutions_of_mbpp_pass() -> None:
    benchmark = MBPP()
    dataset = Folder(str(EVALDATA)).load(benchmark)
    assert len(dataset.items) == 500
    outcomes = programs.run_all([benchmark.program(task, task.code) for task in dataset.items])
    assert [task.id for task, outcome in zip(dataset.items, outcomes) if not outcome.passed] == []
    bodies = programs.run_all([benchmark.program(task, "pass") for task in dataset.items])
    assert not any(outcome.passed for outcome in bodies)
