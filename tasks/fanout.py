"""Fan the shards of a phase out over an engine, which knows shards and never what they hold.

The work itself (a function with the step and its inputs) crosses to a worker once, not with every shard.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import as_completed
from functools import lru_cache
from pathlib import Path
from typing import Any

import cloudpickle
from loky import get_reusable_executor

from llama_core.phases import Engine, Phase, in_turn
from llama_core.recipe import Run

IDLE_SECONDS = 60  # then a worker ends by itself


def engine_of(cfg: Run) -> Engine:
    """The recipe's engine."""
    if cfg.workers == 1:
        return in_turn
    return lambda phase, todo: on_processes(phase, todo, cfg.workers)


def on_processes(phase: Phase, todo: list[str], workers: int) -> Iterable[str]:
    """Worker processes of this machine, which end when this process is gone, however it died.

    The first error ends the phase: what has not begun is dropped, what was committed stays.
    """
    if len(todo) <= 1:
        yield from in_turn(phase, todo)
        return
    pool = get_reusable_executor(
        max_workers=workers, timeout=IDLE_SECONDS, initializer=_end_with_parent, initargs=(os.getpid(),)
    )
    with _shipped(phase.work) as path:
        futures = {pool.submit(_call, path, phase.shards[name]): name for name in todo}
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        finally:
            for future in futures:
                future.cancel()


class _shipped:
    """A file that holds the pickled work."""

    def __init__(self, work: Callable[[Any], None]):
        self._work = work

    def __enter__(self) -> str:
        with tempfile.NamedTemporaryFile(prefix="llama-work-", delete=False) as file:
            cloudpickle.dump(self._work, file)
        self._path = file.name
        return file.name

    def __exit__(self, *_: object) -> None:
        Path(self._path).unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _work_at(path: str) -> Callable[[Any], None]:
    return cloudpickle.loads(Path(path).read_bytes())


def _call(path: str, argument: Any) -> None:
    _work_at(path)(argument)


def _end_with_parent(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(113)

    threading.Thread(target=watch, daemon=True).start()
