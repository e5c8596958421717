"""When a training saves, and how it goes on meanwhile: each process uploads a copy of its share in a thread.

A save has two tasks: every process uploads its share, and when all have, rank 0 commits them. Whether a task
has ended is told with the figures of each step, which are summed over all processes anyway. So all of them
learn at the same step that a task has ended everywhere, and nobody waits for one that is slow or dead.

Where the store is away or full, the training goes on, and tries again.
"""

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from llama_core.artifact import MANIFEST
from llama_core.errors import StoreError
from llama_core.file_system import back_off
from llama_core.objects import Object
from llama_core.recipe import Recipe
from llama_core.step import OpenShard, Step
from llama_core.train import checkpoint
from llama_core.train.checkpoint import TrainState
from llama_core.train.checkpoints.share import HostCopy, Share, Uploaded, bytes_of, share_of
from llama_core.train.distributed import World
from llama_core.train.memory import memory_left
from llama_core.train.metrics.metrics import Metrics
from llama_core.train.metrics.names import INTERRUPTION, SAVING
from llama_core.train.stability.watchdog import Watchdog

log = logging.getLogger(__name__)
MOST_OF_MEMORY = 0.8  # of what is left: so much the copies may take
LOOK_EVERY = 10.0  # seconds between two looks at a save that is waited for
SHORT_WAIT = 5.0  # seconds that a temporary save waits for the one before it; then it comes later
LONGEST_SAVE = 3600.0  # seconds after which one that is waited for hangs: the store tries for minutes
REST, LONGEST_REST = 5.0, 300.0  # seconds after which a save that has failed is tried again


class _Task(threading.Thread):
    """Something that is done beside the training. It dies with the process."""

    def __init__(self, do: Callable[[], Any]):
        super().__init__(daemon=True)
        self._do = do
        self.value: Any = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.value = self._do()
        except Exception as error:
            self.error = error


def _result_of(task: _Task | None) -> Any:
    """Return what a task that has ended has done, or raise what it has raised."""
    assert task is not None
    task.join()
    if task.error is not None:
        raise task.error
    return task.value


@dataclass
class _Save:
    """A save that has begun."""

    progress: TrainState
    share: Share
    permanent: bool
    metrics: Metrics
    publish_record: Callable[[], Object | None]
    began: float
    uploaded: bool = False
    """True when the shares of all processes are on the store, and rank 0 commits them."""


