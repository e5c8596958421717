"""The record of a training: one JSON object a step, printed for the flow and kept in every checkpoint."""

import json
import math
import time
from typing import Any

from llama_core.parse import json_lines
from llama_core.program import tell
from llama_core.recipes.training import Train

SMOOTHING = 0.9  # weight of the earlier steps in the mean time of a step, by which the end is estimated


class Metrics:
    """The records of all steps. `before`: those of earlier steps, as a checkpoint has them."""

    def __init__(self, cfg: Train, before: bytes = b""):
        self._cfg = cfg
        self.records: list[dict[str, Any]] = list(json_lines(before, "metrics.jsonl"))
        self._since = time.perf_counter()
        self._seconds: float | None = None  # that a step takes, smoothed

    def log(self, step: int, loss: float, lr: float, grad_norm: float, first: bool) -> None:
        """Record one step, and on the `first` rank print it for the flow. `step` is counted from 1."""
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        before = seconds if self._seconds is None else self._seconds
        self._seconds = SMOOTHING * before + (1 - SMOOTHING) * seconds
        tokens, more = self._cfg.tokens_before(step + 1), self._cfg.tokens_at(step)
        left = (self._cfg.tokens_before(self._cfg.steps + 1) - tokens) / more  # batches of this size
        record = {
            "step": step,
            "steps": self._cfg.steps,
            "tokens": tokens,
            "loss": loss,
            "lr": lr,
            "grad_norm": grad_norm,
            "tokens_per_s": round(more / seconds, 1),
            "eta_s": round(left * self._seconds, 1),
            "time": round(time.time(), 3),
        }
        self.records.append(record)
        if first:
            tell("metrics", record)

    def as_jsonl(self) -> bytes:
        """Return the records as JSON lines."""
        return "".join(json.dumps(record) + "\n" for record in self.records).encode()


def is_finite(*values: float) -> bool:
    """Tell whether no value is infinite or NaN."""
    return all(math.isfinite(value) for value in values)
