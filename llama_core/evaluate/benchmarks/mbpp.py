"""MBPP: short functions from a sentence and three tests (Austin et al. 2021), after three examples.

The test set is the tasks 11 to 510, and the examples are the tasks 2, 3 and 4, with the file's line ends.
The paper does not say how many samples it draws. pass@80 needs 80; 100 are drawn here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_core.evaluate.benchmark import Dataset, File, Generation, Request, Role, Variant
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.code import MAX_NEW_TOKENS, TOP_P, Code, once_each

TEST, EXAMPLES = range(11, 511), (2, 3, 4)
SAMPLES = 100
END = "[DONE]"


@dataclass(frozen=True)
class Task:
    """A task with its tests."""

    id: str
    text: str
    code: str
    setup: str
    """What the tests need beside the code: it may use what the code defines."""
    tests: tuple[str, ...]

    @property
    def prompt(self) -> str:
        """What the model continues with the code."""
        tests = "\n".join(self.tests)
        return (
            f"You are an expert Python programmer, and here is your task: {self.text} "
            f"Your code should pass these tests:\n\n{tests}\n[BEGIN]\n"
        )


class MBPP(Code[Task]):
    """The 500 tasks."""

    name, title = "mbpp", "MBPP"
    files = {"items": Role(("*mbpp.jsonl",))}
    variants = (
        Variant("pass@1", len(EXAMPLES), samples=SAMPLES, temperature=0.1, top_p=TOP_P, k=1),
        Variant("pass@80", len(EXAMPLES), samples=SAMPLES, temperature=0.8, top_p=TOP_P, k=80),
    )

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Task]:
        """Return the tasks of the publisher's file, which holds those of all sets."""
        tasks = once_each(rows.items(files["items"], _task, rows.json_rows), self.name)
        return Dataset(
            [task for task in tasks if int(task.id) in TEST],
            [task for task in tasks if int(task.id) in EXAMPLES],
        )

    def requests(self, item: Task, shots: Sequence[Task], variant: Variant) -> list[Request]:
        """Return the request for the code."""
        before = "".join(f"{shot.prompt}{shot.code}\n{END}\n\n" for shot in shots)
        prompt = before + item.prompt
        return [
            Generation(prompt, MAX_NEW_TOKENS, (END,), variant.samples, variant.temperature, variant.top_p)
        ]

    def program(self, item: Task, text: str) -> str:
        """Return the code, what its tests need, and the tests."""
        return "\n".join((text, item.setup, *item.tests))


def _task(row: Any) -> Task:
    """Return the task of a row. Raises ValueError."""
    return Task(
        str(rows.number(row, "task_id")),
        rows.text(row, "text"),
        rows.text(row, "code"),
        rows.text(row, "test_setup_code"),
        tuple(rows.texts(row, "test_list")),
    )
