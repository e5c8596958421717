"""What every source of weights offers: the sizes of its model, and its tensors, read one part at a time."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from llama_core.recipes.training import Model
from llama_core.store import Store
from llama_core.tokenizer.model import Tokenizer
from llama_core.weights import names

PIECE = 16 << 20  # bytes that are read at a time
Part = tuple[int, int, int]
"""Some rows or columns of a tensor: the dimension, the first of them, and the one after the last."""


class Sizes(NamedTuple):
    """What the settings beside some weights say of their model."""

    model: Model
    vocab_size: int
    seq_len: int
    """The longest context of the model, in tokens."""


class Weights(ABC):
    """A model where it lies. Its tensors have our names and our layout, whatever the format is.

    Opening it reads settings, headers and the tokenizer, all of which are checked against each other. The
    bytes of a tensor are read by `read`, and only those that are asked for.
    """

    def __init__(self, url: str, sizes: Sizes, tokenizer: Tokenizer, dtype: torch.dtype):
        self.url = url
        self.model, self.vocab_size, self.seq_len = sizes
        self.tokenizer = tokenizer
        self.dtype = dtype
        """The most precise of the types that tensors are stored in; `read` returns all of them as it."""
        self._shapes = names.shapes(self.model, self.vocab_size)

    @property
    def precision(self) -> torch.dtype:
        """The type that the model is published in unless somebody asks for another one."""
        return self.dtype

    @property
    def names(self) -> list[str]:
        """Our names of the tensors, in the order of the model."""
        return list(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self._shapes[name]

    def read(self, name: str, part: Part | None = None) -> Tensor:
        """Return a tensor, or a part of it, on the CPU. Raises DamagedError, StoreError."""
        dim, start, stop = part or (0, 0, self._shapes[name][0])
        assert 0 <= dim < len(self._shapes[name]) and 0 <= start <= stop <= self._shapes[name][dim], part
        return self._read(name, (dim, start, stop)).to(self.dtype)

    def pieces(self, name: str, rows: int = 1, part: Part | None = None) -> Iterator[Tensor]:
        """Yield the rows of a tensor, or of a part of it, in turn: about PIECE bytes at a time.

        Each piece but the last has a multiple of `rows`. A part of the columns comes in one piece.
        """
        dim, start, stop = part or (0, 0, self._shapes[name][0])
        if dim == 1 and (start, stop) != (0, self._shapes[name][1]):
            yield self.read(name, part)
            return
        if dim == 1:
            start, stop = 0, self._shapes[name][0]
        row = math.prod(self._shapes[name][1:]) * self.dtype.itemsize
        step = rows * max(1, PIECE // (row * rows))
        for first in range(start, stop, step):
            yield self.read(name, (0, first, min(first + step, stop)))

    @abstractmethod
    def _read(self, name: str, part: Part) -> Tensor:
        """Return a part of a tensor, in the type that it is stored in."""

    @abstractmethod
    def files(self) -> list[tuple[Store, str]]:
        """Return the files that the model is made of, each by its folder and its name there."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of bytes that the tensors take as they are stored."""

    @abstractmethod
    def check(self, share: int = 0, of: int = 1) -> None:
        """Read the files whose digests are known, and compare them. Raises DamagedError.

        `share`, `of`: check only those whose turn it is among `of` processes. A source whose parts have
        digests of their own checks each when it is read, and does nothing here.
        """
