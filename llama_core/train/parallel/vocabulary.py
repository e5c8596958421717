"""Loss parallelism: cross-entropy of logits of which each process has a part of the vocabulary."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from llama_core.train.parallel.mesh import Mesh


@dataclass(frozen=True)
class SharedCrossEntropy:
    """`loss.cross_entropy` over the tp processes, to which it is the same on each.

    Two numbers a position are exchanged, instead of all of its logits.
    """

    group: dist.ProcessGroup
    rank: int

    @classmethod
    def of(cls, mesh: Mesh) -> "SharedCrossEntropy":
        """Return the loss of a mesh."""
        return cls(mesh.devices["tp"].get_group(), mesh.tp_rank)

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the summed cross-entropy of each sequence, float32 (B,).

        `logits`: (B, S, V / tp), of this process's ids; `targets`: int64 (B, S).
        """
        first = self.rank * logits.shape[-1]
        losses: Tensor = _Losses.apply(logits.flatten(0, 1), targets.flatten() - first, self.group)
        return losses.view(targets.shape).sum(1)


class _Losses(torch.autograd.Function):
    """The cross-entropy of each position, float32 (N,), from logits (N, V / tp).

    `targets`: int64 (N,), counted from this process's first id, so that others' lie outside.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, group: dist.ProcessGroup) -> Tensor:
        wide = logits.float()
        highest = wide.amax(-1)
        dist.all_reduce(highest, dist.ReduceOp.MAX, group)
        wide = wide - highest[:, None]
        here = (targets >= 0) & (targets < logits.shape[-1])
        at = targets.where(here, 0)
        chosen = wide.gather(-1, at[:, None])[:, 0].where(here, 0)
        sums = torch.stack((wide.exp().sum(-1), chosen))
        dist.all_reduce(sums, group=group)
        log_sum = sums[0].log()
        ctx.save_for_backward(logits, highest + log_sum, at, here)
        return log_sum - sums[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        logits, log_sum, at, here = ctx.saved_tensors
        wide = (logits.float() - log_sum[:, None]).exp_()
        wide.scatter_add_(-1, at[:, None], -here.float()[:, None])
        return (wide * gradient[:, None]).to(logits.dtype), None, None
