"""A tensor as bytes of an object: only the rows or columns that are asked for are read, a piece at a time."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llama_core.errors import DamagedError
from llama_core.store import Store
from llama_core.weights.weights import PIECE, Part


@dataclass(frozen=True)
class Region:
    """Where a tensor of one or two dimensions lies in an object."""

    object: str
    start: int
    """The place of its first byte in the object."""
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: int
    """The number of elements from one row to the next; inside a row they lie side by side."""

    @property
    def size(self) -> int:
        """The number of bytes of its elements."""
        return math.prod(self.shape) * self.dtype.itemsize


def read(store: Store, region: Region, part: Part) -> Tensor:
    """Return a part of the tensor that lies in a region. Raises DamagedError where the object ends before."""
    item = region.dtype.itemsize
    rows, columns = (0, region.shape[0]), (0, math.prod(region.shape[1:]))
    dim, start, stop = part
    if dim == 0:
        rows = start, stop
    else:
        columns = start, stop
    width, stride = (columns[1] - columns[0]) * item, region.stride * item
    shape = [stop - start if n == dim else size for n, size in enumerate(region.shape)]
    out = torch.empty(shape, dtype=region.dtype)
    if not out.numel():
        return out
    filled = out.view(-1, shape[-1] if len(shape) > 1 else 1).view(torch.uint8).numpy()  # (rows, bytes)
    step = max(1, PIECE // stride)
    for first in range(rows[0], rows[1], step):
        last = min(first + step, rows[1])
        at = region.start + first * stride + columns[0] * item
        size = (last - first - 1) * stride + width
        data = store.read_range(region.object, at, at + size)
        if len(data) != size:
            raise DamagedError(f"{store.url_of(region.object)} is cut short")
        filled[first - rows[0] : last - rows[0]] = _rows(data, last - first, width, stride)
    return out


def _rows(data: bytes, n: int, width: int, stride: int) -> NDArray[np.uint8]:
    """Return `n` rows of `width` bytes, which begin `stride` bytes apart."""
    flat = np.frombuffer(data, np.uint8)
    return np.lib.stride_tricks.as_strided(flat, (n, width), (stride, 1), writeable=False)
