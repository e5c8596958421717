"""ARC and OpenBookQA: AI2's questions of science (Clark et al. 2018; Mihaylov et al. 2018).

A row of JSON is AI2's ({"question": {"stem", "choices"}}), the hub's, or a plain one with a list of choices
and the number of the right one. In a row of a table the choices stand in one text: "(A) ... (B) ...".
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llama_core.evaluate.benchmark import Dataset, File, Role
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.choices import MultipleChoice, Question, Rule, numbered, only


class ARC(MultipleChoice):
    """One of the two test sets of ARC."""

    def __init__(self, name: str, title: str, published: str):
        """`published`: what AI2 calls the set."""
        self.name, self.title = name, title
        self.files = {
            "items": Role(
                (
                    f"*/{published}/{published}-Test.jsonl",
                    f"*{published}[_-][Tt]est.jsonl",
                    f"*{published}/test.jsonl",
                    f"*{published}[_-][Tt]est.csv",
                    f"*{published}/test.csv",
                )
            )
        }

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Question]:
        """Return the questions of the test set."""

        def question(row: Any) -> Question:
            found, stem, choices, gold = _parts(row)
            return Question(found, f"Question: {stem}\nAnswer:", choices, gold)

        return Dataset(numbered(rows.items(only(files), question, _rows)))


class OpenBookQA(MultipleChoice):
    """OpenBookQA, its test set, without the book's facts."""

    name = "openbookqa"
    title = "OBQA"
    files = {
        "items": Role(
            (
                "*/Data/Main/test.jsonl",
                "*openbookqa/test.jsonl",
                "*/Data/Main/test.tsv",
                "*openbookqa/test.tsv",
                "*test_complete.jsonl",
                "*test_complete.tsv",
            )
        )
    }
    rules = (Rule.RATIO, Rule.CHARACTERS, Rule.PLAIN)

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Question]:
        """Return the questions of the test set."""
        return Dataset(numbered(rows.items(only(files), lambda row: Question(*_parts(row)), _rows)))


def _rows(file: File) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a file of JSON lines or of a table. Raises ValueError."""
    if file.name.endswith(".tsv"):
        return rows.table_rows(file, "\t")
    return rows.table_rows(file) if file.name.endswith(".csv") else rows.json_rows(file)


def _parts(row: Any) -> tuple[str, str, tuple[str, ...], int]:
    """Return the id, the stem, the choices and the number of the right one. Raises ValueError."""
    if isinstance(row, dict):
        if "Question Stem" in row:  # OpenBookQA's table
            texts, labels = _lettered(row, "Choices")[1:]
            parts = rows.text(row, "ID"), rows.text(row, "Question Stem"), texts
            return _answered(row, "Answer Key", labels, *parts)
        if "AnswerKey" in row:  # ARC's table
            stem, texts, labels = _lettered(row, "question")
            return _answered(row, "AnswerKey", labels, rows.text(row, "questionID"), stem, texts)
    found = rows.text(row, "id") if isinstance(row, dict) and "id" in row else ""
    key = "question_stem" if isinstance(row, dict) and "question_stem" in row else "question"
    asked = rows.value(row, key, dict, str)
    stem, holder = (
        (rows.text(asked, "stem"), asked) if isinstance(asked, dict) else (rows.text(row, key), row)
    )
    choices = rows.value(holder, "choices", dict, list)
    if isinstance(choices, dict):
        return _answered(
            row, "answerKey", rows.texts(choices, "label"), found, stem, rows.texts(choices, "text")
        )
    if choices and isinstance(choices[0], dict):
        texts, labels = [rows.text(c, "text") for c in choices], [rows.text(c, "label") for c in choices]
        return _answered(row, "answerKey", labels, found, stem, texts)
    gold = rows.number(row, "gold")
    return found, stem, rows.checked(rows.texts(holder, "choices"), gold, "gold"), gold


def _answered(
    row: Any, key: str, labels: Sequence[str], found: str, stem: str, texts: Sequence[str]
) -> tuple[str, str, tuple[str, ...], int]:
    """Return the parts, of which the right choice is the one whose label the key has. Raises ValueError."""
    answer = rows.text(row, key).strip()
    if answer not in labels:
        raise ValueError(f"`{key}` is {answer!r}, and the labels of the choices are {list(labels)}")
    if len(labels) != len(texts):
        raise ValueError(f"`label` has {len(labels)} entries for {len(texts)} choices")
    gold = labels.index(answer)
    return found, stem, rows.checked(texts, gold, key), gold


def _lettered(row: Any, key: str) -> tuple[str, list[str], list[str]]:
    """Return what stands before "(A) ... (B) ..." or "(1) ... (2) ...", the choices, and their labels.

    Where the first label is there several times, that counts which the most others follow, or of such the
    last. Raises ValueError where there are no choices.
    """
    text = rows.text(row, key)
    found: tuple[str, list[str], list[str]] = ("", [], [])
    for series in ("ABCDEFGH", "12345678"):
        stem, *parts = text.split(f"({series[0]})")
        while parts:
            choices, labels = _split(f"({series[0]})".join(parts), series)
            if len(labels) >= max(2, len(found[2])):
                found = stem.strip(), choices, labels
            stem, parts = f"{stem}({series[0]}){parts[0]}", parts[1:]
    if not found[2]:
        raise ValueError(f"`{key}` has no choices (A), (B): {text[:100]!r}")
    return found


def _split(text: str, series: str) -> tuple[list[str], list[str]]:
    """Return the choices of a text that begins after the first label of a series, and their labels."""
    choices, labels = [], [series[0]]
    for label in series[1:]:
        choice, mark, rest = text.partition(f"({label})")
        if not mark:
            break
        choices.append(choice.strip())
        labels.append(label)
        text = rest
    return [*choices, text.strip()], labels
