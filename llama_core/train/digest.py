"""The digest of a model's weights, to which each process adds what it holds.

A matrix is taken row by row: each row has its own sha256, made by a process that holds the row, and the
digest is the sha256 over those, in the order of names and rows. So it does not depend on the layout, each
process hashes its share of the weights, and only hashes are sent, 32 bytes a row, of a few parameters at a
time: rank 0 never holds more than some megabytes of them. Where a row is spread over processes (the second
matrices of tensor parallelism), they first exchange columns for rows.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from llama_core.train.checkpoints.files import raw_bytes
from llama_core.train.distributed import World

Rows = list[tuple[str, int, bytes]]  # the name of a parameter, the number of a row, what stands for the rows
GATHERED = 1 << 18  # rows whose hashes rank 0 holds at once: 8 MB of them


def model_digest(model: nn.Module, world: World | None = None) -> str:
    """Return the sha256 of the weights, on every process of `world`, which all call it; None: on this one.

    `model` may be this process's part of the model.
    """
    world = world or World(0, 1, torch.device("cpu"))
    mine = dict(model.named_parameters())
    described = _described(model, world)
    headers = {name: header for name, (header, _) in described.items()}
    digest = hashlib.sha256()
    for names in groups_of({name: rows for name, (_, rows) in described.items()}):
        rows = [row for name in names if name in mine for row in rows_of(name, mine[name].detach())]
        add(digest, headers, [row for told in world.gather(rows) for row in told])
    return world.agree(digest.hexdigest)


def _described(model: nn.Module, world: World) -> dict[str, tuple[str, int]]:
    """Return the header and the number of rows of each parameter, also of those elsewhere in a pipeline."""
    mine = {name: (header_of(name, p.dtype, p.shape), p.shape[0]) for name, p in model.named_parameters()}
    mesh = getattr(model, "mesh", None)
    if mesh is None or mesh.pp == 1:
        return mine
    told = world.gather(mine)
    return world.agree(lambda: {name: of for part in told for name, of in part.items()})


def groups_of(rows: dict[str, int]) -> list[list[str]]:
    """Return the names of parameters in order, in groups of some GATHERED rows. `rows`: how many each has."""
    groups, room = list[list[str]](), 0
    for name in sorted(rows):
        if rows[name] > room:
            groups.append([])
            room = GATHERED
        groups[-1].append(name)
        room -= rows[name]
    return groups


def rows_of(name: str, parameter: Any) -> Rows:
    """Return what stands for the rows that this process answers for, in one item or none.

    Of a vector, which has one number a row, the numbers stand for themselves.
    """
    rows, first = _whole_rows(parameter)
    if not len(rows):
        return []
    if parameter.ndim == 1:
        return [(name, first, bytes(raw_bytes(rows)))]
    data, size = raw_bytes(rows), rows[0].nbytes
    hashes = (hashlib.sha256(data[at : at + size]).digest() for at in range(0, len(data), size))
    return [(name, first, b"".join(hashes))]


def _whole_rows(parameter: Any) -> tuple[Tensor, int]:
    """Return rows of a parameter that no other process returns, and the number of the first of them."""
    if not hasattr(parameter, "placements"):  # importing DTensor would take seconds
        return parameter, 0
    from torch.distributed.tensor import Shard
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    mesh = parameter.device_mesh
    if any(getattr(p, "dim", 0) != 0 for p in parameter.placements):
        placements = [Shard(0) if getattr(p, "dim", 0) else p for p in parameter.placements]
        parameter = parameter.redistribute(placements=placements)
    _, offsets = compute_local_shape_and_global_offset(parameter.shape, mesh, parameter.placements)
    rows, first = parameter.to_local(), offsets[0]
    for size, at, placement in zip(mesh.shape, mesh.get_coordinate(), parameter.placements, strict=True):
        if placement.is_replicate():  # those that hold the same rows share them
            start, end = len(rows) * at // size, len(rows) * (at + 1) // size
            rows, first = rows[start:end], first + start
    return rows, first


def header_of(name: str, dtype: torch.dtype, shape: Sequence[int]) -> str:
    """Return what stands for the name, type and shape of a parameter."""
    return f"{name} {dtype} {list(shape)}\n"


def add(digest: "hashlib._Hash", headers: dict[str, str], rows: Rows) -> None:
    """Add to the digest of weights all rows of some parameters, which come next in the order of names."""
    current = None
    for name, _, data in sorted(rows):
        if name != current:
            digest.update(headers[name].encode())
            current = name
        digest.update(data)


def combine(headers: dict[str, str], rows: Rows) -> str:
    """Return the digest of weights, by the headers and all rows of their parameters."""
    digest = hashlib.sha256()
    add(digest, headers, rows)
    return digest.hexdigest()
