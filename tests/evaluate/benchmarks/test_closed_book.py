"""Questions that are answered from memory: the paper's prompt, its cut, and the scores of known answers."""

import json
import math
import re
from collections.abc import Callable

import pytest
from asked import run
from small_benchmarks import EVALDATA
from written_answers import Writer, lines

from llama_core.errors import InputError
from llama_core.evaluate.benchmark import Benchmark, Dataset, File, Generation, Variant
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.benchmarks.closed_book import Question, cut, normalized
from llama_core.evaluate.files import Folder, NotThere
from llama_core.store import Store

NQ, TRIVIA = BENCHMARKS["nq_open"], BENCHMARKS["triviaqa"]
ASKED = [
    {"question": "who carved the old bridge", "answer": ["Ana Lund", "A. Lund"]},
    {"question": "what is the capital of the dry plain?", "answer": ["Oro, West", "Oro"]},
]
POOL = [
    {"question": f"how many stones are in heap {n}", "answer": [f"{n} stones", str(n)]} for n in range(70)
]


def nq(pool: list[dict[str, object]] = POOL) -> Dataset[Question]:
    files = {"items": [lines("nq_open/dev.jsonl", ASKED)], "examples": [lines("nq_open/train.jsonl", pool)]}
    return NQ.load(files)


def asked(benchmark: Benchmark[Question], dataset: Dataset[Question], variant: Variant) -> list[Generation]:
    writer = Writer(lambda *_: "")
    run(benchmark, variant, dataset, writer)
    return writer.asked


def test_the_prompt_is_that_of_the_papers_figure() -> None:
    none, one, *_ = NQ.variants
    assert [request.prompt for request in asked(NQ, nq(), none)] == [
        "Answer these questions:\nQ: Who carved the old bridge?\nA:",
        "Answer these questions:\nQ: What is the capital of the dry plain?\nA:",
    ]
    assert asked(NQ, nq(), one)[0].prompt == (
        "Answer these questions:\n"
        "Q: How many stones are in heap 0?\nA: 0 stones\n"
        "Q: Who carved the old bridge?\nA:"
    )


def test_each_shot_count_of_the_papers_table_is_a_variant_with_its_own_standard_error() -> None:
    for benchmark in (NQ, TRIVIA):
        assert [(v.name, v.shots) for v in benchmark.variants] == [
            *(("0-shot", 0), ("1-shot", 1), ("5-shot", 5), ("64-shot", 64))
        ]
    for variant in NQ.variants:
        writer = Writer(lambda n, _: " Ana Lund\n" if n == 0 else " nobody\n")
        result = run(NQ, variant, nq(), writer)
        assert writer.asked[0].prompt.count("\nA: ") == variant.shots
        assert (result.metric, result.score, result.n) == ("exact match", 0.5, 2)
        assert result.stderr == pytest.approx(math.sqrt(0.5 * 0.5 / 2))


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        (" Ana Lund\nQ: who", "Ana Lund"),
        (" Ana Lund.", "Ana Lund"),
        (" Ana Lund, a carver. She", "Ana Lund"),
        (" A. Lund.\n", "A. Lund"),
        ("\nAna Lund", ""),
        ("", ""),
    ],
)
def test_an_answer_ends_at_a_line_break_a_comma_or_its_last_dot(written: str, answer: str) -> None:
    assert cut(written) == answer


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The  Beatles", "beatles", True),
        ("an A-team!", "ateam", True),
        ("theatre", "atre", False),
        ("A+", "a", True),
        ("---", "", False),
        ("---", " --- ", True),
    ],
)
def test_answers_are_compared_without_case_articles_punctuation_and_spaces(
    one: str, other: str, same: bool
) -> None:
    assert (normalized(one) == normalized(other)) is same


@pytest.mark.parametrize(
    ("write", "right"),
    [
        (lambda item: item.answers[0], 3327),
        # lm-eval ends an answer at its first dot as well.
        (lambda item: re.split(r"[.,]", item.answers[0])[0], 3235),
        (lambda item: next(filter(lambda one: survives(one, item), item.answers), ""), 3373),
        # Of these, two have no answer but punctuation.
        (
            lambda item: next((one for one in item.answers if survives(one, item) and has_words(one)), ""),
            3371,
        ),
        (lambda item: "", 0),
    ],
)
def test_what_a_perfect_model_gets_on_natural_questions_is_known(
    write: Callable[[Question], str], right: int
) -> None:
    try:
        dataset = Folder(EVALDATA.as_uri()).load(NQ)
    except NotThere as error:
        pytest.skip(str(error))
    assert len(dataset.items) == 3610
    result = run(NQ, NQ.variants[0], dataset, Writer(lambda n, _: f" {write(dataset.items[n])}\nQ:"))
    assert round(result.score * 3610, 6) == right
    known = {normalized(item.question) for item in dataset.items}
    assert len(dataset.examples) > 64
    assert not any(normalized(one.question) in known for one in dataset.examples)


def survives(answer: str, item: Question) -> bool:
    return normalized(cut(answer)) in {normalized(one) for one in item.answers}


def has_words(answer: str) -> bool:
    return re.search(r"\w", cut(answer)) is not None


