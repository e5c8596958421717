"""A model that several processes share: each has a part of the heads, the hidden layers and the vocabulary.

What cannot be divided evenly is divided as evenly as it goes: any number of processes can share any model.
A process may have no head at all. Every process has the same hidden states between blocks, and all logits
(Shoeybi et al. 2019).
"""

import itertools
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from llama_core.model.llama import Block, Llama
from llama_core.recipes.training import Model
from llama_core.train.distributed import World
from llama_core.weights.weights import Part

BY_HEAD = {"wq": 0, "wk": 0, "wv": 0, "wo": 1}  # the dimension in which a matrix is divided
BY_HIDDEN = {"w1": 0, "w3": 0, "w2": 1}
BY_WORD = ("tok_embeddings", "output")


def share(count: int, world: World) -> tuple[int, int]:
    """Return the first of the `count` things that are this process's, and the one after the last."""
    return count * world.rank // world.size, count * (world.rank + 1) // world.size


def part_of(name: str, model: Model, vocab_size: int, world: World) -> Part | None:
    """Return which part of the tensor `name` this process has, or None for all of it."""
    if world.size == 1 or not name.endswith(".weight"):
        return None
    matrix = name.split(".")[-2]
    if matrix in BY_HEAD:
        first, last = share(model.n_heads, world)
        return BY_HEAD[matrix], first * model.head_dim, last * model.head_dim
    if matrix in BY_HIDDEN:
        return BY_HIDDEN[matrix], *share(model.ffn_dim, world)
    return (0, *share(vocab_size, world)) if matrix in BY_WORD else None


def connect(model: Llama, world: World) -> None:
    """Let a model whose parameters are the parts of this process compute what the whole model does."""
    if world.size == 1:
        return
    model.tok_embeddings = _Embeddings(model.tok_embeddings.weight, *share(model.vocab_size, world))  # type: ignore[assignment]
    model.tok_embeddings.register_forward_hook(_sum)
    for layer in model.layers:
        assert isinstance(layer, Block)
        if not layer.attention.wq.weight.numel():
            layer.attention = _NoHeads()  # type: ignore[assignment]
        layer.attention.register_forward_hook(_sum)
        layer.feed_forward.register_forward_hook(_sum)
    borders = [model.vocab_size * rank // world.size for rank in range(world.size + 1)]
    counts = [last - first for first, last in itertools.pairwise(borders)]

    def gather(module: nn.Module, inputs: Any, logits: Tensor) -> Tensor:
        """Return the logits of all words, from those of the words of each process."""
        padded = F.pad(logits, (0, max(counts) - logits.shape[-1])).contiguous()
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([x[..., :count] for x, count in zip(parts, counts, strict=True)], -1)

    model.output.register_forward_hook(gather)


def _sum(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """Return the sum of the outputs of all processes. It is taken in float32."""
    total = output.float().contiguous()
    dist.all_reduce(total)
    return total.to(output.dtype)


class _Embeddings(nn.Module):
    """The embeddings of the words from `first` to before `last`, and zero for every other word."""

    def __init__(self, weight: nn.Parameter, first: int, last: int):
        super().__init__()
        self.weight, self.first, self.last = weight, first, last

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the embeddings of `tokens` (B, S): (B, S, dim)."""
        ours = (tokens >= self.first) & (tokens < self.last)
        found = self.weight.new_zeros(*tokens.shape, self.weight.shape[1])
        found[ours] = self.weight[tokens[ours] - self.first]
        return found


class _NoHeads(nn.Module):
    """The attention of a process that has no head."""

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        """Return zeros like `x`."""
        return torch.zeros_like(x)
