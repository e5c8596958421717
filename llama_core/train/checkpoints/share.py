"""A process's share of a checkpoint: what it has of the tensors, its upload, and the commit of all shares."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from llama_core.objects import Object
from llama_core.step import OpenShard
from llama_core.store import to_json
from llama_core.train.checkpoints import files
from llama_core.train.checkpoints.layout import (
    DTYPES,
    PIECE,
    Layout,
    Parameter,
    local,
    own_box,
    splits_of,
)
from llama_core.train.distributed import World

MOMENTS = ("exp_avg", "exp_avg_sq")
NAMES = {dtype: name for name, dtype in DTYPES.items()}
ALIGNED = 64  # bytes
PARAMETERS = TypeAdapter(dict[str, Parameter])


@dataclass(frozen=True)
class Uploaded:
    """What rank 0 has to know of a share to commit it."""

    objects: list[Object]
    parameters: dict[str, Any]
    """The parameters of this place in the pipeline, as JSON, from the first of its ranks.

    Rank 0 knows its own. The room for what each rank sends is that of the largest.
    """


@dataclass(frozen=True)
class Share:
    """What one process has of a checkpoint."""

    rank: int
    layout: Layout
    """The layout of the parameters of this process's place in the pipeline."""
    tensors: dict[tuple[str, str], Tensor]
    """What it writes, by kind and name."""
    updates: int = 0
    """How often the moments were updated."""

    def upload(self, shard: OpenShard) -> Uploaded:
        """Publish this process's files. Raises StoreError."""
        files.write(shard, self.layout, self.rank, lambda kind, name: [self.tensors[kind, name]])
        place = self.layout.place_of(self.rank)
        told = place["pp"] and not any(at for axis, at in place.items() if axis != "pp")
        parameters = PARAMETERS.dump_python(dict(self.layout.parameters), mode="json") if told else {}
        return Uploaded(shard.objects, parameters)


def share_of(model: nn.Module, optimizer: torch.optim.Optimizer | None, world: World) -> Share:
    """Return this process's share: its tensors themselves, which the next update changes.

    Nothing else of the optimizer than its moments is in a checkpoint: the recipe has its settings.
    """
    grid = _grid(model, world)
    pp = Layout(grid, ("model",), {}).place_of(world.rank)["pp"]
    mine = dict(model.named_parameters())
    parameters = {
        name: Parameter(dtype=NAMES[p.dtype], shape=tuple(p.shape), pp=pp, splits=splits_of(p))  # type: ignore[arg-type]
        for name, p in mine.items()
    }
    layout = Layout(grid, ("model", *(MOMENTS if optimizer else ())), parameters, PIECE)
    tensors = {}
    for name, part in layout.parts(world.rank).items():
        box = own_box(mine[name])
        assert box == part.box, f"{name} has {box} on rank {world.rank}, where its layout has {part.box}"
        tensors["model", name] = local(mine[name])
        if optimizer:
            for moment in MOMENTS:
                tensors[moment, name] = local(optimizer.state[mine[name]][moment])
    updates = int(next(iter(optimizer.state.values()))["step"].item()) if optimizer else 0
    return Share(world.rank, layout, tensors, updates)


def _grid(model: nn.Module, world: World) -> tuple[int, int, int, int]:
    """Return the grid of the ranks, as `Mesh.devices` has it."""
    mesh = getattr(model, "mesh", None)
    if mesh is None:
        assert world.size == 1, "the model of several processes is one of `parallelize.build`"
        return (1, 1, 1, 1)
    return (mesh.pp, mesh.dp_replicate, mesh.dp_shard * mesh.cp, mesh.tp)


def bytes_of(share: Share) -> int:
    """Return how many bytes a copy of a share takes: of a GPU's, a power of two, as torch takes them."""
    size = sum(map(_room, share.tensors.values()))
    return 1 << (size - 1).bit_length() if any(t.is_cuda for t in share.tensors.values()) else size


def _room(tensor: Tensor) -> int:
    return -(-tensor.nbytes // ALIGNED) * ALIGNED


class HostCopy:
    """The memory of this machine that a share is copied to, so that training goes on during the upload.

    It is taken once, and used again for each save.
    """

    def __init__(self) -> None:
        self._memory = torch.empty(0, dtype=torch.uint8)

    def of(self, share: Share) -> Share:
        """Return the share as it is now, in memory that nobody else changes until the next call."""
        places, at = {}, 0
        for key, tensor in share.tensors.items():
            places[key] = at
            at += _room(tensor)
        size = bytes_of(share)
        on_gpu = any(t.is_cuda for t in share.tensors.values())
        if len(self._memory) < size:
            self._memory = torch.empty(size, dtype=torch.uint8, pin_memory=on_gpu)
        copies = {}
        for key, tensor in share.tensors.items():
            room = self._memory[places[key] :][: tensor.nbytes]
            copies[key] = room.view(tensor.dtype).view(tensor.shape)
            copies[key].copy_(tensor, non_blocking=True)
        if on_gpu:
            torch.cuda.synchronize()
        return replace(share, tensors=copies)


def describe(shard: OpenShard, layout: Layout, uploads: list[Uploaded]) -> None:
    """Add the shares of all processes and their layout to a shard that rank 0 commits. Raises StoreError."""
    others = {name: entry for upload in uploads for name, entry in upload.parameters.items()}
    whole = replace(layout, parameters={**layout.parameters, **PARAMETERS.validate_python(others)})
    shard.publish_bytes(f"{shard.name}/{files.DESCRIPTION}", to_json(whole.as_dict()))
    shard.objects += [entry for upload in uploads for entry in upload.objects]


def read_into(tensors: dict[tuple[str, str], Any], reader: files.Reader) -> None:
    """Fill tensors, by kind and name, or this process's parts of them, from a checkpoint.

    Raises DamagedError, also where it has no such tensor.
    """
    wanted: list[files.Piece] = []
    for (kind, name), tensor in tensors.items():
        reader.check(kind, name, tuple(tensor.shape))
        need = own_box(tensor)
        wanted += reader.pieces(kind, name, need, partial(files.paste, local(tensor), need))
    reader.read(wanted)
