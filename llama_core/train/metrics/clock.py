"""How long the parts of a step take on the device, without waiting for it."""

import time
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Laps:
    """When a step began and when each of its parts ended, on the device. Read it once the step is done."""

    start: Any
    ends: tuple[tuple[str, Any], ...]
    began: float | None = None
    """The time of day at which it began, if it does not begin where the step before has ended."""

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each part, by its name, in their order."""
        before, found = self.start, {}
        for name, end in self.ends:
            found[name] = _between(before, end)
            before = end
        return found


class Clock:
    """Takes the time at the end of each part of a step: by CUDA events, which are read later, or on the CPU.

    On CUDA a part is the time in which the device had nothing before it to do: while the device computes,
    the next batch is waited for at no cost, and so `data` is what the device has waited.
    """

    def __init__(self, device: torch.device):
        self._events = device.type == "cuda"
        self._ends: list[tuple[str, Any]] = []
        self.restart()

    def restart(self) -> None:
        """Begin a step now: what was done since the last one is no part of any."""
        self._start, self._ends = self._now(), []
        self._began: float | None = time.time()

    def lap(self, name: str) -> None:
        """End a part of the step here."""
        self._ends.append((name, self._now()))

    def step(self) -> Laps:
        """End the step with its last part, where the next one begins."""
        laps = Laps(self._start, tuple(self._ends), self._began)
        self._start, self._ends, self._began = self._ends[-1][1], [], None
        return laps

    def _now(self) -> Any:
        if not self._events:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def _between(before: Any, after: Any) -> float:
    if isinstance(before, float):
        return after - before
    return before.elapsed_time(after) / 1000  # milliseconds
