"""The guard: which steps make an update, and what happens where too many in a row make none.

A step whose gradients are not finite, or whose norm is many times that of the updates before it, makes no
update on any process. Such a step is told, and forgotten. Where they stay, the training goes back to a
checkpoint before the first of them and passes over the batches since, as PaLM's did (Chowdhery et al. 2022,
section 5.1). What was passed over is in every checkpoint, so the order of the data is a function of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from llama_core.recipes.training import Train

Span = tuple[int, int]


@dataclass(frozen=True)
class Norms:
    """The norms of the gradients of the updates so far: how many there were, and their rolling mean."""

    count: float = 0.0
    mean: float = 0.0


NO_NORMS = Norms()


class Guard:
    """Decides on the device which steps make an update. Every process decides the same.

    `norms`: those of the updates before.
    """

    def __init__(self, cfg: Train, norms: Norms, device: torch.device):
        self._cfg = cfg
        self._state = torch.tensor([norms.count, norms.mean], dtype=torch.float64, device=device)

    def allows(self, norm: Tensor) -> Tensor:
        """Tell whether a step makes an update: bool (). `norm`: that of its gradients, float32 ().

        Nothing waits for the device.
        """
        count, mean = self._state.unbind()
        allowed = norm.isfinite()
        if self._cfg.spike_norm is not None:
            usual = (count < self._cfg.spike_window) | (norm <= self._cfg.spike_norm * mean)
            allowed = allowed & usual
        mean = mean + (norm.double() - mean) / (count + 1).clamp(max=self._cfg.spike_window)
        self._state = torch.where(allowed, torch.stack([count + 1, mean]), self._state)
        return allowed

    def norms(self) -> Norms:
        """Return the norms of the updates so far. It waits for the device."""
        return Norms(*self._state.tolist())


def batch_of(step: int, passed_over: Iterable[Span]) -> int:
    """Return which batch of the data is that of `step` (1 is the first), counted from 0.

    `passed_over`: spans of batches (from, up to) that no step takes.
    """
    batch, passed = step - 1, 0
    for start, end in sorted(passed_over):
        # What two spans share is passed over once: a training may go back to before where it went back to.
        start, passed = max(start, passed), max(end, passed)
        if batch >= start:
            batch += passed - start
    return batch
