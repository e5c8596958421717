"""GSM8k: problems of grade school in words, after eight examples of a chain of thought."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llama_core.evaluate.benchmark import Dataset, File, Role
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.choices import numbered, only
from llama_core.evaluate.benchmarks.worked import Problem, Worked, published_examples, variants

_NUMBER = r"\s*([-$]*(?:\d[\d,]*(?:\.\d+)?|\.\d+))"
_SAID = re.compile(rf"[Tt]he answer is:?{_NUMBER}")
_MARKED = re.compile(rf"####{_NUMBER}")  # as the benchmark's own solutions end
_PARTS = re.compile(r"(-?)0*(\d*)(?:\.(\d+))?")


class GSM8k(Worked):
    """The 1,319 problems of the test."""

    name = "gsm8k"
    title = "GSM8k"
    files = {"items": Role(("gsm8k/test.jsonl", "*grade_school_math/data/test.jsonl", "gsm8k/*test*.jsonl"))}
    variants = variants(shots=8, k=100)
    most_new_tokens = 256
    stop = ("Q:",)

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Problem]:
        items = numbered(rows.items(only(files), _problem, rows.json_rows))
        return Dataset(items, published_examples("gsm8k.yaml", "question", "answer"))

    def prompt(self, item: Problem, shots: Sequence[Problem]) -> str:
        examples = "".join(f"Q: {one.problem}\nA: {one.solution}\n\n" for one in shots)
        return f"{examples}Q: {item.problem}\nA:"

    def answer_of(self, text: str) -> str | None:
        """Return the number after the first `The answer is`, or after `####`."""
        found = _SAID.search(text) or _MARKED.search(text)
        return found and number(found[1])


def number(written: str) -> str | None:
    """Return a number in digits alone: 1,000.50 and $1000.5 are the same. None where it is none."""
    parts = _PARTS.fullmatch(written.replace("$", "").replace(",", ""))
    if parts is None:
        return None
    sign, whole, fraction = parts[1], parts[2] or "0", (parts[3] or "").rstrip("0")
    digits = f"{whole}.{fraction}" if fraction else whole
    return digits if digits == "0" else sign + digits


def _problem(row: Any) -> Problem:
    solution = rows.text(row, "answer")
    marked = _MARKED.search(solution)
    answer = number(marked[1]) if marked else None
    if answer is None:
        raise ValueError("`answer` ends in no `####` with a number after it")
    return Problem("", rows.text(row, "question"), solution, answer)
