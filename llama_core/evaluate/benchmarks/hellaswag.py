"""HellaSwag: how a description of a scene goes on (Zellers et al. 2019)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llama_core.evaluate.benchmark import Dataset, File, Role
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.choices import MultipleChoice, Question, numbered, only


class HellaSwag(MultipleChoice):
    """HellaSwag, its validation set, as published or with its text joined and cleaned already."""

    name = "hellaswag"
    title = "HellaSwag"
    files = {"items": Role(("*hellaswag_val.jsonl", "*hellaswag_val*.jsonl", "*hellaswag/val*.jsonl"))}

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Question]:
        """Return the questions of the validation set."""
        return Dataset(numbered(rows.items(only(files), _question, rows.json_rows)))


def _question(row: Any) -> Question:
    """Return the question in an official row, or in one whose text is joined and cleaned already."""
    label, endings = rows.text(row, "activity_label"), rows.texts(row, "endings")
    if "ctx_b" in row:
        context = f"{label}: {rows.text(row, 'ctx_a')} {rows.text(row, 'ctx_b').capitalize()}"
        context, endings = _unmarked(context), [_unmarked(ending) for ending in endings]
    else:
        context = f"{label}: {rows.text(row, 'ctx')}"
    gold = rows.number(row, "label")
    return Question("", context, rows.checked(endings, gold, "label"), gold)


def _unmarked(text: str) -> str:
    """Return a text without the markup of the part from WikiHow, as lm-eval does it."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")
