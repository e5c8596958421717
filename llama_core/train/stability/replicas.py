"""Replicas: what several processes hold of the same parameters stays equal to the bit.

A fault of a processor or its memory may change one of them, and nothing else would tell: the gradients are
averaged, and the copies drift apart. So the processes compare the sums of the bits of their parameters now
and then, and before each save, so that a checkpoint never holds what has drifted.
"""

from collections import Counter
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from llama_core.errors import ReplicaError
from llama_core.train.parallel.parts import Parts

INTEGER = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
Copy = tuple[int, str]  # a rank, and the name of a parameter


class Replicas:
    """The replicas of a model's parameters. All processes call each method at the same point.

    `every`: the number of steps between two comparisons; at 0 nothing is compared.
    """

    def __init__(self, parts: Parts, every: int):
        self._world, self._every = parts.mesh.world, every
        self._copied: dict[Any, dict[str, Any]] = {}  # parameters by the processes that hold the same of them
        for name, parameter in parts.named_parameters():
            for at, placement in enumerate(getattr(parameter, "placements", ())):
                mesh = parameter.device_mesh  # type: ignore[attr-defined]
                if placement.is_replicate() and mesh.size(at) > 1:
                    self._copied.setdefault(mesh.get_group(at), {})[name] = parameter
        copied = bool(self._copied) and every > 0
        self._any = self._world.sum(copied)[0] > 0

    def due(self, n: int) -> bool:
        """Tell whether the replicas are compared after step `n`."""
        return self._any and n % self._every == 0

    def compare(self, n: int) -> None:
        """Compare the replicas after step `n`. Raises ReplicaError, on all processes."""
        if not self._any:
            return
        odd: list[Copy] = []
        for group, parameters in self._copied.items():
            ranks = dist.get_process_group_ranks(group)
            mine = torch.stack([_sum(p.to_local()) for p in parameters.values()])
            sums = [torch.empty_like(mine) for _ in ranks]
            dist.all_gather(sums, mine, group=group)
            if self._world.rank == ranks[0]:
                odd += _odd(list(parameters), ranks, torch.stack(sums).tolist())
        if self._world.sum(len(odd))[0]:
            told = self._world.gather(odd)
            message = self._world.agree(lambda: _message(n, [copy for part in told for copy in part]))
            raise ReplicaError(message)


@torch.no_grad()
def _sum(part: Tensor) -> Tensor:
    """Return the sum of the bits of a tensor, taken as integers: int64 (). A change of any one is seen."""
    return part.contiguous().view(INTEGER[part.itemsize]).sum(dtype=torch.int64)


def _odd(names: list[str], ranks: list[int], sums: list[list[int]]) -> list[Copy]:
    """Return the copies that differ from most of the others. Of two that differ it is the second one."""
    found = []
    for name, column in zip(names, zip(*sums), strict=True):
        [(usual, _)] = Counter(column).most_common(1)
        found += [(rank, name) for rank, value in zip(ranks, column, strict=True) if value != usual]
    return found


def _message(n: int, odd: list[Copy]) -> str:
    ranks = sorted({rank for rank, _ in odd})
    of_rank = {rank: sorted(name for r, name in odd if r == rank) for rank in ranks}
    said = [
        f"rank {rank} in {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        for rank, names in of_rank.items()
    ]
    return (
        f"after step {n} the parameters of replicas differ: {', '.join(said)} (of two replicas either may be "
        "the wrong one). A processor or its memory has a fault; nothing of it is saved"
    )
