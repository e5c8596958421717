"""TruthfulQA's answers that are generated: lm-eval's prompt, kept and not scored."""

from pathlib import Path

import pytest
import yaml
from asked import run
from written_answers import Writer, lines, rendered

from llama_core.evaluate.benchmarks import BENCHMARKS

TRUTHFULQA = BENCHMARKS["truthfulqa"]
ROWS = [
    {
        "question": question,
        "best_answer": "No.",
        "correct_answers": ["No.", "They do not."],
        "incorrect_answers": ["Yes."],
    }
    for question in ("Do stones float?", "Are owls blind?")
]


class Loader(yaml.SafeLoader):
    """Reads a task's file without the functions that it names."""


Loader.add_constructor("!function", lambda loader, node: None)


def test_answers_are_asked_for_and_kept_without_a_score() -> None:
    lm_eval = pytest.importorskip("lm_eval")
    generated = next(variant for variant in TRUTHFULQA.variants if variant.name == "generated")
    dataset = TRUTHFULQA.load({"items": [lines("truthfulqa/generation.jsonl", ROWS)]})
    writer = Writer(lambda n, _: [" They do not.", " No"][n])
    told = []
    result = run(TRUTHFULQA, generated, dataset, writer, lambda *all: told.append(all[-1]))
    assert (result.score, result.stderr, result.n) == (None, None, 2)
    assert result.not_scored is not None
    assert [(verdict.score, verdict.details["answer"]) for verdict in told] == [
        (None, "They do not."),
        (None, "No"),
    ]

    file = Path(lm_eval.__file__).parent / "tasks/truthfulqa/truthfulqa_gen.yaml"
    config = {key: value for key, value in yaml.load(file.read_text(), Loader).items() if value is not None}
    config = {key: config[key] for key in ("task", "doc_to_text", "num_fewshot")} | {
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_target": "best_answer",
    }
    # lm-eval leaves the words "A:" to the model; the benchmark's authors do not.
    assert [request.prompt for request in writer.asked] == [f"{one}\nA:" for one in rendered(config, ROWS)]
