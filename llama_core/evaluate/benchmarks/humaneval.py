"""HumanEval: functions' bodies from their signatures and docstrings, without examples (Chen et al. 2021).

The paper does not say how many samples it draws; 200 is what Chen et al. draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_core.evaluate.benchmark import Dataset, File, Generation, Request, Role, Variant
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.code import MAX_NEW_TOKENS, TOP_P, Code, once_each

STOP = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")  # Chen et al. 2021, section 3
SAMPLES = 200


@dataclass(frozen=True)
class Function:
    """A function without its body."""

    id: str
    prompt: str
    solution: str
    test: str
    """A program that defines `check`, which takes the function."""
    name: str


class HumanEval(Code[Function]):
    """The 164 functions."""

    name, title = "humaneval", "HumanEval"
    files = {"items": Role(("*HumanEval.jsonl", "*[Hh]uman[Ee]val*.jsonl"))}
    variants = (
        Variant("pass@1", samples=SAMPLES, temperature=0.1, top_p=TOP_P, k=1),
        Variant("pass@100", samples=SAMPLES, temperature=0.8, top_p=TOP_P, k=100),
    )

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Function]:
        """Return the functions of the publisher's file."""
        return Dataset(once_each(rows.items(files["items"], _function, rows.json_rows), self.name))

    def requests(self, item: Function, shots: Sequence[Function], variant: Variant) -> list[Request]:
        """Return the request for the body."""
        return [
            Generation(item.prompt, MAX_NEW_TOKENS, STOP, variant.samples, variant.temperature, variant.top_p)
        ]

    def program(self, item: Function, text: str) -> str:
        """Return the function with a body, and the call of its test."""
        return f"{item.prompt}{text}\n{item.test}\ncheck({item.name})"


def _function(row: Any) -> Function:
    """Return the function of a row. Raises ValueError."""
    keys = ("task_id", "prompt", "canonical_solution", "test", "entry_point")
    found = Function(*(rows.text(row, key) for key in keys))
    if not found.name.isidentifier():
        raise ValueError(f"`entry_point` is {found.name[:100]!r}, and not a name")
    return found
