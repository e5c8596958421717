"""RACE: questions about passages, from examinations in English (Lai et al. 2017), in GPT-3's format.

A question stands after its passage and the passage's earlier questions with their right answers (Brown et al.
2020, figure G.1). Every question is scored.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from llama_core.evaluate.benchmark import Dataset, File, Role
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.choices import MultipleChoice, Question, Rule, distinct, numbered


class RACE(MultipleChoice):
    """One of the two test sets of RACE.

    The paper says that it follows GPT-3, which scores RACE by the ratio, and also that it scores all but
    BoolQ and OpenBookQA by characters. By characters is the score here, and the ratio a figure beside it.
    """

    rules = (Rule.CHARACTERS, Rule.RATIO, Rule.PLAIN)

    def __init__(self, level: str):
        """`level`: `middle` or `high`, for the schools."""
        self.name, self.title = f"race_{level}", f"RACE-{level}"
        self.files = {
            "items": Role(
                (
                    f"*RACE/test/{level}/*.txt",
                    f"*race/test/{level}/*.txt",
                    f"*test_{level}.jsonl",
                    f"*race*/{level}/test*.jsonl",
                )
            )
        }

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Question]:
        """Return the questions of the test set: of the publisher's files, one a passage, or of lines of JSON.

        A line is a passage as the publisher has it, or a question as the hub has it, next to those about the
        same passage.
        """
        parts = rows.items(distinct(files["items"]), _passage, rows.json_rows)
        passages = []
        for (name, article), same in groupby(parts, key=lambda part: part[:2]):
            passages.append((name, article, [asked for part in same for asked in part[2]]))
        return Dataset(numbered([q for passage in passages for q in _questions(*passage)]))


Asked = tuple[str, tuple[str, ...], int]  # a question, its choices, and the number of the right one


def _passage(row: Any) -> tuple[str, str, list[Asked]]:
    """Return a passage's id, its text, and what is asked about it. Raises ValueError."""
    article = rows.text(row, "article")
    if "question" in row:
        asked = [_asked(rows.text(row, "question"), rows.texts(row, "options"), rows.text(row, "answer"))]
        return rows.text(row, "example_id"), article, asked
    questions, answers = rows.texts(row, "questions"), rows.texts(row, "answers")
    options = rows.value(row, "options", list)
    if not len(questions) == len(answers) == len(options) > 0:
        raise ValueError(
            f"there are {len(questions)} questions, {len(options)} `options`, {len(answers)} `answers`"
        )
    found = [
        _asked(question, rows.texts({f"options.{n}": choices}, f"options.{n}"), answer)
        for n, (question, choices, answer) in enumerate(zip(questions, options, answers))
    ]
    return rows.text(row, "id"), article, found


def _asked(question: str, choices: Sequence[str], answer: str) -> Asked:
    if len(answer) != 1 or not "A" <= answer <= "Z":
        raise ValueError(f"an answer is {answer[:100]!r}, and not a letter")
    gold = ord(answer) - ord("A")
    # The publisher took questions from the web by program, and may have lost a choice that is wrong.
    return question, rows.checked(choices, gold, "answers", empty=True), gold


def _questions(name: str, article: str, asked: Sequence[Asked]) -> list[Question]:
    """Return the questions about a passage, each with the earlier ones and their right answers before it."""
    found, before = [], f"Article:\n{article}\n\n"
    for number, (question, choices, gold) in enumerate(asked):
        before += f"Q: {question}\nA:"
        found.append(Question(f"{name}/{number}", before, choices, gold))
        before += f" {choices[gold]}\n"
    return found
