"""The part of the section `evaluate` that says at which of a training's checkpoints a model is evaluated."""

from bisect import bisect_left

from pydantic import Field

from llama_core.recipes.training import Train
from llama_core.section import Execution, Section

MOST_HELDOUT = 32_000_000
"""Bytes of held-out text of each source that the tokens step gathers, and so the most that can be scored."""


class At(Section):
    """The checkpoints that are evaluated while the training goes on (the paper's Figure 2)."""

    every: Execution[int] = Field(0, ge=0)
    """Number of training tokens between two evaluations, such as 50e9: of the first checkpoint after each
    multiple of it. The training saves these checkpoints and keeps them. 0: the trained model alone is
    evaluated, which it is in any case. It changes nothing of the training or of the last evaluation."""

    def steps(self, train: Train) -> list[int]:
        """Return after which updates of a training a checkpoint is evaluated, its last one left out."""
        if not self.every:
            return []
        steps, found = range(1, train.steps), list[int]()
        tokens = self.every
        while (place := bisect_left(steps, tokens, key=lambda step: train.tokens_before(step + 1))) < len(
            steps
        ):
            found.append(steps[place])
            tokens = (train.tokens_before(steps[place] + 1) // self.every + 1) * self.every
        return found
