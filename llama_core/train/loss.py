"""The training loss."""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the summed cross-entropy of each sequence, float32 (B,).

    `logits`: (B, S, V); `targets`: int64 (B, S).
    """
    losses = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none")
    return losses.view(targets.shape).sum(1)


@functools.cache
def compiled_cross_entropy() -> Callable[[Tensor, Tensor], Tensor]:
    """Return `cross_entropy` compiled into one kernel, which makes no copy of the logits in float32."""
    return torch.compile(cross_entropy)
