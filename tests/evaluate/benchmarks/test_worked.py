"""GSM8k and MATH: prompts as lm-eval renders them, answers as their protocols find them, the vote of many."""

import importlib.metadata
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from asked import run
from small_benchmarks import EVALDATA
from written_answers import Writer, lines, rendered, scores

from llama_core.errors import InputError
from llama_core.evaluate.benchmark import Benchmark, Dataset, File
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.benchmarks.gsm8k import number
from llama_core.evaluate.benchmarks.worked import Problem
from llama_core.evaluate.files import Folder, NotThere
from llama_core.evaluate.judge import equivalence
from llama_core.evaluate.judge.latex import final_answer, normalized
from llama_core.store import Store

GSM8K, MATH = BENCHMARKS["gsm8k"], BENCHMARKS["math"]
APPLES = [
    {"question": "Ada has 3 apples and gets 4.  How many has she?", "answer": "3+4 = <<3+4=7>>7\n#### 7"},
    {"question": "A ship costs $1,000 twice. What is that?", "answer": "2 * 1000 = 2000\n#### 2,000"},
    {"question": "What is 2 less than 1?", "answer": "1 - 2 = -1\n#### -1"},
]
SUMS = [
    {
        "problem": "What is $\\frac12 + \\frac12$?",
        "level": "Level 1",
        "type": "Prealgebra",
        "solution": "It is $\\frac{2}{2} = \\boxed{1}$, not $0$.",
    },
    {
        "problem": "Solve $x^2 = 2$ for $x > 0$.",
        "level": "Level 4",
        "type": "Counting & Probability",
        "solution": "Take the root: $x = \\boxed{\\sqrt{2}}$.",
    },
]
needs_antlr = pytest.mark.skipif(equivalence.missing() is not None, reason=str(equivalence.missing()))


def gsm8k() -> Dataset[Problem]:
    return GSM8K.load({"items": [lines("gsm8k/test.jsonl", APPLES)]})


def published(store: Store) -> None:
    for row in SUMS:
        subject = str(row["type"]).lower().replace(" & ", "_and_")
        store.publish_bytes(f"MATH/test/{subject}/7.json", json.dumps(row, indent=4).encode())
    store.publish_bytes("MATH/train/prealgebra/1.json", b"not to be read")


def sums() -> Dataset[Problem]:
    return MATH.load({"items": [lines("math/test.jsonl", SUMS)]})


def real(benchmark: Benchmark[Problem]) -> Dataset[Problem]:
    try:
        return Folder(EVALDATA.as_uri()).load(benchmark)
    except NotThere as error:
        pytest.skip(str(error))


@pytest.fixture
def lm_eval_tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of lm-eval's tasks; `minerva_math.utils` is imported without what it compares with."""
    lm_eval = pytest.importorskip("lm_eval")
    math_verify = ModuleType("math_verify")
    math_verify.parse = math_verify.verify = lambda *_, **__: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "math_verify", math_verify)
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "4.11" if "antlr" in name else version(name)
    )
    yield Path(lm_eval.__file__).parent / "tasks"
    sys.modules.pop("lm_eval.tasks.minerva_math.utils", None)


def prompts(benchmark: Benchmark[Problem], dataset: Dataset[Problem]) -> list[str]:
    writer = Writer(lambda *_: "")
    run(benchmark, benchmark.variants[0], dataset, writer)
    return [request.prompt for request in writer.asked]


