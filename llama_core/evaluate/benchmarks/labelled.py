"""PIQA, SIQA and WinoGrande, which AI2 publishes as rows in one file and their labels in another.

Bisk et al. 2020; Sap et al. 2019; Sakaguchi et al. 2020.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from llama_core.evaluate.benchmark import Continuation, Dataset, File, Role
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.choices import MultipleChoice, Question, numbered, only


class PIQA(MultipleChoice):
    """PIQA, its validation set: which of two ways leads to a goal."""

    name = "piqa"
    title = "PIQA"
    files = {
        "items": Role(
            ("*piqa/valid.jsonl", "*piqa/validation.jsonl", "*piqa/dev.jsonl", "*physicaliqa*/dev.jsonl")
        ),
        "labels": Role(
            ("*piqa/valid-labels.lst", "*piqa/dev-labels.lst", "*physicaliqa*/dev-labels.lst"), needed=False
        ),
    }

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Question]:
        """Return the questions of the validation set."""

        def question(row: Any) -> Question:
            gold = rows.number(row, "label")
            choices = rows.checked((rows.text(row, "sol1"), rows.text(row, "sol2")), gold, "label")
            return Question("", f"Question: {rows.text(row, 'goal')}\nAnswer:", choices, gold)

        return Dataset(numbered(rows.items(only(files), question, _with_labels(files, "label"))))


class SIQA(MultipleChoice):
    """SIQA, its validation set: what people feel, want and do. Labels count from 1."""

    name = "siqa"
    title = "SIQA"
    files = {
        "items": Role(
            (
                "*siqa/validation.jsonl",
                "*siqa/dev.jsonl",
                "*social_i*qa/validation.jsonl",
                "*socialiqa*/dev.jsonl",
            )
        ),
        "labels": Role(("*siqa/dev-labels.lst", "*socialiqa*/dev-labels.lst"), needed=False),
    }

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Question]:
        """Return the questions of the validation set."""

        def question(row: Any) -> Question:
            gold = _from_one(row, "label")
            answers = [rows.text(row, f"answer{letter}") for letter in "ABC"]
            context = f"Q: {rows.text(row, 'context')} {rows.text(row, 'question')}\nA:"
            return Question("", context, rows.checked(answers, gold, "label"), gold)

        return Dataset(numbered(rows.items(only(files), question, _with_labels(files, "label"))))


class WinoGrande(MultipleChoice):
    """WinoGrande, its development set: what stands in the gap of a sentence. Labels count from 1.

    Both options have the same continuation, the rest of the sentence, and differ in what stands before it.
    So the rules by characters and plain are one.
    """

    name = "winogrande"
    title = "WinoGrande"
    files = {
        "items": Role(
            ("*winogrande*/dev.jsonl", "*winogrande*/validation.jsonl"),
        ),
        "labels": Role(("*winogrande*/dev-labels.lst",), needed=False),
    }

    def scored(self, item: Question, shots: Sequence[Question]) -> list[Continuation]:
        """Return the rest of the sentence after each option."""
        before, after = item.context.split("_")
        return [Continuation(before + choice, f" {after.strip()}") for choice in item.choices]

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Question]:
        """Return the questions of the development set."""

        def question(row: Any) -> Question:
            sentence, gold = rows.text(row, "sentence"), _from_one(row, "answer")
            if sentence.count("_") != 1 or not sentence.partition("_")[2].strip():
                raise ValueError(f"`sentence` has not one gap `_` before its end: {sentence[:100]!r}")
            options = rows.checked((rows.text(row, "option1"), rows.text(row, "option2")), gold, "answer")
            return Question(rows.text(row, "qID") if "qID" in row else "", sentence, options, gold)

        return Dataset(numbered(rows.items(only(files), question, _with_labels(files, "answer"))))


def _with_labels(
    files: Mapping[str, Sequence[File]], key: str
) -> Callable[[File], Iterator[tuple[int, dict[str, Any]]]]:
    """Return a reader of rows, which gives one without a label that of its place in the file of labels."""
    labels = [line for file in only(files, "labels") for _, line in rows.plain_lines(file)]

    def read(file: File) -> Iterator[tuple[int, Any]]:
        found = list(rows.json_rows(file))
        bare = any(isinstance(row, dict) and key not in row for _, row in found)
        if bare and labels and len(labels) != len(found):
            raise ValueError(f"it has {len(found)} rows, and the file of labels {len(labels)}")
        for place, (line, row) in enumerate(found):
            if bare and labels and isinstance(row, dict):
                row = {key: labels[place]} | row
            yield line, row

    return read


def _from_one(row: Any, key: str) -> int:
    """Return the number of the right choice, from 0, where the file counts from 1. Raises ValueError."""
    label = rows.number(row, key)
    if label == 0:
        raise ValueError(f"`{key}` is 0, and labels count from 1 here")
    return label - 1
