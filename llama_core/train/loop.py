"""The training loop: fetch a batch, forward and backward in micro-batches, clip, update, log, save."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from llama_core.artifact import MANIFEST
from llama_core.errors import DivergedError, InputError
from llama_core.model.attention import backend_for
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.train import checkpoint
from llama_core.train.checkpoint import TrainState
from llama_core.train.digest import model_digest
from llama_core.train.distributed import World
from llama_core.train.metrics import Metrics, is_finite
from llama_core.train.optimizer import clip, lr_at, make_optimizer, update
from llama_core.train.parallelize import build, init_weights
from llama_core.train.passes import backward

log = logging.getLogger(__name__)


class Batches(Protocol):
    """What the loop needs of a loader (see `tokens.loader.Loader`)."""

    fingerprint: str
    """Equal where batch n is the same for every n."""

    def batch(self, n: int, rank: int, world: int) -> NDArray[np.int64]:
        """Return a rank's part of batch n, counted from 0: int64 (B, S + 1)."""
        ...


def train(step: Step, recipe: Recipe, data: Batches, vocab_size: int, bos_id: int, world: World) -> bool:
    """Train from the newest checkpoint, or from the start, and commit the step's manifest.

    Returns False where SIGTERM stopped it before the end, with its progress saved. Raises DivergedError where
    the loss or the gradients are not finite, InputError where `data` is not what the step was trained on, and
    StoreError.
    """
    cfg, run = recipe.train, recipe.run
    model = build(recipe, vocab_size, world)
    mesh = model.mesh
    if world.rank == 0:
        kind = world.device.type
        log.info("attention by %s on %s", backend_for(recipe.layout.attention, kind), kind)
    optimizer = make_optimizer(model, cfg)
    progress = checkpoint.load(step, model, optimizer, world)
    if progress is None:
        init_weights(model, cfg.init_std, cfg.seed)
        progress = TrainState(0, 0, data.fingerprint, b"")
    elif progress.data != data.fingerprint:
        raise InputError(f"{step.folder.url} was trained on other data: delete it to start anew")
    elif world.rank == 0:
        log.info("resuming after step %d of %d, on %d processes", progress.step, cfg.steps, world.size)
    metrics = Metrics(cfg, progress.metrics)

    with _sigterm() as asked_to_stop:
        for n in range(progress.step + 1, cfg.steps + 1):
            batch = torch.from_numpy(data.batch(n - 1, mesh.data_rank, mesh.data_size))
            rows = backward(model, batch, recipe, bos_id)
            grad_norm = clip(model.parameters(), cfg.grad_clip).item()
            total, stopping = world.sum(rows.sum().item(), len(asked_to_stop))
            loss = total / cfg.global_batch_tokens
            if not is_finite(loss, grad_norm):
                raise DivergedError(
                    f"training diverged at step {n}: loss {loss}, gradient norm {grad_norm}. Nothing of "
                    "this step is saved: try a lower train.lr or a higher train.warmup_steps"
                )
            update(optimizer, n, cfg)
            metrics.log(n, loss, lr_at(n, cfg), grad_norm, world.rank == 0)
            if n % run.save_every and n < cfg.steps and not stopping:
                continue
            if world.agree(lambda: step.folder.exists(MANIFEST)):
                return True  # another attempt has finished this step
            progress = TrainState(n, n * cfg.global_batch_tokens, data.fingerprint, metrics.as_jsonl())
            checkpoint.save(step, model, optimizer, progress, world)
            if world.rank == 0:
                checkpoint.retain(step, run.keep)
            if stopping and n < cfg.steps:
                return False

    digest = model_digest(model, world)
    facts = {"parameters": recipe.model.n_params(vocab_size), "loss": metrics.records[-1]["loss"]}
    world.agree(lambda: checkpoint.finish(step, progress, run.keep, digest, facts))
    return True


@contextmanager
def _sigterm() -> Iterator[list[int]]:
    """Return a list that gets an item as soon as the process is asked to end, instead of ending it."""
    asked: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)
