"""The device mesh: what each process of a training holds of the model and of a batch.

The processes form a grid of five dimensions, (pp, dp_replicate, dp_shard, cp, tp), with tp innermost: the
processes that talk most lie next to each other, inside a node. Those of one place in (dp_replicate, dp_shard)
see the same sequences.
"""

import functools
import math
import os
from dataclasses import dataclass, replace

import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from llama_core.recipes.running import Layout
from llama_core.train.distributed import World


@dataclass(frozen=True)
class Mesh:
    """One process's place among all. Every method is called by all of them at the same point."""

    world: World
    pp: int
    dp_replicate: int
    dp_shard: int
    cp: int
    tp: int

    @classmethod
    def of(cls, layout: Layout, world: World) -> "Mesh":
        """Return the mesh of `layout` over `world`. A recipe is valid only where its layout divides it."""
        dp_shard = layout.dp_shard(world.size)
        mesh = cls(world, layout.pp, layout.dp_replicate, dp_shard, layout.cp, layout.tp)
        assert math.prod(mesh.sizes) == world.size, f"{mesh.sizes} over {world.size} processes"
        return mesh

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        """The size of each dimension."""
        return self.pp, self.dp_replicate, self.dp_shard, self.cp, self.tp

    @functools.cached_property
    def _place(self) -> tuple[int, ...]:
        place, rank = [], self.world.rank
        for size in reversed(self.sizes):
            rank, at = divmod(rank, size)
            place.append(at)
        return tuple(reversed(place))

    @property
    def pp_rank(self) -> int:
        """The place of this process in the pipeline."""
        return self._place[0]

    @property
    def cp_rank(self) -> int:
        """The place of this process among those that share a sequence's positions."""
        return self._place[3]

    @property
    def tp_rank(self) -> int:
        """The place of this process among those that share each matrix."""
        return self._place[4]

    @property
    def data_rank(self) -> int:
        """Which part of a batch this process sees, from 0."""
        return self._place[1] * self.dp_shard + self._place[2]

    @property
    def data_size(self) -> int:
        """The number of parts of a batch."""
        return self.dp_replicate * self.dp_shard

    @property
    def data_ranks_of_node(self) -> set[int]:
        """The parts of a batch that the processes on this node see, by torchrun's environment."""
        first = self.world.rank - int(os.environ.get("LOCAL_RANK", 0))
        ranks = range(first, first + int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
        return {replace(self, world=replace(self.world, rank=rank)).data_rank for rank in ranks}

    @functools.cached_property
    def devices(self) -> DeviceMesh:
        """The mesh of the parameters, (pp, dp_replicate, fsdp, tp).

        Parameters are sharded over dp_shard and cp together: those of a cp group would be the same otherwise.
        """
        self.world.ensure_group()
        shape = (self.pp, self.dp_replicate, self.dp_shard * self.cp, self.tp)
        names = ("pp", "dp_replicate", "fsdp", "tp")
        return init_device_mesh(self.world.device.type, shape, mesh_dim_names=names)

    @property
    def fsdp(self) -> DeviceMesh:
        """The mesh that FSDP2 takes: of one dimension, or of two where there are replicas (HSDP)."""
        return self.devices["dp_replicate", "fsdp"] if self.dp_replicate > 1 else self.devices["fsdp"]

    @functools.cached_property
    def cp_group(self) -> dist.ProcessGroup:
        """The processes that share the positions of this process's sequences."""
        self.world.ensure_group()
        blocks = range(0, self.world.size, self.cp * self.tp)
        groups = [[b + t + c * self.tp for c in range(self.cp)] for b in blocks for t in range(self.tp)]
        group, _ = dist.new_subgroups_by_enumeration(groups)
        return group
