r"""MATH: problems of competitions in LaTeX, after Minerva's four examples.

Answers are normalised as Minerva normalises them (Lewkowycz et al. 2022), and two are the same where SymPy
finds no difference between them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from llama_core.errors import InputError
from llama_core.evaluate.benchmark import Dataset, File, Role, Variant
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.choices import numbered, only
from llama_core.evaluate.benchmarks.worked import Problem, Worked, published_examples, variants
from llama_core.evaluate.judge import equivalence
from llama_core.evaluate.judge.latex import final_answer


class MATH(Worked):
    """The 5,000 problems of the test or, where only these are there, 500 of them."""

    name = "math"
    title = "MATH"
    files = {
        "items": Role(
            (
                *("*MATH/test/*/*.json", "math/*test/*/*.json"),  # as published: a file for each problem
                *("math/test.jsonl", "math/*test*.jsonl"),
            )
        )
    }
    variants = variants(shots=4, k=256)
    most_new_tokens = 512
    stop = ("Problem:",)

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Problem]:
        if any(file.name.endswith(".jsonl") for file in files["items"]):
            items = numbered(rows.items(only(files), _problem, rows.json_rows))
        else:
            items = [
                replace(problem, id=_name(file))
                for file in files["items"]
                for problem in rows.items([file], _problem, rows.json_object)
            ]
        if twice := [name for name, n in Counter(item.id for item in items).items() if n > 1]:
            raise InputError(f"the problem {twice[0]} is there twice: leave one folder of {self.title}")
        return Dataset(items, published_examples("math.yaml", "problem", "solution"))

    def prompt(self, item: Problem, shots: Sequence[Problem]) -> str:
        examples = "".join(f"Problem:\n{one.problem}\n\nSolution: {one.solution}\n\n" for one in shots)
        return f"{examples}Problem:\n{item.problem}\n\nSolution:"

    def answer_of(self, text: str) -> str | None:
        return final_answer(text)

    def is_right(self, answer: str, item: Problem) -> bool:
        """Tell whether two answers are the same text or the same formula."""
        return equivalence.is_equal(answer, item.answer)

    def missing(self, variant: Variant) -> str | None:
        return equivalence.missing()


def _name(file: File) -> str:
    """Return the name of a problem that is a file: its subject and its number."""
    return "/".join(file.name.removesuffix(".json").split("/")[-2:])


def _problem(row: Any) -> Problem:
    """Return the problem of a row: the publisher's or, with other names for some keys, that of MATH-500."""
    solution = rows.text(row, "solution")
    answer = final_answer(solution)
    if answer is None:
        raise ValueError(r"`solution` has no \boxed{...} with the answer")
    subject = rows.text(row, "type" if "type" in row else "subject")
    level = str(rows.value(row, "level", int, str)).removeprefix("Level ")
    id = rows.text(row, "unique_id") if "unique_id" in row else ""
    id = id.removeprefix("test/").removesuffix(".json")
    groups = (subject, f"level {level}")
    return Problem(id, rows.text(row, "problem"), solution, answer, groups)
