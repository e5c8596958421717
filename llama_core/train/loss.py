"""The training loss: cross-entropy that takes the output projection in, and never holds all logits at once.

A chunk of positions at a time is projected to logits, and these become at once the loss and its gradients for
the hidden states and the projection, as in Liger Kernel (Hsu et al. 2024). So the chunks cost no operation
more than all logits together, and of float32 logits, or of their gradient, one chunk is all that exists.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

CHUNK = {"cpu": 2**23, "cuda": 2**26}  # logits: 32 and 256 MiB in float32


def head(
    targets: Tensor, compiled: bool = False, vocab_parallel: bool = True
) -> Callable[[Tensor, nn.Linear], Tensor]:
    """Return the head with which `Llama.forward` gives `cross_entropy` in place of logits."""

    def losses(hidden: Tensor, output: nn.Linear) -> Tensor:
        return cross_entropy(hidden, output, targets, compiled, vocab_parallel)

    return losses


def cross_entropy(
    hidden: Tensor, output: nn.Linear, targets: Tensor, compiled: bool = False, vocab_parallel: bool = True
) -> Tensor:
    """Return the summed cross-entropy of each sequence: float32 (B,).

    `hidden`: (B, S, dim), the normalised last hidden states; `output`: the projection to logits, whose weight
    is (V, dim); `targets`: int64 (B, S). The products are made in the precision of `hidden`, all else in
    float32, and `compiled` into one kernel. Where no gradient is made, a negative target counts nothing.

    Where the weight is a DTensor that is sharded over the vocabulary, each process makes the logits of its
    part (loss parallelism): two numbers a position are exchanged, and the result is whole on each process.
    With `vocab_parallel` false the weight is gathered, and each process makes all logits. `hidden` is either
    the same plain tensor on each process of the mesh, and its gradient is so too, or a DTensor on that mesh.
    """
    group, weight = None, output.weight
    if hasattr(weight, "placements"):
        hidden, weight, group = _local(hidden, weight, vocab_parallel)
    if not torch.is_grad_enabled():
        hidden, weight = hidden.detach(), weight.detach()  # or their gradients would be made all the same
    rows = hidden.flatten(0, 1), weight, targets.flatten()
    losses: Tensor = _Losses.apply(*rows, compiled, group)
    losses = losses.view(targets.shape)
    if not losses.requires_grad:
        losses = losses.where(targets >= 0, 0)
    return losses.sum(1)


def _local(hidden: Tensor, weight: Any, vocab_parallel: bool) -> tuple[Tensor, Any, dist.ProcessGroup | None]:
    """Return plain tensors for a weight that is a DTensor, and the group that has its other parts."""
    from torch.distributed.tensor import DTensor, Replicate, Shard

    if isinstance(hidden, DTensor):
        hidden = hidden.redistribute(placements=[Replicate()]).to_local()
    if vocab_parallel and tuple(weight.placements) == (Shard(0),):
        return hidden, weight.to_local(), weight.device_mesh.get_group()
    return hidden, weight.redistribute(placements=[Replicate()]).to_local(), None


class _Losses(torch.autograd.Function):
    """The cross-entropy of each position, float32 (N,), of hidden states (N, dim) and a weight (V, dim).

    The gradients are made together with the losses, as if that of each loss were 1. This is right up to a
    factor for every mean of losses; for other gradients the logits are made a second time.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, compiled: bool, group: Any
    ) -> Tensor:
        ctx.compiled, ctx.group = compiled, group
        learns = any(ctx.needs_input_grad[:2])
        losses, *gradients = _by_chunks(hidden, weight, targets, None, learns, compiled, group)
        ctx.save_for_backward(hidden, weight, targets, *gradients)
        return losses

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        hidden, weight, targets, of_hidden, of_weight = ctx.saved_tensors
        # One number, expanded? The strides say it without waiting for the device.
        if any(gradient.stride()):
            arguments = hidden, weight, targets, gradient, True, ctx.compiled, ctx.group
            _, of_hidden, of_weight = _by_chunks(*arguments)
        else:
            of_hidden, of_weight = (_scaled(x, gradient[:1]) for x in (of_hidden, of_weight))
        return of_hidden, of_weight, None, None, None


