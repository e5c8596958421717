"""MMLU: examinations in 57 subjects (Hendrycks et al. 2021), 5-shot, with the subject's own examples."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from llama_core.evaluate.benchmark import (
    Continuation,
    Dataset,
    File,
    Result,
    Role,
    Variant,
    Verdict,
    enough,
)
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.choices import MultipleChoice, Question, Rule, by_group, distinct

LETTERS = "ABCD"
SUBJECTS = {
    "Humanities": (
        *("formal_logic", "high_school_european_history", "high_school_us_history"),
        *("high_school_world_history", "international_law", "jurisprudence", "logical_fallacies"),
        *("moral_disputes", "moral_scenarios", "philosophy", "prehistory", "professional_law"),
        "world_religions",
    ),
    "STEM": (
        *("abstract_algebra", "astronomy", "college_biology", "college_chemistry"),
        *("college_computer_science", "college_mathematics", "college_physics", "computer_security"),
        *("conceptual_physics", "electrical_engineering", "elementary_mathematics", "high_school_biology"),
        *("high_school_chemistry", "high_school_computer_science", "high_school_mathematics"),
        *("high_school_physics", "high_school_statistics", "machine_learning"),
    ),
    "Social Sciences": (
        *("econometrics", "high_school_geography", "high_school_government_and_politics"),
        *("high_school_macroeconomics", "high_school_microeconomics", "high_school_psychology"),
        *("human_sexuality", "professional_psychology", "public_relations", "security_studies", "sociology"),
        "us_foreign_policy",
    ),
    "Other": (
        *("anatomy", "business_ethics", "clinical_knowledge", "college_medicine", "global_facts"),
        *("human_aging", "management", "marketing", "medical_genetics", "miscellaneous", "nutrition"),
        *("professional_accounting", "professional_medicine", "virology"),
    ),
}
"""The subjects by the groups of the paper's table 9, whose figures follow with anatomy among the others."""
GROUPS = {subject: group for group, subjects in SUBJECTS.items() for subject in subjects}


class MMLU(MultipleChoice):
    """MMLU. The letters are scored, which are as long as each other, so two of the rules are one."""

    name = "mmlu"
    title = "MMLU"
    files = {
        "items": Role(("*data/test/*_test.csv", "*mmlu/test/*_test.csv", "*mmlu/test*.jsonl")),
        "examples": Role(("*data/dev/*_dev.csv", "*mmlu/dev/*_dev.csv", "*mmlu/dev*.jsonl")),
    }
    variants = (Variant("5-shot", shots=5),)
    rules = (Rule.PLAIN,)

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Question]:
        """Return the test's questions and the examples.

        They lie in the publisher's tables, one a subject, or in lines of JSON as the hub has them.
        """
        return Dataset(_read(files["items"]), _read(files["examples"]))

    def shots(self, item: Question, examples: Sequence[Question], k: int) -> Sequence[Question]:
        """Return the first `k` examples of the item's subject. Raises InputError where there are fewer."""
        return enough([e for e in examples if e.group == item.group], k, f"{self.name}, {item.group},")

    def scored(self, item: Question, shots: Sequence[Question]) -> list[Continuation]:
        """Return the letters of the choices, after the examples and the question with its choices."""
        subject = item.group.replace("_", " ")
        header = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
        solved = "".join(f"{_asked(shot)} {LETTERS[shot.gold]}\n\n" for shot in shots)
        return [Continuation(f"{header}{solved}{_asked(item)}", f" {letter}") for letter in LETTERS]

    def figures(self, variant: Variant, judged: Sequence[tuple[Question, Verdict]]) -> Result:
        """Return the accuracy over all questions; over those of each group and each subject as figures."""
        result = super().figures(variant, judged)
        groups = by_group((GROUPS[item.group], verdict.score) for item, verdict in judged)
        subjects = by_group((item.group, verdict.score) for item, verdict in judged)
        return replace(result, metric="accuracy", figures={**result.figures, **groups, **subjects})


def _asked(item: Question) -> str:
    choices = "".join(f"{letter}. {choice}\n" for letter, choice in zip(LETTERS, item.choices))
    return f"{item.context.strip()}\n{choices}Answer:"


def _read(files: Sequence[File]) -> list[Question]:
    """Return the questions, whose ids are the subject and the number of the question in it, from 0."""
    found: list[Question] = []
    for file in distinct(files):
        found += rows.items([file], _question, _table if file.name.endswith(".csv") else rows.json_rows)
    counts: Counter[str] = Counter()
    for place, question in enumerate(found):
        found[place] = replace(question, id=f"{question.group}/{counts[question.group]}")
        counts[question.group] += 1
    return found


def _table(file: File) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a publisher's table, which names its subject and no columns. Raises ValueError."""
    subject = PurePosixPath(file.name).stem.rpartition("_")[0]  # without _test, _dev
    for line, fields in rows.bare_rows(file):
        if len(fields) != 6:
            raise ValueError(f"line {line}: it has {len(fields)} fields, and not 6")
        question, *choices, letter = fields
        if letter not in LETTERS or len(letter) != 1:
            raise ValueError(f"line {line}: the answer is {letter[:100]!r}, and not A, B, C or D")
        row = {"question": question, "subject": subject, "choices": choices}
        yield line, row | {"answer": LETTERS.index(letter)}


def _question(row: Any) -> Question:
    subject, choices, gold = rows.text(row, "subject"), rows.texts(row, "choices"), rows.number(row, "answer")
    if subject not in GROUPS:
        raise ValueError(f"`subject` is {subject[:100]!r}, which is none of the 57")
    if len(choices) != len(LETTERS):
        raise ValueError(f"`choices` are {len(choices)}, and not {len(LETTERS)}")
    return Question("", rows.text(row, "question"), rows.checked(choices, gold, "answer"), gold, subject)
