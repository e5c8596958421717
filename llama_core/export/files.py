"""What an export consists of: files with weights, each of which is written as a stream, and texts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llama_core.errors import InputError
from llama_core.weights.weights import Part, Weights

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp16": torch.float16}


@dataclass(frozen=True)
class Files:
    """The files of an export, none of which is written yet."""

    weights: Mapping[str, Callable[[Any], None]]
    """By name, what writes a file with weights into an open one. Each can be written by another process."""
    texts: dict[str, bytes]
    """The other files by name. The last of them makes the folder a model."""
    size: int
    """The number of bytes of all tensors."""


def size_of(weights: Weights, dtype: torch.dtype) -> int:
    """Return the number of bytes of all tensors as `dtype`."""
    return dtype.itemsize * weights.model.n_params(weights.vocab_size)


def pieces(
    weights: Weights, name: str, dtype: torch.dtype, rows: int = 1, part: Part | None = None
) -> Iterator[Tensor]:
    """Yield a tensor, or a part of it, as `dtype`, some rows (a multiple of `rows`) at a time.

    Raises InputError for a number that is too large for the type.
    """
    for piece in weights.pieces(name, rows, part):
        cast = piece.to(dtype)
        if dtype == torch.float16 and not cast.isfinite().all():
            raise InputError(
                f"{weights.url} has numbers in {name} that fp16 cannot hold: choose bf16 or fp32"
            )
        yield cast