def gsm8k_of(tasks: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((tasks / "gsm8k/gsm8k-cot.yaml").read_text())
    return config


def minerva_of(tasks: Path) -> dict[str, Any]:
    from lm_eval.tasks.minerva_math import utils

    return {
        "task": "minerva",
        "test_split": "test",
        "output_type": "generate_until",
        "process_docs": utils.process_docs,
        "process_results": utils.process_results,
        "doc_to_text": utils.doc_to_text,
        "doc_to_target": "{{answer if few_shot is undefined else solution}}",
        "num_fewshot": 4,
        "fewshot_config": {"sampler": "first_n", "samples": utils.list_fewshot_samples},
        "generation_kwargs": {"until": ["Problem:"], "do_sample": False},
        "metric_list": [{"metric": "exact_match"}],
    }


def test_the_prompt_of_gsm8k_is_lm_evals_letter_by_letter(lm_eval_tasks: Path) -> None:
    assert prompts(GSM8K, gsm8k()) == rendered(gsm8k_of(lm_eval_tasks), APPLES)


def test_the_prompt_of_math_is_lm_evals_letter_by_letter(lm_eval_tasks: Path) -> None:
    assert prompts(MATH, sums()) == rendered(minerva_of(lm_eval_tasks), SUMS)


@pytest.mark.parametrize(
    ("texts", "right"),
    [
        ([" 3+4=7. The answer is 7.", " The answer is 2,000.", " The answer is -1."], 3),
        ([" The answer is 8. The answer is 7.", " The answer is 2000.", " -1"], 1),
        (["", " The answer is", " The answer is 1."], 0),
    ],
)
def test_texts_about_gsm8k_score_as_lm_eval_scores_them(
    lm_eval_tasks: Path, texts: list[str], right: int
) -> None:
    ours = run(GSM8K, GSM8K.variants[0], gsm8k(), Writer(lambda n, _: texts[n]))
    theirs = scores(gsm8k_of(lm_eval_tasks), APPLES, texts)["exact_match,strict-match"]
    assert ours.score == pytest.approx(theirs) == pytest.approx(right / 3)


@needs_antlr
@pytest.mark.parametrize(
    ("first", "second", "right"), [("1", "2^{1/2}", 2), ("\\frac{3}{3}", "1", 1), ("x", "", 0)]
)
def test_texts_about_math_score_as_lm_eval_scores_them(
    lm_eval_tasks: Path, first: str, second: str, right: int
) -> None:
    texts = [f" Final Answer: The final answer is ${one}$. I hope it is correct." for one in (first, second)]
    ours = run(MATH, MATH.variants[0], sums(), Writer(lambda n, _: texts[n]))
    theirs = scores(minerva_of(lm_eval_tasks), SUMS, texts)["exact_match,none"]
    assert ours.score == pytest.approx(theirs) == pytest.approx(right / 2)


LATEX = (
    *(
        "\\frac12",
        "\\frac{a}b",
        "\\sqrt2",
        "\\sqrt[3]2",
        "\\sqrt[3]{x+1}",
        "x = 5",
        "2\\pi cm",
        "12 \\text{ cm}",
    ),
    *(
        "\\left( 3, \\frac{\\pi}{2} \\right)",
        "1,000,000",
        "0,1",
        "1,23",
        "\\$5.50",
        "30^\\circ",
        "30^{\\circ}",
    ),
    *("$x$", "the answer is $x+1$ here", "\\text{Evelyn}", "\\textbf{(C)}", "\\overline{AB}", "\\boxed{7}"),
    *(
        "5\\text{ and }6",
        "\\mbox{even}",
        "10\\,\\text{m}^2",
        "3\\!4",
        "12{,}345",
        "x \\in [0,1]",
        "\\dots",
        "a 3",
    ),
    *(
        "50 dollars",
        "\\frac{3}{4}\\text{ units}",
        "square",
        "7\\mathrm{th}",
        "90\\%",
        "",
        "\\left[ft\\right]",
    ),
)


def test_answers_are_normalised_as_lm_eval_normalises_them(lm_eval_tasks: Path) -> None:
    from lm_eval.tasks.minerva_math.utils import normalize_final_answer

    for text in LATEX:
        assert normalized(text) == normalize_final_answer(text), text
    for item in real(MATH).items:
        found = item.solution[item.solution.rindex("\\boxed") :]
        assert normalized(found) == normalize_final_answer(found), item.id


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        (" So $2+2=4$.\nFinal Answer: The final answer is $4$. I hope it is correct.\n\nNext: $5$", "4"),
        ("Final Answer: The final answer is $0.5$. I hope it is correct.", "0.5"),
        ("Hence \\boxed{1}, and so \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("It is $\\boxed 7$ of them.", "7"),
        ("It is \\fbox{\\text{square}}.", "square"),
        ("\\boxed{3}. Final Answer: The final answer is $4$. I hope it is correct.", "4"),
        ("\\boxed{3}. Final Answer: The final answer is $4$ and", "3"),
        ("\\boxed{\\frac{1}{2}", None),
        ("\\boxed{}", None),
        ("The answer is 4.", None),
        ("", None),
    ],
)
def test_the_final_answer_is_that_of_the_sentence_or_else_in_the_last_box(
    written: str, answer: str | None
) -> None:
    assert final_answer(written) == answer


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        (" 3 + 4 = 7. The answer is 7.", "7"),
        (" The answer is $1,000.50 in all. The answer is 8.", "1000.5"),
        (" The answer is -$5.", "-5"),
        (" The answer is: 007.00", "7"),
        (" The answer is .5", "0.5"),
        (" The answer is -0.", "0"),
        (" It is so.\n#### 2,000", "2000"),
        (" The answer is many.", None),
        (" 7", None),
    ],
)
def test_a_number_is_found_after_the_words_that_the_examples_end_in(written: str, answer: str | None) -> None:
    assert GSM8K.answer_of(written) == answer


