"""The metrics of a training: read a step late, printed for the flow, and kept by rank 0."""

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from llama_core.objects import Object
from llama_core.program import tell
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.tokens.loader import Batch
from llama_core.train.checkpoint import TrainState
from llama_core.train.metrics.clock import Clock
from llama_core.train.metrics.figures import Figures, StepFigures
from llama_core.train.metrics.hardware import EnergyMeter, peak_memory
from llama_core.train.metrics.names import LOSS, NO_UPDATE, SECONDS
from llama_core.train.metrics.pace import Paces, Probe
from llama_core.train.metrics.record import Record
from llama_core.train.metrics.utilization import Utilization, peak_of
from llama_core.train.optimizer import lr_at
from llama_core.train.parallel.mesh import Mesh
from llama_core.train.stability.guard import Span, batch_of
from llama_core.train.stability.origin import origin, seen

log = logging.getLogger(__name__)
SMOOTHING = 0.9  # weight of the earlier steps in the mean time of a step, by which the end is estimated


class Metrics:
    """Measures a training. All processes call each method at the same point; rank 0 keeps the record.

    `at`: where the training goes on.
    """

    def __init__(
        self,
        step: Step,
        recipe: Recipe,
        vocab_size: int,
        sources: list[str],
        mesh: Mesh,
        at: TrainState,
    ):
        self._cfg, self._mesh, self._passed_over = recipe.train, mesh, at.passed_over
        self._figures = Figures(sources, mesh)
        self._energy = EnergyMeter(mesh.world.device)
        peak = peak_of(mesh.world.device, recipe.train.precision)
        self._utilization = Utilization(recipe, vocab_size, peak)
        self._record = Record(step, at.record)
        self._open: dict[str, Any] = {}  # the record of the newest step that was read
        self._next: dict[str, Any] = {}  # what the record after it has besides
        self._ended = 0.0  # the time of day at which the newest of them ended
        self._seconds: float | None = None  # that a step takes, smoothed
        self._fetches = 0
        self._settled = True
        self._clock = Clock(mesh.world.device)
        self._probe, self._paces, self._log_every = Probe(mesh.world.device), Paces(), recipe.run.log_every
        self.loss = math.nan
        """The loss of the newest step that was read and made an update."""
        self.saves = 0
        """What the savers of all processes have told together."""
        self.wants_save = False
        """True once a process wants a save; whoever saves sets it back."""
        self.unstable: Span | None = None
        """The first and the last of the steps in a row that made no update, if they are too many."""
        self.skipped = at.skipped
        """How many steps in a row, up to the newest that was read, made no update."""
        self.why = ""
        """Why the newest of them made none, on rank 0."""
        self._note_skipped(at.step)  # they may have been too many when it was saved

    def begin(self) -> None:
        """Begin a step: what was done since all steps were read is part of none."""
        if self._settled:
            self._clock.restart()
        self._settled = False

    def lap(self, name: str) -> None:
        """End a part of the step here."""
        self._clock.lap(name)

    def step(
        self,
        n: int,
        rows: Tensor,
        batch: Batch,
        grad_norm: Tensor,
        allowed: Tensor,
        broken: Tensor,
        fetches: int = 0,
        saves: int = 0,
        wants_save: bool = False,
    ) -> None:
        """Take the figures of step `n` (1 is the first), and read those of the step before.

        `broken`: what `origin.WayBack` tells; `fetches`: the pages that this process has fetched so far;
        `saves`, `wants_save`: what its `Saver` tells.
        """
        fetched, self._fetches = fetches - self._fetches, fetches
        pace = self._probe.seconds() if n % self._log_every == 0 and self._mesh.world.size > 1 else None
        self._figures.send(
            n, rows, batch.sources, self._cfg.seq_len, grad_norm, allowed, self._clock.step(),
            partial(seen, rows, batch.numbers, broken),
            joules=self._energy.joules(), fetches=fetched, saves=saves, wants_save=wants_save,
            pace=pace,
        )  # fmt: skip
        self._read(keep=1)

    def settle(self) -> None:
        """Read all steps. Call this before anything is made of the weights."""
        self._read(keep=0)
        self._settled = True

    def add(self, values: dict[str, float]) -> None:
        """Add to the record of the newest step, after `settle`. Only rank 0 keeps one."""
        if self._open:
            self._open |= values

    def add_to_next(self, values: dict[str, Any]) -> None:
        """Add to the record of the next step: what was done before it began."""
        self._next |= values

    def seal(self) -> Callable[[], Object | None]:
        """End a segment of the record after all steps that were read, on rank 0.

        Returns what publishes it, in a thread if need be, and returns the newest segment.
        """
        self._close()
        self._record.seal()
        return self._record.publish

    def _read(self, keep: int) -> None:
        """Read all steps but the newest `keep`."""
        while len(self._figures) > keep:
            self._close()
            figures = self._figures.read()
            self.saves, self.wants_save = figures.saves, self.wants_save or figures.wants_save
            self._check(figures)
            if figures.paces and self._mesh.world.rank == 0:
                self._paces.note(figures.step, figures.paces)
            if self._mesh.world.rank == 0:
                self._open = self._record_of(figures) | self._next
                self._next = {}
        if keep:
            self._close()

    def _check(self, figures: StepFigures) -> None:
        """Tell of a step that made no update, and note whether there were too many of them in a row."""
        if not figures.skipped:
            self.loss, self.skipped = figures.loss, 0
            return
        self.skipped += 1
        n, mesh = figures.step, self._mesh
        first, size = self._cfg.sequences_before(self._batch(n)), self._cfg.sequences_at(self._batch(n))
        told = mesh.world.gather(figures.seen())
        if mesh.world.rank == 0:
            self.why = (
                f"loss {figures.loss:.4g}, gradient norm {figures.grad_norm:.4g}, "
                f"sequences {first:,} to {first + size - 1:,}; {origin(told, figures.grad_norm)}"
            )
            log.warning("step %d made no update: %s", n, self.why)
        self._note_skipped(n)

    def _note_skipped(self, n: int) -> None:
        if self.skipped > self._cfg.most_skipped:
            self.unstable = (n - self.skipped + 1, n)

    def _batch(self, n: int) -> int:
        """Return the number of the update whose batch step `n` would have, had none been passed over."""
        return batch_of(n, self._passed_over) + 1

    def _close(self) -> None:
        """Print the record that is open, and keep it."""
        if self._open:
            tell("metrics", self._open)
            self._record.add(self._open)
        self._open = {}

    def _record_of(self, figures: StepFigures) -> dict[str, Any]:
        """Return what is told of one step, by the names that MLflow shows."""
        cfg, n, laps = self._cfg, figures.step, figures.laps.seconds()
        seconds = sum(laps.values())
        began = figures.laps.began
        self._ended = (self._ended if began is None else began) + seconds
        before = seconds if self._seconds is None else self._seconds
        self._seconds = SMOOTHING * before + (1 - SMOOTHING) * seconds
        batch, seen = cfg.tokens_at(n), cfg.tokens_before(n + 1)
        left = (cfg.tokens_before(cfg.steps + 1) - seen) / batch  # batches of this size
        speed = batch / seconds
        each = speed / self._mesh.world.size
        sequences = batch / cfg.seq_len
        of_sources = {s: figures.nats[s] / count for s, count in figures.tokens.items() if count}
        return {
            "step": n,
            "steps": cfg.steps,
            "tokens": seen,
            "loss": _number(figures.loss),
            **{f"{LOSS}{source}": _number(loss, 6) for source, loss in of_sources.items()},
            "lr": lr_at(n, cfg),
            "grad_norm": _number(figures.grad_norm),
            "skipped": int(figures.skipped),
            **({NO_UPDATE: self.why} if figures.skipped else {}),
            "tokens_per_s": round(speed, 1),
            "tokens_per_s_per_device": round(each, 1),
            **self._utilization.at(each),
            **{f"{SECONDS}{name}": round(value, 6) for name, value in laps.items()},
            **peak_memory(self._mesh.world.device),
            "joules": round(figures.joules, 3) if self._energy.knows else None,
            "page_fetches_per_sequence": round(figures.fetches / sequences, 6),
            "eta_s": round(left * self._seconds, 1),
            "time": round(self._ended, 3),
        }


def _number(value: float, digits: int | None = None) -> float | None:
    """Return a value as JSON has it: None for what is no number, or infinite."""
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits)
