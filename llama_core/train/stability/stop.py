"""The request to end, by SIGTERM or SIGUSR1: all processes act on it before the same micro-batch.

They may not leave each other in the middle of one, and a signal reaches each at another moment, or one of
them alone. So a thread of each waits until any of them was asked, and holds its process before the next
micro-batch. Then they tell each other through the store how many they have begun, and all go as far as the
one that is furthest. Until somebody asks, this costs nothing.

A signal may come while another one is handled, from Slurm and from the agent, and a process may wait for
another one in code that runs no handler. So a handler takes no lock, and a thread hears of signals from
Python's own note of them.
"""

import contextlib
import logging
import signal
import socket
import threading
from datetime import timedelta
from types import FrameType

import torch.distributed as dist

from llama_core.train.distributed import TIMEOUT, World

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
PREFIX = "stop"
EVER = timedelta(days=365)


class Stop:
    """Tells the processes of a training where to stop: a context manager, which takes the signals.

    All processes make it, and ask `now` before each piece of work that none of them leaves half done.
    """

    def __init__(self, world: World):
        self._world = world
        self._store: dist.Store | None = None
        if world.size > 1:
            self._store = dist.PrefixStore(PREFIX, dist.distributed_c10d._get_default_store())
        self._lock = threading.Condition()
        self._asked = False  # this process
        self._held = False
        self._begun = 0  # pieces of work
        self._end: int | None = None  # how many of them all processes begin

    def __enter__(self) -> "Stop":
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        if self._store is not None:
            heard, self._notes = socket.socketpair()
            self._notes.setblocking(False)
            self._noted = signal.set_wakeup_fd(self._notes.fileno(), warn_on_full_buffer=False)
            clones = [self._store.clone() for _ in range(2)]  # type: ignore[attr-defined]
            threading.Thread(target=self._tell, args=(clones[0], heard), daemon=True).start()
            threading.Thread(target=self._agree, args=(clones[1],), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._store is not None:
            signal.set_wakeup_fd(self._noted)
            self._notes.close()

    def now(self) -> bool:
        """Tell whether the processes stop here; if not, the next piece of work begins."""
        if self._store is None:
            return self._asked
        with self._lock:
            if self._held and not self._lock.wait_for(lambda: self._end is not None, TIMEOUT.total_seconds()):
                raise TimeoutError("not all processes have told where they are: one of them is gone")
            if self._end is not None and self._begun >= self._end:
                return True
            self._begun += 1
            return False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked = True

    def _tell(self, store: dist.Store, heard: socket.socket) -> None:
        """Tell all processes that this one was asked to end."""
        with heard, contextlib.suppress(dist.DistError):  # the others have gone
            while numbers := heard.recv(64):
                if not set(SIGNALS).isdisjoint(numbers):
                    store.set("asked", "")

    def _agree(self, store: dist.Store) -> None:
        """Find out, once a process was asked, where all of them stop."""
        with contextlib.suppress(dist.DistError):  # the training has ended, and its store with it
            store.wait(["asked"], EVER)
            with self._lock:
                self._held, begun = True, self._begun
            store.set(str(self._world.rank), str(begun))
            if self._world.rank == 0:
                log.info("asked to end: saving, and then going")
                keys = [str(rank) for rank in range(self._world.size)]
                store.wait(keys, TIMEOUT)
                store.set("end", str(max(int(store.get(key)) for key in keys)))
            store.wait(["end"], TIMEOUT)
            with self._lock:
                self._end = int(store.get("end"))
                self._lock.notify_all()
