"""Texts that begin alike, read together: what they have in common passes the model once.

A tree is a head, branches after it, and texts after each branch. A token attends to what leads to it: the
tokens before it in its own part, and the parts that this one follows. All tokens of some trees are a single
sequence, without padding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

Ids = Sequence[int]


def alike(a: Ids, b: Ids, least: int = 1) -> int:
    """Return how many tokens two texts begin with that are the same, or 0 where fewer than `least` are."""
    low, high = 0, min(len(a), len(b))
    if high < least or a[:least] != b[:least]:
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle - 1)
    return low


class Branch(NamedTuple):
    """A beginning, and the texts that go on after it."""

    context: Ids
    """At least one token."""
    texts: Sequence[Ids]

    @property
    def size(self) -> int:
        """The number of tokens that pass the model: nothing follows the last one of a text."""
        return len(self.context) + sum(max(len(text) - 1, 0) for text in self.texts)


class Tree(NamedTuple):
    """Branches that begin with the same tokens."""

    head: Ids
    branches: Sequence[Branch]

    @property
    def size(self) -> int:
        """The number of tokens that pass the model."""
        return len(self.head) + sum(branch.size for branch in self.branches)


class _Part(NamedTuple):
    """Tokens that attend together: `queries`, to the keys of the head and to their own `keys`."""

    queries: slice
    head: slice | None
    keys: slice
    mask: Tensor | None  # (queries, keys of both), or None where each attends to all before it


class Trees:
    """Trees as a forward pass takes them, in place of a `Cache`."""

    def __init__(self, trees: Sequence[Tree], device: torch.device | str = "cpu"):
        self._device, self._parts = device, list[_Part]()
        self.places: list[list[int]] = []
        """The places of the tokens whose logits are those of a text's tokens, for each text in order."""
        ids, positions = list[int](), list[int]()
        for head, branches in trees:
            stem = slice(len(ids), len(ids) + len(head)) if head else None
            ids += head
            positions += range(len(head))
            if stem:
                self._parts.append(_Part(stem, None, stem, None))
            for context, texts in branches:
                begin, depth = len(ids), len(head) + len(context)
                ids += context
                positions += range(len(head), depth)
                end, lengths = len(ids), [max(len(text) - 1, 0) for text in texts]
                for text, length in zip(texts, lengths, strict=True):
                    self.places.append([end - 1, *range(len(ids), len(ids) + length)][: len(text)])
                    ids += text[:length]
                    positions += range(depth, depth + length)
                if sum(map(bool, lengths)) > 1:
                    self._add(stem, begin, end)
                    self._add(stem, begin, len(ids), lengths)
                else:
                    self._add(stem, begin, len(ids))
        self.ids = torch.tensor([ids], device=device)
        """All tokens, (1, N)."""
        self.positions = torch.tensor(positions, device=device)
        """The position of each in its text, (N,)."""

    def _add(self, head: slice | None, begin: int, end: int, lengths: Sequence[int] = ()) -> None:
        """Add a part that begins after the head: all of it, or at its end texts of these lengths."""
        first = end - sum(lengths) if lengths else begin
        before, mask = (head.stop - head.start if head else 0) + first - begin, None
        if before:
            mask = torch.ones(end - first, before + end - first, dtype=torch.bool)
            blocks = [torch.ones(n, n, dtype=torch.bool) for n in lengths or [end - first]]
            mask[:, before:] = torch.block_diag(*blocks).tril()
            mask = mask.to(self._device)
        self._parts.append(_Part(slice(first, end), head, slice(begin, end), mask))

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return what the queries take from the tokens that lead to them. All are (1, N, H, D)."""
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # (1, H, N, D)
        out = torch.empty_like(q)
        for queries, head, keys, mask in self._parts:
            seen = k[:, :, keys], v[:, :, keys]
            if head is not None:
                seen = torch.cat([k[:, :, head], seen[0]], 2), torch.cat([v[:, :, head], seen[1]], 2)
            causal = mask is None
            out[:, :, queries] = scaled_dot_product_attention(
                q[:, :, queries], *seen, attn_mask=mask, is_causal=causal
            )
        return out.transpose(1, 2)
