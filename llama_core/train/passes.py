"""The passes of a step: forward and backward over a batch's micro-batches."""

from collections.abc import Callable

import torch
from torch import Tensor

from llama_core.recipe import Recipe
from llama_core.train.loss import head
from llama_core.train.parallel.data import reshard
from llama_core.train.parallel.micro_batch import MicroBatch
from llama_core.train.parallel.parts import Parts

IGNORED = -100
"""The target of a position whose loss does not count."""


def backward(
    parts: Parts, batch: Tensor, recipe: Recipe, bos_id: int, stop: Callable[[], bool] = lambda: False
) -> Tensor | None:
    """Compute the gradients of the mean loss of a batch, of which this process sees `batch`.

    `batch`: int64 (B, S + 1), on the host. Returns float32 (B,), on the device: the summed cross-entropy that
    this process accounts for, of each sequence. The sum over all processes, divided by the batch's targets,
    is the mean loss. Nothing waits for the device. `stop` is asked before each micro-batch (a pipeline takes
    all of them together): where it says so, the gradients are those of the micro-batches before, and None is
    returned.
    """
    mesh = parts.mesh
    starts = bos_id if recipe.train.document_mask else None
    micro_batches = [MicroBatch.of(t, starts, mesh) for t in batch.split(recipe.layout.micro_batch)]
    n_targets = batch.shape[0] * (batch.shape[1] - 1) * mesh.data_size
    if parts.pipeline is not None:
        return None if stop() else parts.pipeline.backward(micro_batches, n_targets)
    layout, rows = recipe.layout, []
    for part in micro_batches:
        if stop():
            return None
        loss = head(part.targets, layout.compile, layout.loss_parallel)
        sums = parts.whole(part.inputs, part.mask, head=loss, positions=part.positions)  # (B,)
        (sums.sum() / n_targets).backward()
        rows.append(sums.detach())
    return torch.cat(rows) * (mesh.tp_rank == 0)


@torch.no_grad()
def score(parts: Parts, tokens: Tensor, targets: Tensor, recipe: Recipe, bos_id: int) -> Tensor:
    """Return the summed cross-entropy of each sequence: float32 (B,), on the device. No gradient is made.

    `tokens`: int64 (B, S + 1), and `targets`: int64 (B, S), on the host; a target that is IGNORED counts
    nothing. What this process accounts for, and who calls it, is as in `backward`.
    """
    mesh = parts.mesh
    starts = bos_id if recipe.train.document_mask else None
    size = recipe.layout.micro_batch
    pairs = zip(tokens.split(size), targets.split(size), strict=True)
    micro_batches = [MicroBatch.of(t, starts, mesh, wanted) for t, wanted in pairs]
    if parts.pipeline is not None:
        return parts.pipeline.score(micro_batches)
    model, layout, rows = parts.whole, recipe.layout, []
    for part in micro_batches:
        loss = head(part.targets, layout.compile, layout.loss_parallel)
        rows.append(model(part.inputs, part.mask, head=loss, positions=part.positions))  # (B,)
    reshard(model)
    return torch.cat(rows) * (mesh.tp_rank == 0)