def test_what_is_no_number_is_none() -> None:
    assert [number(text) for text in ("", "-", "1.2.3", "$")] == ["0", "0", None, "0"]


@pytest.mark.parametrize(("benchmark", "n"), [(GSM8K, 1319), (MATH, 500)])
def test_the_published_solutions_solve_every_problem(benchmark: Benchmark[Problem], n: int) -> None:
    dataset = real(benchmark)
    assert len(dataset.items) == n
    result = run(benchmark, benchmark.variants[0], dataset, Writer(lambda i, _: dataset.items[i].solution))
    assert (result.metric, result.score, result.stderr, result.n) == ("exact match", 1.0, 0.0, n)
    capped = replace(benchmark.variants[1], samples=3)
    none = run(benchmark, capped, dataset, Writer(lambda *_: " I do not know."))
    assert (none.metric, none.score, none.figures["texts with an answer"]) == ("maj1@3", 0.0, 0.0)


def test_the_papers_two_ways_are_asked_for() -> None:
    for benchmark, dataset, k, most in ((GSM8K, gsm8k(), 100, 256), (MATH, sums(), 256, 512)):
        greedy, voted = benchmark.variants
        assert (greedy.name, voted.name) == ("greedy", f"maj1@{k}")
        writer = Writer(lambda *_: "")
        run(benchmark, greedy, dataset, writer)
        assert {(r.samples, r.temperature, r.max_new_tokens) for r in writer.asked} == {(1, 0.0, most)}
        result = run(benchmark, voted, dataset, writer)
        assert {(r.samples, r.temperature, r.top_p) for r in writer.asked} == {(k, 0.6, 0.95)}
        assert result.metric == f"maj1@{k}"


@pytest.mark.parametrize(
    ("texts", "right"),
    [
        ("7 7 8", 1),
        ("8 8 7", 0),
        ("7 8 8 7", 1),  # of as many votes, those that began first count
        ("8 7 7 8", 0),
        ("- - 7 -", 1),  # no answer is no vote
        ("- 8 - 7", 0),
        ("7.00 8 $7 8 8 7.", 1),  # one number in several spellings
        ("- - - -", 0),
    ],
)
def test_the_answer_of_most_texts_counts(texts: str, right: int) -> None:
    said = [" I do not know." if text == "-" else f" The answer is {text}" for text in texts.split()]
    variant = replace(GSM8K.variants[1], samples=len(said))
    told: list[Any] = []
    result = run(GSM8K, variant, gsm8k(), Writer(lambda n, i: said[i]), lambda *all: told.append(all))
    assert result.metric == f"maj1@{len(said)}"
    assert told[0][-1].score == right
    assert told[0][-1].details["answered"] == 1 - texts.split().count("-") / len(said)


def test_fewer_samples_than_k_are_named_and_more_do_not_vote() -> None:
    said = ["The answer is 7", "The answer is 8", "The answer is 8"]
    variant = replace(GSM8K.variants[1], samples=3, k=1)
    result = run(GSM8K, variant, gsm8k(), Writer(lambda n, i: said[i]))
    assert result.metric == "maj1@1"
    assert result.score == pytest.approx(1 / 3)
    assert result.stderr == pytest.approx(math.sqrt(1 / 3 * 2 / 3 / 3))


