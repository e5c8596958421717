"""When a training saves; where the store is away or full, it goes on, and tries again."""

import logging
import time
from dataclasses import replace

import torch
from torch import nn

from llama_core.artifact import MANIFEST
from llama_core.errors import StoreError
from llama_core.file_system import back_off
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.train import checkpoint
from llama_core.train.checkpoint import TrainState
from llama_core.train.distributed import World
from llama_core.train.metrics.metrics import Metrics
from llama_core.train.metrics.names import INTERRUPTION, SAVING
from llama_core.train.stability.watchdog import Watchdog

log = logging.getLogger(__name__)
SHARE = 10  # after this share of `save_every` a save that has failed is tried again
REST, LONGEST_REST = 5.0, 300.0  # seconds between two tries where there is no step to make in between


class Saver:
    """Saves a training now and then. All processes call each method at the same point.

    `watchdog`: it is told of each try.
    """

    def __init__(
        self,
        step: Step,
        recipe: Recipe,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        world: World,
        watchdog: Watchdog,
    ):
        self._step, self._model, self._optimizer, self._world = step, model, optimizer, world
        self._run, self._last, self._watchdog = recipe.run, recipe.train.steps, watchdog
        self._failed = 0  # saves in a row
        self._again: int | None = None  # the step after which the next of them is tried

    @property
    def failed(self) -> bool:
        """Whether the last save has failed."""
        return self._failed > 0

    def due(self, n: int) -> bool:
        """Tell whether the training is saved after step `n`."""
        return n % self._run.save_every == 0 or n == self._last or n == self._again

    def save(self, progress: TrainState, metrics: Metrics, stopping: bool = False) -> TrainState | None:
        """Save after a step, and delete what is too old. Returns what was saved, with the record.

        Where the store fails, `progress` is returned as it is: every process goes on, and the next save is
        sooner than usual. After the last step, or if the training is `stopping`, it is tried again until it
        is saved. Returns None where another attempt has finished the step. Raises StoreError after more than
        `run.most_failed_saves` tries in a row.
        """
        while True:
            began = time.monotonic()
            saved, error = self._try(progress, metrics)
            if not self._world.sum(error is not None)[0]:
                self._failed, self._again = 0, None
                metrics.add_to_next({SAVING: round(time.monotonic() - began, 3)})
                return saved
            self._failed += 1
            metrics.add_to_next({INTERRUPTION: "a save has failed"})
            if self._world.rank == 0:
                log.warning(
                    "the save after step %d has failed (%s): failure %d in a row, up to %d end nothing",
                    progress.step, error, self._failed, self._run.most_failed_saves,
                )  # fmt: skip
            if self._failed > self._run.most_failed_saves:
                raise error or StoreError("another process could not save")
            if progress.step < self._last and not stopping:
                self._again = progress.step + max(1, self._run.save_every // SHARE)
                return progress
            time.sleep(back_off(self._failed, REST, LONGEST_REST))
            self._watchdog.beat(progress.step)

    def _try(self, progress: TrainState, metrics: Metrics) -> tuple[TrainState | None, StoreError | None]:
        """Save. Returns what was saved, None where another attempt has finished, and the store's error.

        Every process comes to the end: the others would wait for it.
        """
        world = self._world
        try:
            if world.agree(lambda: self._step.folder.exists(MANIFEST)):
                return None, None
            progress = replace(progress, record=world.agree(metrics.publish))
            checkpoint.save(self._step, self._model, self._optimizer, progress, world)
        except StoreError as error:
            return progress, error
        if world.rank == 0:
            try:
                checkpoint.retain(self._step, self._run.keep)
            except StoreError as error:
                log.warning("old checkpoints stay until the next save (%s)", error)
        return progress, None
