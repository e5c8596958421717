"""What the processes of `benchmarks.train` share: the setting, the batches, and steps made in turns.

It imports nothing but PyTorch, because torchtitan runs it in a Python of its own.
"""

import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

BOS, MEAN_DOCUMENT = 1, 512


@dataclass(frozen=True)
class Setting:
    """What every side trains: the same model, on the same batches, in the same precision."""

    dim: int
    n_layers: int
    n_heads: int
    ffn_dim: int
    vocab: int
    norm_eps: float
    rope_theta: float
    seq_len: int
    batch: int
    micro_batch: int
    precision: str
    """`fp32`, `bf16` (with float32 weights) or `float8` (the same, with the blocks' products in float8)."""
    compile: bool
    device: str
    lr: float
    beta1: float
    beta2: float
    weight_decay: float
    grad_clip: float
    busy: bool = False
    """True if a step's seconds are those of the process on the CPU, and not those of the clock."""
    differs: dict[str, Any] = field(default_factory=dict)
    """Values of our recipe that only one of our variants has, by dotted key."""
    profile: str = ""
    """File that our side writes the operators of three of its steps to."""

    @classmethod
    def from_arguments(cls) -> "Setting":
        """Return the setting that the benchmark gave this process as its only argument."""
        return cls(**json.loads(sys.argv[1]))

    def as_argument(self) -> str:
        """Return the setting as `from_arguments` reads it."""
        return json.dumps(asdict(self))

    @property
    def tokens(self) -> int:
        """The number of tokens in a step."""
        return self.batch * self.seq_len

    @property
    def weights(self) -> int:
        """The number of weights of the model."""
        block = 4 * self.dim**2 + 3 * self.dim * self.ffn_dim + 2 * self.dim
        return 2 * self.vocab * self.dim + self.n_layers * block + self.dim


def batch(setting: Setting, n: int) -> Tensor:
    """Return batch `n` of random ids, int64 (B, S + 1), on the host."""
    generator = torch.Generator().manual_seed(n)
    size = (setting.batch, setting.seq_len + 1)
    tokens = torch.randint(3, setting.vocab, size, generator=generator)
    return tokens.masked_fill_(torch.rand(size, generator=generator) < 1 / MEAN_DOCUMENT, BOS)


def micro_batches(setting: Setting) -> Iterator[Tensor]:
    """Yield the micro-batches of batch 0, 1, ... without end: int64 (micro_batch, S + 1)."""
    n = 0
    while True:
        yield from batch(setting, n).split(setting.micro_batch)
        n += 1


class Turns:
    """The steps of one process, made when the benchmark asks for them, so that several processes take turns.

    The benchmark writes a number of steps to standard input. This writes to what was standard output one JSON
    object: the seconds of each of these steps and the memory at its peak. Whatever else the process prints
    goes to standard error.
    """

    def __init__(self, setting: Setting):
        self._cuda = setting.device == "cuda"
        self._clock = time.process_time if setting.busy else time.perf_counter
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._left = 0
        self._start = 0.0
        self._seconds: list[float] = []
        self._weights = 0

    def built(self, weights: int) -> None:
        """Note how many weights the model has."""
        self._weights = weights

    def next_step(self) -> None:
        """End the step before, if there was one, and wait for the next one's turn.

        It is called where a training begins with a step: a step's time is that from one call to the next. It
        ends the process where the benchmark wants no more steps.
        """
        if self._start:
            if self._cuda:
                torch.cuda.synchronize()
            self._seconds.append(self._clock() - self._start)
        if not self._left:
            said = {"seconds": self._seconds, "peak": self._peak(), "weights": self._weights}
            print(json.dumps(said), file=self._answers, flush=True)
            self._seconds = []
            wanted = sys.stdin.readline().strip()
            if not wanted:
                os._exit(0)
            self._left = int(wanted)
            self._forget_peak()
        self._left -= 1
        self._start = self._clock()

    def _peak(self) -> int:
        """Return the most bytes that were allocated on the GPU, or that this process had in memory."""
        if self._cuda:
            return torch.cuda.max_memory_allocated()
        with contextlib.suppress(OSError), open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def _forget_peak(self) -> None:
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
            return
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
            file.write("5")
