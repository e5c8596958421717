"""Fan shards out over worker processes. The engine knows shards, never what they hold.

A worker ends when the process that started it is gone, however that process died.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from typing import Any

from loky import get_reusable_executor

IDLE_SECONDS = 60  # then a worker ends by itself


def fan_out(work: Callable[[str], Any], names: Sequence[str], workers: int) -> Iterator[str]:
    """Call `work(name)` for each name; yields a name when its work is done, in the order of finishing.

    The first error ends the fan-out: what has not begun is dropped, what was committed stays.
    """
    if workers == 1 or len(names) <= 1:
        for name in names:
            work(name)
            yield name
        return
    pool = get_reusable_executor(
        max_workers=workers, timeout=IDLE_SECONDS, initializer=_end_with_parent, initargs=(os.getpid(),)
    )
    futures = {pool.submit(work, name): name for name in names}
    try:
        for future in as_completed(futures):
            future.result()
            yield futures[future]
    finally:
        for future in futures:
            future.cancel()


def _end_with_parent(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(113)

    threading.Thread(target=watch, daemon=True).start()
