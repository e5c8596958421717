"""How a training goes back to a checkpoint when too many steps in a row make no update (see `guard`)."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace

from llama_core.errors import DamagedError, DivergedError, StoreError
from llama_core.recipes.training import Train
from llama_core.step import Step
from llama_core.train.checkpoint import PROGRESS, TrainState
from llama_core.train.stability.guard import Span, batch_of

log = logging.getLogger(__name__)
NOTE = "returns/newest.json"


class Steps(Iterator[int]):
    """The numbers of the steps after `done` of a training, up to `last`; it can be set back."""

    def __init__(self, done: int, last: int):
        self._done, self._last = done, last

    def __next__(self) -> int:
        if self._done >= self._last:
            raise StopIteration
        self._done += 1
        return self._done

    def go_on_after(self, done: int) -> None:
        """Go on with the step after `done`."""
        self._done = done


def check_returns(bad: Span, progress: TrainState, cfg: Train, why: str) -> None:
    """Raise DivergedError where the training went back as often as it may.

    `bad`: the first and the last of the steps that made no update; `why`: why the last one made none.
    """
    first, last = bad
    if progress.returns < cfg.most_returns:
        return
    spans = [f"{start:,} to {end - 1:,}" for start, end in progress.passed_over]
    often = f", though it went back past the batches {', '.join(spans)}" if spans else ""
    cause = f"The last of them: {why}. " if why else ""  # a start after them has not seen it
    raise DivergedError(
        f"training diverged at step {first}: {last - first + 1} steps in a row made no update{often}. {cause}"
        "Nothing of them is in the weights: try a lower train.lr or a higher train.warmup_steps, perhaps "
        "from an earlier checkpoint (train.start_from), or, where nothing was wrong with the loss, higher "
        "train.spike_norm and train.spike_loss"
    )


def past(bad: Span, progress: TrainState, back: TrainState, cfg: Train) -> TrainState:
    """Return where the training goes on: after `back`, past the batches around those of the bad steps.

    `bad`: the first and the last step that made no update; `progress`: where the training was begun or saved
    last before it goes back.
    """
    over = progress.passed_over
    first = max(back.step + 1, bad[0] - cfg.spike_margin)
    span = batch_of(first, over), batch_of(bad[1], over) + 1
    return replace(back, passed_over=(*over, span), returns=progress.returns + 1)


def in_words(bad: Span, at: TrainState) -> str:
    """Return what `past` has made of the bad steps: `at`."""
    start, end = at.passed_over[-1]
    return (
        f"steps {bad[0]} to {bad[1]} made no update: back to the weights after step {at.step}, past batches "
        f"{start} to {end - 1}"
    )


def note(step: Step, progress: TrainState) -> None:
    """Note on the store that a training has gone back, to where `progress` says; rank 0 calls it.

    Only its next checkpoint tells it too. A job that is killed before would forget how often it went back.
    """
    try:
        step.folder.publish_json(NOTE, progress.state() | {"updates": 0})
    except StoreError as error:
        log.warning("a start before the next save forgets that the training went back (%s)", error)


def remembered(step: Step, progress: TrainState) -> TrainState:
    """Return where a training goes on, with the return after its checkpoint that was noted; rank 0 calls it.

    `progress`: what the checkpoint tells. What is noted of a return to before it, it has itself.
    """
    with contextlib.suppress(DamagedError, FileNotFoundError):
        told = step.folder.read_as(PROGRESS, NOTE)
        if told.returns > progress.returns and told.step >= progress.step:
            return replace(progress, passed_over=told.passed_over, returns=told.returns)
    return progress