def test_math_is_read_as_its_publisher_has_it(store: Store) -> None:
    published(store)
    items = Folder(store.url).load(MATH).items
    assert [(item.id, item.answer, item.groups) for item in items] == [
        ("counting_and_probability/7", "\\sqrt{2}", ("Counting & Probability", "level 4")),
        ("prealgebra/7", "1", ("Prealgebra", "level 1")),
    ]
    result = run(
        MATH,
        MATH.variants[0],
        Dataset(items, sums().examples),
        Writer(lambda n, _: items[n].solution[: 99 * n]),
    )
    assert result.figures == {
        "Counting & Probability": 0.0,
        "Prealgebra": 1.0,
        "level 1": 1.0,
        "level 4": 0.0,
        "texts with an answer": 0.5,
    }
    store.publish_bytes("math/test/prealgebra/7.json", json.dumps(SUMS[0]).encode())
    assert len(Folder(store.url).load(MATH).items) == 2  # of two folders, the first is read


def test_math_500_is_read_as_well() -> None:
    row = {key: SUMS[0][key] for key in ("problem", "solution")} | {"answer": "1", "subject": "Prealgebra"}
    rows = [row | {"level": 1, "unique_id": "test/prealgebra/3.json"}, row | {"level": 5}]
    items = MATH.load({"items": [lines("math/test.jsonl", rows)]}).items
    assert [(item.id, item.groups) for item in items] == [
        ("prealgebra/3", ("Prealgebra", "level 1")),
        ("1", ("Prealgebra", "level 5")),
    ]


@pytest.mark.parametrize(
    ("benchmark", "file", "said"),
    [
        (
            GSM8K,
            lines("g.jsonl", [*APPLES, {"question": "?", "answer": "7"}]),
            "g.jsonl, line 4: .*no `####`",
        ),
        (GSM8K, lines("g.jsonl", [{"question": 7}]), "g.jsonl, line 1: the key `answer` is missing"),
        (GSM8K, lines("g.jsonl", [{"answer": "#### 7"}]), "g.jsonl, line 1: the key `question` is missing"),
        (MATH, lines("m.jsonl", [SUMS[0] | {"solution": "It is 1."}]), r"m.jsonl, line 1: .*no \\boxed"),
        (MATH, lines("m.jsonl", [SUMS[0] | {"level": None}]), "m.jsonl, line 1: `level` is 'None'"),
        (MATH, File("m/7.json", b'{"problem": "p"}'), "m/7.json, line 1: the key `solution` is missing"),
        (MATH, File("m/7.json", b'{"problem'), "m/7.json: it is not JSON"),
    ],
)
def test_a_row_that_is_none_is_named(benchmark: Benchmark[Problem], file: File, said: str) -> None:
    with pytest.raises(InputError, match=said):
        benchmark.load({"items": [file]})


def test_a_problem_that_is_there_twice_is_named() -> None:
    files = [
        File(f"{root}/test/algebra/7.json", json.dumps(SUMS[0]).encode()) for root in ("a/MATH", "b/MATH")
    ]
    with pytest.raises(InputError, match="the problem algebra/7 is there twice"):
        MATH.load({"items": files})


@needs_antlr
def test_an_answer_may_be_another_form_of_the_same_formula() -> None:
    written = ["Final Answer: The final answer is $\\frac22$. I hope it is correct.", "\\boxed{2^{\\frac12}}"]
    assert run(MATH, MATH.variants[0], sums(), Writer(lambda n, _: written[n])).score == 1.0
    assert run(MATH, MATH.variants[0], sums(), Writer(lambda n, _: written[1 - n])).score == 0.0


@needs_antlr
@pytest.mark.slow
def test_formulas_are_as_equal_as_lm_eval_finds_them(lm_eval_tasks: Path) -> None:
    from lm_eval.tasks.minerva_math.utils import is_equiv

    forms = [
        *(
            "\\frac{1}{2}",
            "0.5",
            "\\frac{2}{4}",
            "2^{-1}",
            "\\sqrt{8}",
            "2\\sqrt{2}",
            "x+1",
            "1+x",
            "(x+1)^2",
        ),
        *(
            "x^2+2x+1",
            "\\frac{\\pi}{2}",
            "90",
            "\\infty",
            "(3,\\frac{\\pi}{2})",
            "p-q",
            "q-p",
            "10101_2",
            "10101",
        ),
    ]
    for start, one in enumerate(forms):
        for other in forms[start + 1 : start + 4]:
            assert equivalence.is_equal(one, other) == is_equiv(one, other), (one, other)
    answers = [item.answer for item in real(MATH).items[:60] if "," not in item.answer]
    for one, other in pairwise(answers):
        assert equivalence.is_equal(one, other) == is_equiv(one, other), (one, other)
