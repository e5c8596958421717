"""The figures of a step, which are summed over all processes while the next step is computed.

They are one small vector: what the process has used, and the tokens and the loss of each
source. Nothing waits for the device or for another process until a step is read, and by then the device has
the next one to do.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from llama_core.train.metrics.clock import Laps
from llama_core.train.parallel.mesh import Mesh
from llama_core.train.stability.origin import Seen

OWN = ("joules", "fetches", "saves", "wants_save")
FIRST = (*OWN, "grad_norm", "skipped")


@dataclass(frozen=True)
class StepFigures:
    """What all processes together tell of one step."""

    step: int
    grad_norm: float
    tokens: dict[str, int]
    """The number of targets of each source."""
    nats: dict[str, float]
    """The summed cross-entropy of each source's targets."""
    joules: float
    """The energy that all devices took."""
    fetches: float
    """The number of pages that the loaders fetched."""
    saves: int
    """How many tasks of saves have ended, since the training has begun (see `saving.Saver`)."""
    wants_save: bool
    """True if a process wants a save."""
    skipped: bool
    """True if the step made no update."""
    laps: Laps
    """The time of this process."""
    paces: list[float]
    """The seconds that each process has measured (see `pace`); empty where this step has none."""
    seen: Callable[[], Seen]
    """What this process alone has seen of the step."""

    @property
    def loss(self) -> float:
        """The mean loss of the batch."""
        return sum(self.nats.values()) / max(1, sum(self.tokens.values()))


class Figures:
    """Sends the figures of steps on their way, and reads them later, in the same order."""

    def __init__(self, sources: list[str], mesh: Mesh):
        self._sources, self._mesh = sources, mesh
        # One process of those that see the same sequences counts their tokens.
        self._counts = mesh.pp_rank == mesh.cp_rank == mesh.tp_rank == 0
        self._sent: deque[tuple[int, Tensor, Any, Laps, Callable[[], Seen]]] = deque()

    def __len__(self) -> int:
        return len(self._sent)

    def send(
        self,
        step: int,
        rows: Tensor,
        sources: NDArray[np.int64],
        seq_len: int,
        grad_norm: Tensor,
        allowed: Tensor,
        laps: Laps,
        seen: Callable[[], Seen],
        *,
        joules: float = 0.0,
        fetches: float = 0.0,
        saves: int = 0,
        wants_save: bool = False,
        pace: float | None = None,
    ) -> None:
        """Send the figures of a step. `rows`: float32 (B,), as `passes.backward` returns them.

        `sources`: (B,), the number of each sequence's source; `grad_norm` and `allowed`, whether the step
        makes an update: (), the same on all processes. `seen`: what this process alone has seen of
        the step. `pace`: the seconds that this process has measured, if all of them have.
        """
        world = self._mesh.world
        of_source = torch.from_numpy(sources)[None, :] == torch.arange(len(self._sources))[:, None]
        tokens = of_source.sum(1) * (seq_len if self._counts else 0)
        paces = torch.zeros(0 if pace is None else world.size, dtype=torch.float64)
        if pace is not None:
            paces[world.rank] = pace
        own = torch.tensor([joules, fetches, saves, wants_save], dtype=torch.float64)
        told = torch.cat([own, paces, tokens.double()])
        told, one_hot = self._to_device(told), self._to_device(of_source.double())
        first = torch.stack([grad_norm.double(), (~allowed).double()])
        first = first if world.rank == 0 else torch.zeros_like(first)
        vector = torch.cat([told[: len(OWN)], first, told[len(OWN) :], one_hot @ rows.double()])
        work = dist.all_reduce(vector, async_op=True) if world.size > 1 else None
        ready: Any = work
        if world.device.type == "cuda":
            if work is not None:
                work.wait()  # the stream waits, not this process
            host = torch.empty(vector.shape, dtype=vector.dtype, pin_memory=True)
            host.copy_(vector, non_blocking=True)
            vector, ready = host, torch.cuda.Event()
            ready.record()
        self._sent.append((step, vector, ready, laps, seen))

    def read(self) -> StepFigures:
        """Return the figures of the oldest step that was sent and not read, as soon as they are there."""
        step, vector, ready, laps, seen = self._sent.popleft()
        if isinstance(ready, torch.cuda.Event):
            ready.synchronize()
        elif ready is not None:
            ready.wait()
        values, k = vector.tolist(), len(self._sources)
        first = dict(zip(FIRST, values))
        rest = values[len(FIRST) :]
        paces, tokens, nats = rest[: len(rest) - 2 * k], rest[len(rest) - 2 * k : -k], rest[-k:]
        return StepFigures(
            step,
            first["grad_norm"],
            {name: int(n) for name, n in zip(self._sources, tokens)},
            dict(zip(self._sources, nats)),
            first["joules"],
            first["fetches"],
            int(first["saves"]),
            first["wants_save"] > 0,
            first["skipped"] > 0,
            laps,
            paces,
            seen,
        )

    def _to_device(self, tensor: Tensor) -> Tensor:
        device = self._mesh.world.device
        if device.type == "cuda":
            tensor = tensor.pin_memory()  # copied from there, it is sent without waiting
        return tensor.to(device, non_blocking=True)
