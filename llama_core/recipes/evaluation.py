"""Where and when models are evaluated: the parts of the section `evaluate` that change no result."""

from bisect import bisect_left
from typing import Annotated

from pydantic import AfterValidator, Field

from llama_core.evaluate import names
from llama_core.recipes.training import Train
from llama_core.section import Execution, Section

MOST_HELDOUT = 32_000_000
"""Bytes of held-out text of each source that the tokens step gathers, and so the most that can be scored."""


def known_tasks(tasks: list[str]) -> list[str]:
    """Return names of benchmarks. Raises ValueError where one is unknown."""
    names.keys(tasks)
    return tasks


Tasks = Annotated[list[str], AfterValidator(known_tasks)]


class At(Section):
    """The checkpoints that are evaluated while the training goes on (the paper's Figure 2)."""

    every: Execution[int] = Field(0, ge=0)
    """Number of training tokens between two evaluations, such as 50e9: of the checkpoints after the first
    update that reaches each multiple of it. The training saves these, and keeps them. 0: only the trained
    model is evaluated, which it always is."""
    tasks: Execution[Tasks | None] = None
    """Benchmarks that the model is scored on then, as in `evaluate.tasks`; null: those. The curves of the
    paper's Figure 2 are of triviaqa, hellaswag, nq_open, siqa, winogrande and piqa."""

    def steps(self, train: Train) -> list[int]:
        """Return after which updates of a training a checkpoint is evaluated, its last one left out."""
        found: list[int] = []
        tokens = self.every
        while tokens and (step := step_at(train, tokens)) < train.steps:
            found.append(step)
            tokens = (train.tokens_before(step + 1) // self.every + 1) * self.every
        return found


def step_at(train: Train, tokens: int) -> int:
    """Return the first update of a training after which the model has seen so many tokens, or its last."""
    return 1 + bisect_left(range(1, train.steps), tokens, key=lambda step: train.tokens_before(step + 1))
