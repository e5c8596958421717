"""The training loop: fetch a batch, forward and backward in micro-batches, clip, update, log, save."""

import logging
import math
import os
from dataclasses import replace
from functools import partial
from typing import Protocol

import torch

from llama_core.errors import InputError
from llama_core.model.attention import backend_for
from llama_core.program import INTERRUPTED
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.tokens.loader import Batch
from llama_core.train import checkpoint
from llama_core.train.checkpoint import TrainState
from llama_core.train.digest import model_digest
from llama_core.train.distributed import World
from llama_core.train.garbage import collected_between
from llama_core.train.metrics.goodput import first_begun, since
from llama_core.train.metrics.hardware import name_of
from llama_core.train.metrics.metrics import Metrics
from llama_core.train.metrics.names import BEGAN, INTERRUPTION
from llama_core.train.optimizer import clip, make_optimizer, update
from llama_core.train.parallelize import build
from llama_core.train.passes import backward
from llama_core.train.profile import Profile
from llama_core.train.saving import Saver
from llama_core.train.stability.guard import Guard, batch_of
from llama_core.train.stability.origin import WayBack
from llama_core.train.stability.replicas import Replicas
from llama_core.train.stability.returns import Steps, check_returns, in_words, note, past, remembered
from llama_core.train.stability.stop import Stop
from llama_core.train.stability.watchdog import Watchdog
from llama_core.train.start import begin
from llama_core.train.validation import Sample, Validation

log = logging.getLogger(__name__)


class Batches(Protocol):
    """What the loop needs of a loader (see `tokens.loader.Loader`)."""

    fingerprint: str
    """Equal where batch n is the same for every n."""
    sources: list[str]
    """The names of the sources."""

    @property
    def fetched_pages(self) -> int:
        """How many pages this process has fetched so far."""
        ...

    def batch(self, n: int, rank: int, world: int) -> Batch:
        """Return a rank's part of batch n, counted from 0."""
        ...


def train(
    step: Step,
    recipe: Recipe,
    data: Batches,
    vocab_size: int,
    bos_id: int,
    world: World,
    watchdog: Watchdog,
    heldout: Sample | None = None,
) -> bool:
    """Train from the newest checkpoint, or else from where `start.begin` says, to the step's manifest.

    `heldout`: what the model is validated on. Returns False where SIGTERM or SIGUSR1 stopped it before the
    end, with its progress saved; of the step that it was in nothing is kept. Raises DivergedError where too
    many steps make no update (see `stability.guard`), InputError where `data` is not what the step was
    trained on, and StoreError.
    """
    cfg, run = recipe.train, recipe.run
    model = build(recipe, vocab_size, world)
    mesh = model.mesh
    if world.rank == 0:
        kind = world.device.type
        log.info("attention by %s on %s", backend_for(recipe.layout.attention, kind), kind)
    optimizer = make_optimizer(model, cfg)

    def begun() -> TrainState:
        return begin(step, recipe, vocab_size, model, optimizer, data.fingerprint, world)

    def watching(at: TrainState) -> tuple[Metrics, Guard]:
        metrics = Metrics(step, recipe, vocab_size, data.sources, mesh, at)
        if at.record is None:
            metrics.add_to_next({BEGAN: began})
        return metrics, Guard(cfg, at.usual, world.device)

    def here(n: int) -> TrainState:
        assert progress is not None
        seen = cfg.tokens_before(n + 1)
        # No update may have been made since the start, and what is no number cannot be read again.
        loss = metrics.loss if math.isfinite(metrics.loss) else progress.loss
        now = replace(progress, step=n, tokens=seen, loss=loss)
        return replace(now, usual=guard.usual(), skipped=metrics.skipped)

    watchdog.beat(0)
    progress = checkpoint.load(step, model, optimizer, world)
    watchdog.beat(0)
    again = progress is not None
    if progress is None:
        progress = begun()
    elif progress.data != data.fingerprint:
        raise InputError(f"{step.folder.url} was trained on other data: delete it to start anew")
    elif world.rank == 0:
        log.info("resuming after step %d of %d, on %d processes", progress.step, cfg.steps, world.size)
    progress = world.agree(partial(remembered, step, progress))
    began, before = first_begun(step) if world.rank == 0 else (0.0, False)
    metrics, guard = watching(progress)
    why = os.environ.pop(INTERRUPTED, "started again" if again or before else "")
    if why and world.rank == 0:
        metrics.add_to_next({INTERRUPTION: since(step, progress.step, why)})
    steps = Steps(progress.step, cfg.steps)
    validation = Validation(heldout, model, recipe, bos_id)
    profile = Profile(step, recipe, world)
    replicas, way_back = Replicas(model, run.compare_every), WayBack(model)
    saver = Saver(step, recipe, model, optimizer, world, watchdog, progress)

    with Stop(world) as stop:
        for n in collected_between(steps):
            watchdog.beat(n)
            profile.begin(n)
            metrics.begin()
            batch = data.batch(batch_of(n, progress.passed_over), mesh.data_rank, mesh.data_size)
            metrics.lap("data")
            rows = backward(model, torch.from_numpy(batch.tokens), recipe, bos_id, stop.now)
            if rows is None:
                metrics.settle()
                watchdog.beat(n)
                if saver.settle(n - 1):
                    return True
                if progress.step < n - 1 or saver.failed:
                    replicas.compare(n - 1)
                    saver.save(here(n - 1), metrics, stopping=True)
                return False
            metrics.lap("passes")
            grad_norm, loss = clip(model.parameters(), cfg.grad_clip, rows)
            allowed = guard.allows(grad_norm, loss / cfg.tokens_at(n))
            update(optimizer, n, cfg, allowed)
            metrics.lap("optimizer")
            told = (data.fetched_pages, saver.ended, saver.wants)
            metrics.step(n, rows, batch, grad_norm, allowed, way_back.broken(), *told)
            if saver.hear(metrics.saves, n):
                return True  # another attempt has finished this step
            if profile.ends(n) or n == cfg.steps:
                metrics.settle()
            if bad := metrics.unstable:
                metrics.settle()
                if saver.settle(n):
                    return True
                world.agree(partial(check_returns, bad, progress, cfg, metrics.why))  # rank 0 knows why
                back = checkpoint.go_back(step, bad[0], cfg.spike_margin, model, optimizer, world) or begun()
                progress = past(bad, progress, back, cfg)
                metrics, guard = watching(progress)
                saver.go_on_after(progress)
                if world.rank == 0:
                    said = in_words(bad, progress)
                    log.warning(said)
                    note(step, progress)
                    metrics.add_to_next({INTERRUPTION: since(step, progress.step, said)})
                steps.go_on_after(progress.step)
                continue
            if validation.due(n) and (n == cfg.steps or not stop.now()):
                metrics.settle()
                watchdog.beat(n)
                metrics.add(validation.bits_per_byte())
            saving = saver.due(n, metrics.wants_save)
            if saving or replicas.due(n):
                replicas.compare(n)
            if not saving:
                continue
            metrics.settle()
            metrics.wants_save = False
            watchdog.beat(n)
            saved = saver.save(here(n), metrics)
            if saved is None:
                return True
            progress = saved

    watchdog.beat(cfg.steps)
    digest = model_digest(model, world)
    facts = {
        "parameters": recipe.model.n_params(vocab_size),
        "loss": progress.loss,
        "device": name_of(world.device),
    }
    world.agree(lambda: checkpoint.finish(step, progress, run.keep, digest, facts))
    return True