class Saver:
    """Saves a training now and then. All processes call each method at the same point.

    `start`: where the training begins; `watchdog`: it is told of each try.
    """

    def __init__(
        self,
        step: Step,
        recipe: Recipe,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        world: World,
        watchdog: Watchdog,
        start: TrainState,
    ):
        self._step, self._model, self._optimizer, self._world = step, model, optimizer, world
        self._run, self._cfg, self._watchdog = recipe.run, recipe.train, watchdog
        self._evaluated = frozenset(recipe.evaluate.at.steps(recipe.train))
        self._host = HostCopy()
        self._copies = self._have_room()
        self._save: _Save | None = None
        self._task: _Task | None = None
        self._ended = 0  # tasks of this process whose end all processes know
        self._ended_of_all = 0
        self._finished = False  # another attempt was first
        self._record: Object | None = None
        self._failed = 0  # saves in a row
        self._failing_since = math.inf  # when the first of them was begun
        self._again_at = math.inf  # when the next of them is tried
        self._saved_at = time.monotonic()
        self._sweeps = True  # saves may have left something: those before the start, or that have failed
        self._known: dict[str, bool]  # checkpoints that rank 0 has seen: whether they are permanent
        self._late: bool  # a save was due while the one before it went on
        self.go_on_after(start)

    @property
    def failed(self) -> bool:
        """True if the last save has failed."""
        return self._failed > 0

    @property
    def ended(self) -> int:
        """The number of tasks of this process that have ended, for the sum that `hear` is told."""
        return self._ended + (self._task is not None and not self._task.is_alive())

    @property
    def wants(self) -> bool:
        """True on rank 0 if a save that has failed is to be tried again, or after `run.save_minutes`."""
        minutes, now = self._run.save_minutes or math.inf, time.monotonic()
        return self._world.rank == 0 and now > min(self._again_at, self._saved_at + 60 * minutes)

    def go_on_after(self, progress: TrainState) -> None:
        """Note where the training goes on: checkpoints from there on are permanent ones by `keep_every`."""
        self._periods = self._periods_of(progress.tokens)
        self._known, self._late = {}, False

    def due(self, n: int, wanted: bool = False) -> bool:
        """Tell whether the training is saved after step `n`. `wanted`: whether a process `wants` it.

        A temporary save that is due while the one before it goes on for long comes as soon as that has ended,
        and after one that has failed none does until it is `wanted`.
        """
        now, before = (self._periods_of(self._cfg.tokens_before(m)) for m in (n + 1, n))
        if n == self._cfg.steps or n in self._evaluated or now > before:
            return True
        regular = self._late or n % self._run.save_every == 0
        if not (wanted or (regular and not self._failed)):
            return False
        if self._save is not None and not self._late:
            self.settle(n, SHORT_WAIT)
            if self._save is not None:
                self._late = True
                self._warn_of_late(n, self._save)
        return self._save is None

    def save(self, progress: TrainState, metrics: Metrics, stopping: bool = False) -> TrainState | None:
        """Save after a step. Returns what is saved; the training goes on after the copy to memory.

        A save before this one is waited for (but see `due`), and this one too where there is no room for the
        copy. After the last step, or if the training is `stopping`, it is tried again until it is there, and
        is returned with the record. Where one has failed, every process goes on, and the next one is sooner
        than usual. Returns None where another attempt has finished the step. Raises StoreError where saves
        have failed for more than `run.unsaved_hours`.
        """
        last = stopping or progress.step == self._cfg.steps
        while True:
            if self.settle(progress.step):
                return None
            waits = last or not self._copies
            self._begin(progress, metrics, copy=not waits)
            if not waits:
                return progress
            finished, failures = self.settle(progress.step), self._failed
            if finished:
                return None
            if not failures:
                return replace(progress, record=self._record)
            if not last:
                return progress
            time.sleep(back_off(failures, REST, LONGEST_REST))
            self._watchdog.beat(progress.step)

    def hear(self, ended: int, n: int) -> bool:
        """Take the sum over all processes of what `ended` was, after step `n`.

        Returns True where another attempt has finished the step. Raises StoreError as `save` does.
        """
        save = self._save
        if save is None or ended < self._ended_of_all + (1 if save.uploaded else self._world.size):
            return self._finished
        task, self._task, self._ended_of_all = self._task, None, ended
        self._ended += task is not None
        try:
            if not save.uploaded:
                uploads = self._world.all_of(lambda: _result_of(task))
                save.uploaded = True
                if self._world.rank == 0:
                    self._task = _Task(lambda: self._commit(save, uploads))
                return False
            self._finished, self._record = self._world.agree(lambda: _result_of(task))
        except StoreError as error:
            self._save = None
            failed = save.progress.step
            save.metrics.add_to_next({INTERRUPTION: f"the save after step {failed} has failed: {error}"})
            self._note_failure(save, error)
            return False
        save.metrics.add_to_next({SAVING: round(time.monotonic() - save.began, 3)})
        self._save, self._failed, self._failing_since = None, 0, math.inf
        self._periods = max(self._periods, self._periods_of(save.progress.tokens))
        return self._finished

    def settle(self, n: int, longest: float = math.inf) -> bool:
        """Wait for the end of the save that has begun, after step `n`; returns and raises as `hear` does.

        `longest`: the seconds after which it is left to go on.
        """
        began, tired = time.monotonic(), 0.0
        while (save := self._save) is not None and not tired:
            # Who is done first must neither wait for the others longer than processes do, nor seem to hang.
            if self._task is not None:
                self._task.join(min(LOOK_EVERY, self._run.hang_after / 4, longest))
            ended, tired = self._world.sum(self.ended, time.monotonic() - began >= longest)
            self.hear(int(ended), n)
            if time.monotonic() - save.began < LONGEST_SAVE:
                self._watchdog.beat(n)
        return self._finished

    def _have_room(self) -> bool:
        """Tell, on all processes alike, whether their machines have room for the copies of their shares."""
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        need = processes * bytes_of(share_of(self._model, self._optimizer, self._world))
        left = memory_left()
        short = left is not None and need > MOST_OF_MEMORY * left
        if not self._world.sum(short)[0]:
            return True
        for rank, (is_short, needed, there) in enumerate(self._world.gather((short, need, left or 0))):
            if is_short:
                log.warning(
                    "saves stop the training: the machine of rank %d has %.1f GB of memory left, and copies "
                    "of what its %d processes save take %.1f GB; on more nodes each process saves less",
                    rank, there / 1e9, processes, needed / 1e9,
                )  # fmt: skip
                break
        return False

    def _begin(self, progress: TrainState, metrics: Metrics, copy: bool) -> None:
        share = share_of(self._model, self._optimizer, self._world)
        if copy:
            share = self._host.of(share)
        periods = self._periods_of(progress.tokens)
        permanent = periods > self._periods or progress.step in self._evaluated
        self._save = _Save(progress, share, permanent, metrics, metrics.seal(), time.monotonic())
        self._again_at, self._late = math.inf, False
        self._saved_at = time.monotonic()
        shard = OpenShard(self._step, checkpoint.name_of(progress.step))
        sweeps, self._sweeps = self._sweeps and self._world.rank == 0, False

        def upload() -> Uploaded:
            if sweeps:
                with contextlib.suppress(StoreError):  # then it is tried again after another failure or start
                    checkpoint.sweep(self._step, progress.step)
            return share.upload(shard)

        self._task = _Task(upload)

    def _commit(self, save: _Save, uploads: list[Uploaded]) -> tuple[bool, Object | None]:
        """Commit a save on rank 0, and prune. Returns whether another attempt was first, and the record."""
        if self._step.folder.exists(MANIFEST):
            ours = [entry for upload in uploads for entry in upload.objects]
            self._step.discard(checkpoint.name_of(save.progress.step), ours)
            return True, None
        progress = replace(save.progress, record=save.publish_record())
        checkpoint.commit(self._step, save.share, uploads, progress, save.permanent)
        if progress.skipped:  # the training may go back to one from before the steps without an update
            return False, progress.record
        try:
            checkpoint.retain(self._step, self._run.keep, self._known)
        except StoreError as error:
            log.warning("old checkpoints stay until the next save (%s)", error)
        return False, progress.record

    def _warn_of_late(self, n: int, before: _Save) -> None:
        if self._world.rank == 0:
            log.warning(
                "the save that is due after step %d comes later: that after step %d has begun %.0f s ago and "
                "goes on. If you see this often, save less often (run.save_every, run.save_minutes)",
                n, before.progress.step, time.monotonic() - before.began,
            )  # fmt: skip

    def _note_failure(self, save: _Save, error: StoreError) -> None:
        now, most = time.monotonic(), self._run.unsaved_hours
        self._failing_since = min(self._failing_since, save.began)
        hours = (now - self._failing_since) / 3600
        self._failed += 1
        self._sweeps, self._late = True, False
        self._again_at = now + back_off(self._failed, REST, LONGEST_REST)
        if self._world.rank == 0:
            log.warning(
                "the save after step %d has failed (%s): failure %d in a row, for %.2f h, and up to %g h "
                "(run.unsaved_hours) end nothing",
                save.progress.step, error, self._failed, hours, most,
            )  # fmt: skip
        if self._world.agree(lambda: hours > most):  # by the clock of one
            error.away = False  # it has been waited for
            raise error

    def _periods_of(self, tokens: int) -> int:
        """Return how often a permanent checkpoint was due by then."""
        return tokens // self._run.keep_every if self._run.keep_every else 0