def test_an_example_is_none_of_the_questions_that_are_asked() -> None:
    again = {"question": "Who carved the OLD bridge?", "answer": ["Ana Lund"]}
    dataset = nq([again, *POOL])
    assert [one.question for one in dataset.examples[:1]] == ["How many stones are in heap 0?"]
    with pytest.raises(InputError, match="nq_open wants 64 examples before each item, and its files hold 63"):
        asked(NQ, nq(POOL[:63]), NQ.variants[-1])


def trivia(name: str, *questions: dict[str, object]) -> File:
    whole = {"Data": questions, "Domain": "Web", "Split": "dev", "VerifiedEval": False, "Version": 1.0}
    return File(name, json.dumps(whole, indent=2).encode())


def published(number: int, value: str, *aliases: str, **more: object) -> dict[str, object]:
    answer = {
        "Aliases": aliases,
        "MatchedWikiEntityName": value,
        "NormalizedAliases": [alias.lower() for alias in aliases],
        "NormalizedMatchedWikiEntityName": value.lower(),
        "NormalizedValue": value.lower(),
        "Type": "WikipediaEntity",
        "Value": value,
    }
    return {
        "Answer": answer,
        "EntityPages": [],
        "Question": f"Which street has number {number}?",
        "QuestionId": f"tc_{number}",
        "QuestionSource": "http://quiz.example/",
        "SearchResults": [],
    } | more


def test_triviaqa_is_read_as_its_publisher_has_it(store: Store) -> None:
    asked_of = trivia("", published(1, "Elm Street", "Elm St", "Elm St."), published(2, "Ash Lane", "Ash Ln"))
    pool = trivia("", published(2, "Ash Lane", "Ash Ln"), published(3, "Oak Road", "Oak Rd."))
    for name, file in (("dev", asked_of), ("train", pool)):
        store.publish_bytes(f"triviaqa-unfiltered/unfiltered-web-{name}.json", file.content)
    dataset = Folder(store.url).load(TRIVIA)
    assert [(item.id, item.answers) for item in dataset.items] == [
        ("tc_1", ("Elm St", "Elm St.", "Elm Street")),
        ("tc_2", ("Ash Ln", "Ash Lane")),
    ]
    assert asked(TRIVIA, dataset, TRIVIA.variants[1])[0].prompt == (
        "Answer these questions:\n"
        "Q: Which street has number 3?\nA: Oak Road\n"
        "Q: Which street has number 1?\nA:"
    )
    result = run(TRIVIA, TRIVIA.variants[0], dataset, Writer(lambda n, _: [" elm st, of", " Elm"][n]))
    assert result.score == 0.5


def test_both_files_of_the_reading_task_are_one_set() -> None:
    names = ("triviaqa-rc/qa/web-dev.json", "triviaqa-rc/qa/wikipedia-dev.json")
    files = [trivia(name, published(1, "Elm Street", "Elm St")) for name in names]
    dataset = TRIVIA.load({"items": files, "examples": []})
    assert [item.id for item in dataset.items] == ["web-dev/tc_1", "wikipedia-dev/tc_1"]
    hub = {"value": "Oak Road", "aliases": ["Oak Rd."], "normalized_aliases": ["oak rd"]}
    rows = [{"question": "Which road?", "answer": hub}, {"question": "Which lane?", "answer": ["Ash Ln"]}]
    found = TRIVIA.load({"items": [lines("triviaqa/validation.jsonl", rows)], "examples": []})
    assert [(item.id, item.answers, item.shown) for item in found.items] == [
        ("0", ("Oak Rd.", "Oak Road"), "Oak Road"),
        ("1", ("Ash Ln",), "Ash Ln"),
    ]


@pytest.mark.parametrize(
    ("benchmark", "file", "said"),
    [
        (
            NQ,
            lines("nq/dev.jsonl", [*ASKED, {"question": "who"}]),
            "nq/dev.jsonl, line 3: .*`answer` is missing",
        ),
        (
            NQ,
            lines("d.jsonl", [{"question": "an airline", "answer": "x"}]),
            "d.jsonl, line 1: `answer` is 'x'",
        ),
        (
            NQ,
            lines("d.jsonl", [{"question": " ", "answer": ["x"]}]),
            "d.jsonl, line 1: .*a text and an answer",
        ),
        (
            NQ,
            lines("d.jsonl", [{"question": "who", "answer": []}]),
            "d.jsonl, line 1: .*a text and an answer",
        ),
        (NQ, File("d.jsonl", b'{"question": \n'), "d.jsonl, line 1: it is not JSON"),
        (TRIVIA, File("t/dev.json", b'{"Data": [1'), "t/dev.json: it is not JSON"),
        (TRIVIA, File("t/dev.json", b'{"data": []}'), "t/dev.json: the key `Data` is missing"),
        (
            TRIVIA,
            trivia(
                "t/dev.json", published(1, "Elm", "Elm"), published(2, "Elm", "Elm", Answer={"Value": "E"})
            ),
            "t/dev.json, question 2: the key `Aliases` is missing",
        ),
        (
            TRIVIA,
            lines("t.jsonl", [{"question": "who", "answer": {"value": "x"}}]),
            "t.jsonl, line 1: .*`aliases`",
        ),
    ],
)
def test_a_row_that_is_none_is_named(benchmark: Benchmark[Question], file: File, said: str) -> None:
    with pytest.raises(InputError, match=said):
        benchmark.load({"items": [file], "examples": []})
