"""A model in the format that Meta released LLaMA in, which its own program loads (see `weights.meta`)."""

import functools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from llama_core.errors import InputError
from llama_core.export.files import Files, pieces, size_of
from llama_core.store import to_json
from llama_core.tokenizer.model import MODEL
from llama_core.weights import torch_file
from llama_core.weights.meta import PARAMS, shard_dim
from llama_core.weights.weights import Part, Weights

# The number of files of the released models, by their width.
RELEASED = {4096: 1, 5120: 2, 6656: 4, 8192: 8}
MOST_SHARDS = 100  # as many as their names have numbers for
THETA = 10000.0


def files(weights: Weights, dtype: torch.dtype, shards: int | None = None) -> Files:
    """Return the files of a model.

    `shards`: into how many it is split; None: as the released model of its width. Raises InputError
    where the model cannot be split so, or where `params.json` cannot say what it is.
    """
    model = weights.model
    if model.rope_theta != THETA:
        raise InputError(
            f"{weights.url} has rope_theta {model.rope_theta:g}, and Meta's code knows {THETA:g} alone: "
            "choose --format huggingface"
        )
    possible = _possible(weights)
    if shards is None:
        shards = RELEASED.get(model.dim, 1) if RELEASED.get(model.dim, 1) in possible else 1
    if shards not in possible:
        raise InputError(
            f"{weights.url} cannot be split into {shards} shards: {', '.join(map(str, possible))} divide its "
            f"{model.n_heads} heads, {model.ffn_dim} hidden units and {weights.vocab_size} pieces"
        )
    names = [f"consolidated.{number:02d}.pth" for number in range(shards)]
    writers = {
        name: functools.partial(_write, weights, dtype, number, shards) for number, name in enumerate(names)
    }
    params = {
        "dim": model.dim,
        "multiple_of": model.multiple_of,
        "n_heads": model.n_heads,
        "n_layers": model.n_layers,
        "norm_eps": model.norm_eps,
        "vocab_size": -1,
    }
    return Files(writers, {MODEL: weights.tokenizer.model, PARAMS: to_json(params)}, size_of(weights, dtype))


def _possible(weights: Weights) -> list[int]:
    """Return the numbers of files into which the model can be split."""
    model = weights.model
    common = math.gcd(model.n_heads, model.ffn_dim, weights.vocab_size)
    return [n for n in range(1, min(common, MOST_SHARDS) + 1) if common % n == 0]


def _write(weights: Weights, dtype: torch.dtype, number: int, shards: int, file: Any) -> None:
    """Write the part of every matrix that has this number, and every vector."""
    parts = {name: _part(weights, name, number, shards) for name in weights.names}
    shapes = {}
    for name, (dim, start, stop) in parts.items():
        shapes[name] = tuple(stop - start if d == dim else n for d, n in enumerate(weights.shape(name)))

    def of(name: str) -> Iterator[Tensor]:
        return pieces(weights, name, dtype, part=parts[name])

    torch_file.write(file, shapes, dtype, of)


def _part(weights: Weights, name: str, number: int, shards: int) -> Part:
    dim = shard_dim(name)
    if dim is None:
        return 0, 0, weights.shape(name)[0]
    length = weights.shape(name)[dim] // shards
    return dim, number * length, (number + 1) * length
