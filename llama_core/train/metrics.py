"""The record of a run: one JSON object a step, printed for the flow and kept in every checkpoint."""

import json
import math
import time
from typing import Any

from llama_core.program import tell
from llama_core.recipe import Train

SMOOTHING = 0.9  # of the time that a step takes, as the estimate of the end sees it


class Metrics:
    """`before`: the record of the steps before, as a checkpoint gave it back."""

    def __init__(self, cfg: Train, before: bytes = b""):
        self._cfg = cfg
        self.records: list[dict[str, Any]] = [json.loads(line) for line in before.splitlines()]
        self._since = time.perf_counter()
        self._seconds: float | None = None  # a step, smoothed

    def log(self, step: int, loss: float, lr: float, grad_norm: float, first: bool) -> None:
        """Note one step, and tell the flow on the `first` rank."""
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        before = seconds if self._seconds is None else self._seconds
        self._seconds = SMOOTHING * before + (1 - SMOOTHING) * seconds
        record = {
            "step": step,
            "steps": self._cfg.steps,
            "tokens": step * self._cfg.global_batch_tokens,
            "loss": loss,
            "lr": lr,
            "grad_norm": grad_norm,
            "tokens_per_s": round(self._cfg.global_batch_tokens / seconds, 1),
            "eta_s": round((self._cfg.steps - step) * self._seconds, 1),
            "time": round(time.time(), 3),
        }
        self.records.append(record)
        if first:
            tell("metrics", record)

    def as_jsonl(self) -> bytes:
        return "".join(json.dumps(record) + "\n" for record in self.records).encode()


def is_finite(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)
