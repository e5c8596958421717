"""Whatever a row of the benchmarks with generated answers holds, it is read, or its place is named."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.errors import InputError
from llama_core.evaluate.benchmark import File, Generation, texts_of
from llama_core.evaluate.benchmarks import BENCHMARKS

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
ALIASES = {"Value": "Elm", "Aliases": ["Elm St"], "NormalizedAliases": ["elm st"], "Type": "FreeForm"}
ROWS: dict[str, Any] = {
    "nq_open": {"question": "who made it", "answer": ["Ada", "A. L."]},
    "triviaqa": {"question": "Who?", "answer": {"value": "Ada", "aliases": ["A. L."]}},
    "triviaqa.json": {"Question": "Who?", "QuestionId": "tc_1", "Answer": ALIASES},
    "gsm8k": {"question": "3+4?", "answer": "3+4=<<3+4=7>>7\n#### 7"},
    "math": {"problem": "p", "level": "Level 1", "type": "Algebra", "solution": "$\\boxed{1}$"},
    "realtoxicityprompts": {"prompt": {"text": "It was", "toxicity": 0.5}},
}


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(sorted(ROWS)), st.data())
def test_whatever_a_row_holds_it_is_read_or_named(case: str, data: st.DataObject) -> None:
    row: Any = copy.deepcopy(ROWS[case])
    part = row
    if inner := [key for key, value in row.items() if isinstance(value, dict)]:
        part = data.draw(st.sampled_from([row, row[inner[0]]]))
    for key in data.draw(st.lists(st.sampled_from(sorted(part)), max_size=2)):
        part[key] = data.draw(VALUES)
    row = data.draw(st.just(row) | VALUES)
    name, _, ending = case.partition(".")
    benchmark = BENCHMARKS[name]
    whole = {"Data": [row]} if ending else row
    file = File(f"{name}/dev.{ending or 'jsonl'}", json.dumps(whole).encode() + b"\n")
    try:
        items = benchmark.load({"items": [file], "examples": []}).items
    except InputError as error:
        assert f"{file.name}, {'question' if ending else 'line'} 1: " in str(error)
    else:
        for item in items:
            shots = [item] * benchmark.variants[0].shots
            (request,) = benchmark.requests(item, shots, benchmark.variants[0])
            assert isinstance(request, Generation)
            request.prompt.encode()


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(ROWS)), st.data())
def test_whatever_a_model_writes_there_is_a_verdict(case: str, data: st.DataObject) -> None:
    words = st.sampled_from(
        [
            *(
                "The answer is ",
                "$",
                "7",
                ",",
                ".",
                "\n",
                " ",
                "-",
                "Final Answer: The final answer is ",
                "####",
            ),
            *(
                ". I hope it is correct.",
                "\\boxed{",
                "}",
                "\\text{",
                "\\frac",
                "\\sqrt[",
                "]",
                "=",
                "\ufffd",
                "A",
            ),
        ]
    )
    texts = data.draw(st.lists(st.lists(words, max_size=12).map("".join), min_size=3, max_size=3))
    name, _, ending = case.partition(".")
    benchmark = BENCHMARKS[name]
    row = ROWS[case]
    file = File(f"{name}/dev.{ending or 'jsonl'}", json.dumps({"Data": [row]} if ending else row).encode())
    (item,) = benchmark.load({"items": [file], "examples": []}).items
    if name == "math":  # what is no text of the gold answer is compared in another process
        assert all(answer is None or answer for answer in map(benchmark.answer_of, texts))  # type: ignore[attr-defined]
        return
    verdict = benchmark.judge(item, benchmark.variants[0], [texts_of(texts[:1])])
    assert verdict.score in (0.0, 1.0, None)
    json.dumps(verdict.details, allow_nan=False)