def _by_chunks(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    gradient: Tensor | None,
    learns: bool,
    compiled: bool,
    group: dist.ProcessGroup | None,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the losses, and if the model `learns` their gradients for `hidden` and `weight`.

    `gradient`: that of each loss, float32 (N,); None: 1.
    """
    vocab = weight.shape[0]
    first = vocab * dist.get_rank(group) if group is not None else 0  # the first id of this process
    n_chunks = max(1, -(-hidden.shape[0] * vocab // CHUNK[hidden.device.type]))
    log_softmax_of = _compiled() if compiled and group is None else _log_softmax
    losses, of_hidden = [], []
    of_weight = _Sum()
    scales = [None] * n_chunks if gradient is None else gradient[:, None].chunk(n_chunks)
    for part, ids, scale in zip(hidden.chunk(n_chunks), targets.chunk(n_chunks), scales, strict=False):
        logits = part @ weight.t()  # (C, V)
        ids = ids[:, None] - first
        here = (ids >= 0) & (ids < vocab)  # (C, 1): whether this process has the logit of the target
        ids = ids.where(here, 0)
        chosen, of_logits = log_softmax_of(logits, ids, here, scale, group)
        losses.append(-chosen[:, 0])
        if learns:
            of_chosen = chosen.exp() - 1 if scale is None else (chosen.exp() - 1) * scale
            of_chosen = of_chosen.to(of_logits.dtype).where(here, of_logits.gather(1, ids))
            rows = torch.arange(len(ids), device=ids.device)
            of_logits.index_put_((rows, ids[:, 0]), of_chosen[:, 0])  # as scatter_, which is slow in bf16
            of_hidden.append(of_logits @ weight)
            of_weight.add(of_logits.t(), part)
        del logits, of_logits  # before the next chunk's are made
    if not learns:
        return torch.cat(losses), None, None
    whole = torch.cat(of_hidden)
    if group is not None:
        dist.all_reduce(whole, group=group)  # each process has made the share of its part of the vocabulary
    return torch.cat(losses), whole, of_weight.value.to(weight.dtype)


def _log_softmax(
    logits: Tensor, ids: Tensor, here: Tensor, scale: Tensor | None, group: dist.ProcessGroup | None
) -> tuple[Tensor, Tensor]:
    """Return the logarithm of the probability of `ids`, float32 (C, 1), and all probabilities times `scale`.

    The probabilities are (C, V), in the precision of `logits`.
    """
    logs = F.log_softmax(logits, -1, dtype=torch.float32)
    chosen = logs.gather(1, ids)
    if group is not None:
        log_sum = logits[:, :1].float() - logs[:, :1]
        mine = torch.stack((log_sum, (chosen + log_sum).where(here, 0)))  # (2, C, 1)
        each = mine.new_empty(dist.get_world_size(group), *mine.shape)
        dist.all_gather(list(each.unbind()), mine, group=group)
        whole = each[:, 0].logsumexp(0)
        chosen = each[:, 1].sum(0) - whole
        logs += log_sum - whole
    probabilities = logs.exp_() if scale is None else logs.exp_() * scale
    return chosen, probabilities.to(logits.dtype)


@functools.cache
def _compiled() -> Callable[..., tuple[Tensor, Tensor]]:
    """Return `_log_softmax` compiled into one kernel, which keeps nothing in float32 in memory."""
    return torch.compile(_log_softmax, dynamic=False)


def _scaled(x: Tensor, factor: Tensor) -> Tensor:
    """Return `x` times `factor`, float32 (1,), which is not rounded to the precision of `x` before."""
    return torch.mul(x, factor, out=torch.empty_like(x))


class _Sum:
    """The sum of matrix products, in float32 where there is more than one."""

    value: Tensor

    def __init__(self) -> None:
        self._n = 0

    def add(self, a: Tensor, b: Tensor) -> None:
        """Add the product of `a` and `b`."""
        if self._n == 0:
            self.value = a @ b
        elif a.dtype == torch.float32:
            self.value.addmm_(a, b)
        else:
            self.value = self.value.float().add_(a @ b)
        self._n += 1
