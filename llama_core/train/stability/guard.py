"""The guard: which steps make an update, and what happens where too many in a row make none.

A step whose loss or gradients are not finite, or whose loss or norm of the gradients is far above that of the
updates before it, makes no update on any process. Such a step is told, and forgotten. Where they stay, the
training goes back to a checkpoint before the first of them and passes over the batches around them, as PaLM's
did (Chowdhery et al. 2022, section 5.1). What was passed over is in every checkpoint, so the order of the
data is a function of it.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass

import torch
from torch import Tensor

from llama_core.recipes.training import Train

Span = tuple[int, int]
LEAST = 0.01  # of the loss: as much as this it changes at least from one update to the next


@dataclass(frozen=True)
class Usual:
    """What the updates so far were like: how many there were, and rolling means over the last of them."""

    count: float = 0.0
    norm: float = 0.0
    """The mean norm of the gradients."""
    loss: float = 0.0
    """The mean loss."""
    change: float = 0.0
    """The mean change of the loss from one update to the next, up or down."""
    last: float = 0.0
    """The loss of the last update."""


NOTHING = Usual()


class Guard:
    """Decides on the device which steps make an update. Every process decides the same.

    `usual`: what the updates before were like.
    """

    def __init__(self, cfg: Train, usual: Usual, device: torch.device):
        self._cfg = cfg
        self._state = torch.tensor(astuple(usual), dtype=torch.float64, device=device)

    def allows(self, norm: Tensor, loss: Tensor) -> Tensor:
        """Tell whether a step makes an update: bool (). Nothing waits for the device.

        `norm`: that of its gradients, float32 (); `loss`: the mean one of its batch, float64 ().
        """
        cfg, values = self._cfg, torch.stack([norm.double(), loss])
        count, mean_norm, mean_loss, change, last = self._state.unbind()
        allowed, begins = values.isfinite().all(), count < cfg.spike_window
        if cfg.spike_norm is not None:
            allowed = allowed & (begins | (norm <= cfg.spike_norm * mean_norm))
        if cfg.spike_loss is not None:
            usual = torch.maximum(change, LEAST * mean_loss)
            allowed = allowed & (begins | (loss <= mean_loss + cfg.spike_loss * usual))
        changed = torch.where(count > 0, (loss - last).abs(), 0.0)
        means = torch.stack([mean_norm, mean_loss, change])
        now = torch.cat([values, changed[None]])
        means = means + (now - means) / (count + 1).clamp(max=cfg.spike_window)
        after = torch.cat([(count + 1)[None], means, loss[None]])
        self._state = torch.where(allowed, after, self._state)
        return allowed

    def usual(self) -> Usual:
        """Return what the updates so far were like. It waits for the device."""
        return Usual(*self._state.tolist())


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
