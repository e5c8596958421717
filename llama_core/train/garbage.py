"""Python's collection of garbage, at fixed steps of a training."""

import gc
from collections.abc import Iterable, Iterator

EVERY = 50  # steps, as torchtitan has it


def collected_between(steps: Iterable[int]) -> Iterator[int]:
    """Yield the numbers of `steps`, and collect garbage only between them: before the first, then every 50.

    Otherwise each process would stop for it at another moment, and all of them would wait for each. What
    exists before the first step, such as modules and what was compiled, is not looked at again. After the
    last step, or where the caller leaves earlier, Python collects by itself as before.
    """
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for step in steps:
            yield step
            if step % EVERY == 0:
                gc.collect()
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
