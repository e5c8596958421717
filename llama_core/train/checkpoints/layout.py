"""Which part of each tensor a rank writes, and where: a pure function of the layout."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, TypeAdapter
from torch import Tensor

from llama_core.parse import Count, Text, damaged, shown

FORMAT = 1
AXES = ("pp", "dp_replicate", "fsdp", "tp")  # of the grid of ranks, the last one innermost
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PIECE = 8 << 20  # bytes of a piece at most, unless a row has more
MOST_RANKS = 1 << 20
MOST_ELEMENTS = 1 << 50
Box = tuple[tuple[int, int], ...]
"""A part of a tensor: from where to where it reaches, by dimension."""


class Split(BaseModel, frozen=True):
    """Along which axis of the grid a dimension of a tensor is split: each rank has one of equal chunks."""

    axis: Literal["fsdp", "tp"]
    dim: Count


class Parameter(BaseModel, frozen=True):
    """A parameter, whose moments are laid out as it is."""

    dtype: Literal["float32", "bfloat16"]
    shape: tuple[Count, ...] = Field(min_length=1, max_length=4)
    pp: Count = 0
    """The place in the pipeline of the ranks that have it."""
    splits: tuple[Split, ...] = Field((), max_length=2)
    """How it is split, in this order: a later split is one of the chunks that the earlier ones leave."""

    @property
    def whole(self) -> Box:
        """All of it."""
        return tuple((0, size) for size in self.shape)

    def row_bytes(self, box: Box) -> int:
        """Return the number of bytes of a row of a part of it."""
        return math.prod(stop - start for start, stop in box[1:]) * DTYPES[self.dtype].itemsize


class Described(BaseModel):
    """What `layout.json` holds."""

    format: Literal[1]
    grid: dict[Literal["pp", "dp_replicate", "fsdp", "tp"], int] = Field(min_length=len(AXES))
    kinds: tuple[Literal["model", "exp_avg", "exp_avg_sq"], ...] = Field(min_length=1, max_length=3)
    piece: int = Field(gt=0, lt=2**40)
    parameters: dict[Text, Parameter]


DESCRIBED = TypeAdapter(Described)


@dataclass(frozen=True)
class Part:
    """A rank's part of a tensor of the first kind. Those of the other kinds follow in the same order."""

    box: Box
    start: int
    """The place of its first byte in the rank's file."""
    first: int
    """The number of its first piece."""
    rows: int
    """The number of rows of a piece."""


@dataclass(frozen=True, eq=False)
class Parts(Mapping[str, Part]):
    """The parts that a rank writes of the parameters, by name, in the order of its file.

    They are made when they are asked for: a reader may have to know those of thousands of ranks.
    """

    layout: "Layout"
    place: dict[str, int]
    """The place of the rank in the grid."""
    starts: NDArray[np.int64]
    """The first byte of each parameter's part, in the order of `Layout.names`; -1 where there is none."""
    firsts: NDArray[np.int64]
    """The first piece of each."""
    bytes: int
    """The sum over all parts of one kind."""
    pieces: int
    """The number of pieces of one kind."""

    def __getitem__(self, name: str) -> Part:
        n = self.layout.names[name]
        if self.starts[n] < 0:
            raise KeyError(name)
        parameter = self.layout.parameters[name]
        box = self.layout.box_of(parameter, self.place)
        return Part(box, int(self.starts[n]), int(self.firsts[n]), self.layout.rows_of(parameter, box))

    def __iter__(self) -> Iterator[str]:
        return (name for name, n in self.layout.names.items() if self.starts[n] >= 0)

    def __len__(self) -> int:
        return int((self.starts >= 0).sum())


