"""BoolQ: questions about a passage that are answered with yes or no (Clark et al. 2019)."""

from collections.abc import Mapping, Sequence
from typing import Any

from llama_core.evaluate.benchmark import Dataset, File, Role
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.choices import MultipleChoice, Question, Rule, numbered, only


class BoolQ(MultipleChoice):
    """BoolQ. A row has `question`, `passage`, and `answer` (the publisher's) or `label` (SuperGLUE's)."""

    name = "boolq"
    title = "BoolQ"
    files = {
        "items": Role(("*[Bb]ool[Qq]/dev.jsonl", "*[Bb]ool[Qq]/val.jsonl", "*[Bb]ool[Qq]/validation.jsonl"))
    }
    rules = (Rule.RATIO, Rule.CHARACTERS, Rule.PLAIN)

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Question]:
        """Return the questions of the validation set."""
        return Dataset(numbered(rows.items(only(files), _question, rows.json_rows)))


def _question(row: Any) -> Question:
    passage, question = rows.text(row, "passage"), rows.text(row, "question")
    key = "label" if "label" in row and "answer" not in row else "answer"
    answer = rows.value(row, key, bool, int)
    if answer not in (0, 1):
        raise ValueError(f"`{key}` is {answer}, and neither true nor false, nor 1 nor 0")
    return Question("", f"{passage}\nQuestion: {question}?\nAnswer:", ("no", "yes"), int(answer))
