"""The training loss."""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, targets: Tensor, n_targets: int) -> Tensor:
    """Return the summed cross-entropy divided by `n_targets`, in float32.

    `logits`: (B, S, V); `targets`: int64 (B, S). `n_targets` is the number of targets in the whole batch,
    over all micro-batches and processes, so the parts of a batch add up to its mean, however it is split.
    """
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum") / n_targets


@functools.cache
def compiled_cross_entropy() -> Callable[[Tensor, Tensor, int], Tensor]:
    """Return `cross_entropy` compiled into one kernel, which makes no copy of the logits in float32."""
    return torch.compile(cross_entropy)
