"""The pace of each process: which of them is slow, though all wait for each other.

The time of a step is the same for all, because the slowest holds up the others in each of their messages. So
each process times, now and then, a few products of matrices that nobody else has a part in.
"""

import itertools
import logging
import statistics
import time
from typing import Any

import torch

log = logging.getLogger(__name__)
SIZE = {"cpu": 128, "cuda": 2048}  # of the matrices: under a millisecond for one product
TRIES = 3  # products, the fastest of which counts
SLOWER = 1.5  # times the usual, from which a process is called slow
IN_A_ROW = 3  # measurements in which it is


class Probe:
    """Times this process, without waiting for its device."""

    def __init__(self, device: torch.device):
        size = SIZE[device.type]
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self._matrix = torch.ones(size, size, dtype=dtype, device=device)
        self._product = torch.empty_like(self._matrix)
        self._events: list[Any] = []

    def seconds(self) -> float:
        """Return the seconds of one product, as measured now, or on CUDA the last time; 0.0: not yet."""
        cuda = self._matrix.device.type == "cuda"
        before = self._events
        marks: list[Any] = []
        for _ in range(TRIES + 1):
            marks.append(torch.cuda.Event(enable_timing=True) if cuda else time.perf_counter())
            if cuda:
                marks[-1].record()
            torch.mm(self._matrix, self._matrix, out=self._product)
        if not cuda:
            return min(end - start for start, end in itertools.pairwise(marks))
        self._events = marks
        if not before or not before[-1].query():
            return 0.0
        return min(start.elapsed_time(end) for start, end in itertools.pairwise(before)) / 1000


class Paces:
    """Finds the slow ones among processes, by what each has measured."""

    def __init__(self) -> None:
        self._slow: dict[int, int] = {}  # measurements in a row, by rank

    def note(self, step: int, seconds: list[float]) -> None:
        """Note the seconds of each rank, measured at a step. A rank that stays slow is warned of once."""
        if not all(seconds):
            return
        usual = statistics.median_low(seconds)
        slow = {rank: value / usual for rank, value in enumerate(seconds) if value > SLOWER * usual}
        self._slow = {rank: self._slow.get(rank, 0) + 1 for rank in slow}
        for rank, times in self._slow.items():
            if times == IN_A_ROW:
                log.warning(
                    "rank %d computes %.1f times as slowly as the others, up to step %d: all wait for it",
                    rank, slow[rank], step,
                )  # fmt: skip