@dataclass(frozen=True)
class Layout:
    """How the tensors of a checkpoint are laid out over the files of the ranks."""

    grid: tuple[int, int, int, int]
    """The number of ranks along each of the AXES."""
    kinds: tuple[str, ...]
    """What is stored of each parameter: `model`, and perhaps its moments."""
    parameters: Mapping[str, Parameter]
    piece: int = PIECE
    """The number of bytes of a piece at most, unless a row has more."""

    _parts: dict[int, Parts] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def names(self) -> dict[str, int]:
        """The numbers of the parameters, by their names in order."""
        return {name: n for n, name in enumerate(sorted(self.parameters))}

    @property
    def size(self) -> int:
        """The number of ranks."""
        return math.prod(self.grid)

    def rank_of(self, pp: int, at: Mapping[str, int]) -> int:
        """Return the rank that writes what lies at a place of the grid: the first along all other axes."""
        rank = 0
        for axis, size in zip(AXES, self.grid):
            rank = rank * size + (pp if axis == "pp" else at.get(axis, 0))
        return rank

    def place_of(self, rank: int) -> dict[str, int]:
        """Return the place of a rank along each axis."""
        place = {}
        for axis, size in zip(reversed(AXES), reversed(self.grid)):
            rank, place[axis] = divmod(rank, size)
        return place

    def box_of(self, parameter: Parameter, place: Mapping[str, int]) -> Box:
        """Return what the rank at a place has of a parameter, whether it writes that or another rank does."""
        box = list(parameter.whole)
        for split in parameter.splits:
            box[split.dim] = _chunk(*box[split.dim], self._along(split.axis), place[split.axis])
        return tuple(box)

    def writes(self, parameter: Parameter, place: Mapping[str, int]) -> bool:
        """Tell whether the rank at a place writes what it has of a parameter."""
        split = {split.axis for split in parameter.splits}
        first = all(place[axis] == 0 for axis in AXES[1:] if axis not in split)
        return first and place["pp"] == parameter.pp

    def rows_of(self, parameter: Parameter, box: Box) -> int:
        """Return the number of rows of a piece of a part that is not empty."""
        return max(1, self.piece // parameter.row_bytes(box))

    def parts(self, rank: int) -> Parts:
        """Return what a rank writes."""
        if rank not in self._parts:
            starts = np.full(len(self.names), -1, np.int64)
            place, firsts, at, pieces = self.place_of(rank), starts.copy(), 0, 0
            for name, n in self.names.items():
                parameter = self.parameters[name]
                if not self.writes(parameter, place):
                    continue
                box = self.box_of(parameter, place)
                rows, row = box[0][1] - box[0][0], parameter.row_bytes(box)
                if rows * row:
                    starts[n], firsts[n] = at, pieces
                    at, pieces = at + rows * row, pieces - rows // -self.rows_of(parameter, box)
            self._parts[rank] = Parts(self, place, starts, firsts, at, pieces)
        return self._parts[rank]

    def holders(self, name: str, need: Box) -> Iterator[int]:
        """Yield the ranks that write something of a part of a parameter."""
        parameter = self.parameters[name]

        def within(box: Box, splits: tuple[Split, ...], at: dict[str, int]) -> Iterator[int]:
            if not splits:
                yield self.rank_of(parameter.pp, at)
                return
            axis, dim = splits[0].axis, splits[0].dim
            start, stop = box[dim]
            first, last = max(start, need[dim][0]), min(stop, need[dim][1])
            if first >= last:
                return
            each = -(-(stop - start) // self._along(axis))
            for n in range((first - start) // each, (last - 1 - start) // each + 1):
                chunk = _chunk(start, stop, self._along(axis), n)
                yield from within((*box[:dim], chunk, *box[dim + 1 :]), splits[1:], at | {axis: n})

        if all(start < stop for start, stop in need):
            yield from within(parameter.whole, parameter.splits, {})

    def as_dict(self) -> dict[str, Any]:
        """Return the layout as the JSON value that `parse` takes."""
        parameters = {name: entry.model_dump(mode="json") for name, entry in self.parameters.items()}
        grid = dict(zip(AXES, self.grid))
        return Described(
            format=FORMAT, grid=grid, kinds=self.kinds, piece=self.piece, parameters=parameters
        ).model_dump(mode="json")

    def _along(self, axis: str) -> int:
        return self.grid[AXES.index(axis)]


def parse(told: Described, what: str) -> Layout:
    """Return the layout that a checkpoint describes. Raises DamagedError where it is impossible."""
    grid = tuple(told.grid[axis] for axis in AXES)  # type: ignore[index]
    if min(grid) < 1 or math.prod(grid) > MOST_RANKS:
        raise damaged(what, f"its grid of ranks is {grid}")
    if told.kinds[0] != "model" or len(set(told.kinds)) < len(told.kinds):
        raise damaged(what, f"it has the kinds {', '.join(told.kinds)}")
    for name, parameter in told.parameters.items():
        axes = [split.axis for split in parameter.splits]
        outside = any(split.dim >= len(parameter.shape) for split in parameter.splits)
        if outside or len(set(axes)) < len(axes) or parameter.pp >= grid[0]:
            raise damaged(what, f"{shown(name)} lies outside of its grid or its shape")
    if sum(math.prod(parameter.shape) for parameter in told.parameters.values()) > MOST_ELEMENTS:
        raise damaged(what, f"its parameters have more than {MOST_ELEMENTS:,} elements")
    return Layout(grid, told.kinds, told.parameters, told.piece)  # type: ignore[arg-type]


def splits_of(tensor: Tensor) -> tuple[Split, ...]:
    """Return how a tensor is split over the ranks, as DTensor tells it: by `tp` first, and then by `fsdp`."""
    if not hasattr(tensor, "placements"):  # importing DTensor would take seconds
        return ()
    by_axis = zip(tensor.device_mesh.mesh_dim_names, tensor.placements, strict=True)  # type: ignore[attr-defined]
    found = {axis: placement.dim for axis, placement in by_axis if hasattr(placement, "dim")}
    return tuple(Split(axis=axis, dim=found[axis]) for axis in ("tp", "fsdp") if axis in found)  # type: ignore[arg-type]


def own_box(tensor: Any) -> Box:
    """Return which part of a tensor lies in this process."""
    if not hasattr(tensor, "placements"):
        return tuple((0, size) for size in tensor.shape)
    return _own_box(tensor.shape, tensor.device_mesh, tensor.placements)


@lru_cache(1000)  # blocks are alike, and torch takes milliseconds for a matrix that two axes share
def _own_box(shape: torch.Size, mesh: Any, placements: tuple[Any, ...]) -> Box:
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    sizes, offsets = compute_local_shape_and_global_offset(shape, mesh, placements)
    if not math.prod(sizes):
        return tuple((0, 0) for _ in sizes)
    return tuple((start, start + size) for start, size in zip(offsets, sizes))


def local(tensor: Any) -> Tensor:
    """Return what of a tensor lies in this process, as a plain tensor."""
    return (tensor.to_local() if hasattr(tensor, "to_local") else tensor).detach()


def _chunk(start: int, stop: int, n: int, i: int) -> tuple[int, int]:
    """Return chunk `i` of `n` as `torch.chunk` makes them: the last ones may be shorter, or empty."""
    each = -(-(stop - start) // n)
    return min(start + i * each, stop), min(start + (i + 1) * each, stop)
