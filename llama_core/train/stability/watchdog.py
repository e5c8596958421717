"""A watchdog: a process that comes no further says where it is, and ends, so that the job starts again.

    <store>/hangs/<id of the train step>/<attempt>/step-12.rank0.txt        the stacks of all threads
                                                   step-12.rank0.gloo.json  torch's flight recorder: messages
                                                   step-12.rank0.nccl.json  between hosts, and between GPUs

One process that is stuck holds up all others, in whatever they wait for it. Each of them that can still run
writes its own stacks, to the log and to the store: who is missing, or stands elsewhere, is the one.
"""

import faulthandler
import logging
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import torch
import torch.distributed as dist

from llama_core.exit import leave
from llama_core.program import HUNG
from llama_core.step import Step
from llama_core.store import Store

log = logging.getLogger(__name__)
FOLDER = "hangs"
RECORDERS = {"gloo": "_dump_fr_trace_json", "nccl": "_dump_nccl_trace_json"}  # torch's, by what sends
GRACE = 5.0  # seconds in which the others write theirs: once one process has ended, all are made to
PATIENCE = 30.0  # seconds that the store has for what is written, and the interpreter to let us write it


def folder_of(root: Store, step_name: str) -> Store:
    """Return where the stacks of a train step (`train/<id>`) lie, of all its attempts."""
    return root.at(f"{FOLDER}/{step_name.rpartition('/')[2]}")


class Watchdog:
    """Ends this process where `beat` was not called for `seconds`: a context manager.

    Each beat says that the training has come further: the processes have met, a checkpoint is loaded, a step,
    a save or a validation has ended. `rank`: the number of this process, which may not have met the others
    yet. Where the interpreter itself is stuck, so that no thread of Python runs, C code writes the stacks to
    the log and ends the process.
    """

    def __init__(self, step: Step, rank: int, seconds: float, end: Callable[[], None] | None = None):
        self._store = folder_of(step.root, step.name).at(step.attempt)
        self._rank, self._seconds = rank, seconds
        self._end = end or (lambda: leave(HUNG))
        self._n, self._last = 0, time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watchdog":
        self._last = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def beat(self, n: int) -> None:
        """Note that the training is alive, in step `n`."""
        self._n, self._last = n, time.monotonic()

    def _watch(self) -> None:
        every = min(1.0, self._seconds / 4)
        while True:
            faulthandler.dump_traceback_later(self._seconds + 2 * PATIENCE, exit=True)
            if self._stop.wait(every):
                return
            if time.monotonic() - self._last > self._seconds:
                break
        told = stacks()
        log.error(
            "rank %d comes no further in step %d, for %.0f s: it ends, and the job starts again\n%s",
            self._rank, self._n, self._seconds, told,
        )  # fmt: skip
        writer = threading.Thread(target=self._write, args=(told,), daemon=True)
        writer.start()
        writer.join(PATIENCE)  # the store may be what hangs
        time.sleep(min(GRACE, self._seconds / 2))
        self._end()

    def _write(self, told: str) -> None:
        name = f"step-{self._n}.rank{self._rank}"
        with suppress(Exception):
            self._store.publish_bytes(f"{name}.txt", told.encode())
        for by, dump in RECORDERS.items():
            if dist.is_initialized() and (by == "gloo" or torch.cuda.is_initialized()):
                with suppress(Exception):
                    recorded = getattr(torch._C._distributed_c10d, dump)()
                    self._store.publish_bytes(f"{name}.{by}.json", recorded)


def stacks() -> str:
    """Return the stacks of all threads of this process, as Python sees them."""
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read().decode(errors="replace")
