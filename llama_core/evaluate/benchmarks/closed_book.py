"""NaturalQuestions and TriviaQA: questions that are answered from memory (section 3.2, Tables 4 and 5).

The prompt is that of the paper's figure 3. It does not say where the examples come from: here they are the
first of the benchmark's own questions for training, without those that are asked.
"""

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llama_core.evaluate.benchmark import (
    Answer,
    Benchmark,
    Dataset,
    File,
    Generation,
    Request,
    Result,
    Role,
    Variant,
    Verdict,
    mean,
    texts_of,
)
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.choices import distinct, numbered

HEADER = "Answer these questions:\n"
MOST_NEW_TOKENS = 64  # an answer that is right has fewer
SHOTS = tuple(Variant(f"{shots}-shot", shots) for shots in (0, 1, 5, 64))

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


@dataclass(frozen=True)
class Question:
    """A question and the answers that are right."""

    id: str
    question: str
    """As it stands in the prompt."""
    answers: tuple[str, ...]
    shown: str
    """The answer that stands in the prompt where the question is an example."""


class ClosedBook(Benchmark[Question]):
    """A benchmark of questions that are asked without a text that holds the answer."""

    variants = SHOTS

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Question]:
        """Return the questions of the files, and of the examples those that are no item."""
        asked = numbered(self.read(distinct(files["items"])))
        known = {normalized(item.question) for item in asked}
        examples = [one for one in self.read(files["examples"]) if normalized(one.question) not in known]
        return Dataset(asked, examples)

    def read(self, files: Sequence[File]) -> list[Question]:
        """Return the questions of some files. Raises InputError."""
        return rows.items(files, self.question_of, rows.json_rows)

    def question_of(self, row: Any) -> Question:
        """Return the question of a row. Raises ValueError."""
        answers = rows.texts(row, "answer")
        return _checked("", rows.text(row, "question"), answers, next(iter(answers), ""))

    def requests(self, item: Question, shots: Sequence[Question], variant: Variant) -> list[Request]:
        examples = "".join(f"Q: {one.question}\nA: {one.shown}\n" for one in shots)
        return [Generation(f"{HEADER}{examples}Q: {item.question}\nA:", MOST_NEW_TOKENS, ("\n",))]

    def judge(self, item: Question, variant: Variant, answers: Sequence[Answer]) -> Verdict:
        """Return 1 where what the answer is cut to is one of the right ones."""
        (text,) = texts_of(answers[0])
        answer = cut(text)
        right = normalized(answer) in {normalized(one) for one in item.answers}
        return Verdict(float(right), {"answer": answer, "gold": list(item.answers)})

    def figures(self, variant: Variant, judged: Sequence[tuple[Question, Verdict]]) -> Result:
        score, stderr = mean([verdict.score for _, verdict in judged])
        return Result("exact match", score, stderr, len(judged))


class NaturalQuestions(ClosedBook):
    """The 3,610 questions of NQ-open's test split."""

    name = "nq_open"
    title = "NaturalQuestions"
    files = {
        "items": Role(("*NQ-open.dev.jsonl", "nq_open/*dev.jsonl", "nq_open/*test.jsonl")),
        "examples": Role(
            ("nq_open/*heldout*.jsonl", "*NQ-open.train.jsonl", "nq_open/*train.jsonl"), needed=False
        ),
    }

    def question_of(self, row: Any) -> Question:
        """Return the question of a row, which has small letters alone, as a sentence, as in figure 3."""
        found = super().question_of(row)
        question = found.question[:1].upper() + found.question[1:]
        return replace(found, question=question if question.endswith("?") else f"{question}?")


class TriviaQA(ClosedBook):
    """The development set: the 11,313 questions without filter or, where only these are there, the 17,944 of
    the reading task, of which the paper may mean either.
    """

    name = "triviaqa"
    title = "TriviaQA"
    files = {
        "items": Role(
            (
                "*unfiltered-web-dev.json",
                "*triviaqa*/w[ei]*-dev.json",  # web-dev and wikipedia-dev
                *("triviaqa/*validation*.jsonl", "triviaqa/*test*.jsonl", "triviaqa/*dev.jsonl"),
            )
        ),
        "examples": Role(
            (
                "triviaqa/*heldout*.jsonl",
                "*unfiltered-web-train.json",
                "*triviaqa*/w[ei]*-train.json",
                "triviaqa/*train*.jsonl",
            ),
            needed=False,
        ),
    }

    def read(self, files: Sequence[File]) -> list[Question]:
        """Return the questions of some files: the publisher's JSON objects, or lines of JSON."""
        found = []
        for file in files:
            if not file.name.endswith(".json"):
                found += super().read([file])
                continue
            questions = rows.items([file], _of_publisher, partial(rows.json_list, key="Data"), "question")
            # A question of the reading task stands in both files, with different texts to read.
            part = "" if len(files) == 1 else f"{file.name.rpartition('/')[2].removesuffix('.json')}/"
            found += [replace(question, id=part + question.id) for question in questions]
        return found

    def question_of(self, row: Any) -> Question:
        """Return the question of a line of JSON, as Hugging Face or DPR have it. Raises ValueError."""
        answer = rows.value(row, "answer", dict, list)
        if isinstance(answer, list):
            return super().question_of(row)
        aliases, value = rows.texts(answer, "aliases"), rows.text(answer, "value")
        return _checked("", rows.text(row, "question"), [*aliases, value], value)


def cut(text: str) -> str:
    """Return the answer in a text: what stands before the first line break or comma, without a last dot."""
    return text.partition("\n")[0].partition(",")[0].strip().removesuffix(".")


def normalized(answer: str) -> str:
    """Return an answer in small letters without articles, punctuation and superfluous spaces.

    What would leave nothing of it stays: "A+" is "a", and "---" is not the same as no answer.
    """
    small = answer.lower()
    words = small.translate(_NO_PUNCTUATION)
    kept = (" ".join(text.split()) for text in (_ARTICLES.sub(" ", words), words, small))
    return next(filter(None, kept), "")


def _of_publisher(row: Any) -> Question:
    answer = rows.value(row, "Answer", dict)
    value = rows.text(answer, "Value")
    aliases = rows.texts(answer, "Aliases") or rows.texts(answer, "NormalizedAliases")
    return _checked(rows.text(row, "QuestionId"), rows.text(row, "Question"), [*aliases, value], value)


def _checked(id: str, question: str, answers: Sequence[str], shown: str) -> Question:
    """Return a question, with each of its answers once. Raises ValueError where there is none."""
    kept = tuple(dict.fromkeys(one.strip() for one in answers if one.strip()))
    if not question.strip() or not kept or not shown.strip():
        raise ValueError("a question needs a text and an answer")
    return Question(id, question.strip(), kept, shown.strip())
