"""Which process a step that makes no update has it from.

The gradients of the weights are summed over the processes, so one of them that has NaN gives it to all. What
is not summed is the gradient of the embeddings' output: each process has that of its own sequences alone,
and NaN anywhere on the way back from the loss comes to it. In a pipeline it is the first process of those
that take the same sequences which sees it.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llama_core.train.parallel.parts import Parts

MOST = 8  # processes that a message names, and sequences of each


class WayBack:
    """Notes whether the gradients on this process's way back from the loss are finite."""

    def __init__(self, parts: Parts):
        self._broken = torch.zeros((), dtype=torch.bool, device=parts.mesh.world.device)
        for model in parts.models:
            if isinstance(embeddings := getattr(model, "tok_embeddings", None), torch.nn.Module):
                embeddings.register_forward_hook(self._watch)

    def broken(self) -> Tensor:
        """Tell whether one of them was not since the last call: bool (). Nothing waits for the device."""
        broken, self._broken = self._broken, torch.zeros_like(self._broken)
        return broken

    def _watch(self, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        if output.requires_grad:
            output.register_hook(self._note)

    def _note(self, gradient: Any) -> None:
        local = gradient.to_local() if hasattr(gradient, "to_local") else gradient
        self._broken = self._broken | ~local.isfinite().all()


Seen = tuple[float, bool, list[int]]
"""What a process alone has seen of a step.

The largest loss of one of its sequences, or NaN; whether its gradients were not finite; the sequences that
the first of these is of, or all of its sequences.
"""


def seen(rows: Tensor, numbers: NDArray[np.int64], broken: Tensor) -> Seen:
    """Return what this process has seen of a step. It waits for the device.

    `rows`: (B,), as `passes.backward` returns them; `numbers`: (B,), those of its sequences; `broken`: what
    `WayBack` tells.
    """
    losses = rows.double().cpu().numpy()
    if not np.isfinite(losses).all():
        return math.nan, bool(broken), numbers[~np.isfinite(losses)].tolist()
    of_it = numbers if broken else numbers[[losses.argmax()]]
    return float(losses.max()), bool(broken), of_it.tolist()


def origin(told: Sequence[Seen], norm: float) -> str:
    """Return where a step that makes no update has it from.

    `told`: what each process has seen, by rank; `norm`: that of the gradients.
    """
    if ranks := [n for n, (loss, _, _) in enumerate(told) if math.isnan(loss)]:
        return f"the loss is not finite on {_named(ranks, told)}"
    if ranks := [n for n, (_, broken, _) in enumerate(told) if broken]:
        return f"gradients are not finite on {_named(ranks, told)}"
    if not math.isfinite(norm):
        return "no process alone has seen it: it comes from where the gradients of weights are made or summed"
    largest = max(range(len(told)), key=lambda n: told[n][0])
    return f"the loss is largest on {_named([largest], told)}"


def _named(ranks: list[int], told: Sequence[Seen]) -> str:
    some = [f"rank {n} (sequences {_some(told[n][2])})" for n in ranks[:MOST]]
    return ", ".join(some) + (f" and {len(ranks) - MOST:,} more" if len(ranks) > MOST else "")


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:MOST])) + (" ..." if len(numbers) > MOST else "")
