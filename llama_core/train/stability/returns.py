"""How a training goes back to a checkpoint when too many steps in a row make no update (see `guard`)."""

from collections.abc import Iterator
from dataclasses import replace

from llama_core.errors import DivergedError
from llama_core.recipes.training import Train
from llama_core.train.checkpoint import TrainState
from llama_core.train.stability.guard import Span, batch_of


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
