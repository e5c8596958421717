"""The keys and values of texts that are being continued, and attention to them.

Each text has a slot of its own, from position 0 on. A forward pass takes the next tokens of any texts, as
many as each of them has, one after the other in a single sequence: no product of the model computes padding.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

GROUP = 8  # slots whose texts attend together, padded to the longest of them, where no kernel takes lengths
GROWTH = 256  # positions by which the slots grow at least


class Part(NamedTuple):
    """The next `count` tokens of the text in `slot`, of which `start` are in the cache already."""

    slot: int
    start: int
    count: int


class Cache:
    """The keys and values of texts, each (layers, slots, capacity, H, D).

    Memory is taken when it is needed, in the precision and with the heads of the first keys that come: those
    of this process alone, where several share the heads.
    """

    def __init__(self, layers: int, device: torch.device | str = "cpu"):
        self.layers, self.device = layers, torch.device(device)
        self.slots = self.capacity = 0
        self.keys = self.values = torch.empty(0)

    def prepare(self, parts: Sequence[Part], most: int) -> None:
        """Say what the next forward pass continues, in the order of its tokens: single tokens come first.

        `most`: the largest number of positions that a slot will ever hold.
        """
        self._reserve(1 + max(p.slot for p in parts), max(p.start + p.count for p in parts), most)
        self.singles = sorted(p for p in parts if p.count == 1)
        self.longer = [p for p in parts if p.count > 1]
        if list(parts) != self.singles + self.longer:
            raise ValueError("single tokens come first, in the order of their slots")
        places = [torch.arange(p.start, p.start + p.count) for p in parts]
        slots = torch.tensor([p.slot for p in parts]).repeat_interleave(
            torch.tensor([p.count for p in parts])
        )
        positions = torch.cat(places)
        self.positions = positions.to(self.device)  # (N,)
        self._at = (slots * self.capacity + positions).to(self.device)  # (N,)
        self._lengths = None
        if self.device.type == "cuda":
            counts = [0, *(p.count for p in parts)]
            used = [p.start + p.count for p in parts]
            places = [*(p.slot * self.capacity for p in parts), 0]
            ragged = list(itertools.accumulate(counts)), places, used
            tensors = [torch.tensor(x, dtype=torch.int32, device=self.device) for x in ragged]
            self._lengths = tensors, max(counts), max(used)
        self._groups = [self._group(first) for first in range(0, self.slots, GROUP)]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store `k` and `v` of one layer, and return what the queries take from their texts up to them.

        All are (1, N, H, D), of the tokens that `prepare` was told of.
        """
        if self.keys.shape[1:3] != (self.slots, self.capacity) or self.keys.dtype != k.dtype:
            self._allocate(k)
        keys, values = self.keys[layer], self.values[layer]  # (slots, capacity, H, D)
        keys.flatten(0, 1)[self._at] = k[0]
        values.flatten(0, 1)[self._at] = v[0]
        if self._lengths is not None and q.dtype != torch.float32:
            return _flash(q[0], keys.flatten(0, 1), values.flatten(0, 1), *self._lengths)[None]
        out = torch.empty_like(q[0])
        for group in self._groups:
            if group is not None:
                group.attend(q[0], keys, values, out)
        at = len(self.singles)
        for slot, start, count in self.longer:
            end = start + count
            out[at : at + count] = _sdpa(
                q[:, at : at + count], keys[slot : slot + 1, :end], values[slot : slot + 1, :end], start
            )[0]
            at += count
        return out[None]

    def copy(self, source: int, target: int, length: int) -> None:
        """Give the slot `target` the first `length` positions of the slot `source`."""
        self._reserve(target + 1, self.capacity, self.capacity)
        if length and self.keys.numel():
            if self.slots > self.keys.shape[1]:
                self._allocate(self.keys)
            for stored in (self.keys, self.values):
                stored[:, target, :length] = stored[:, source, :length]

    def _reserve(self, slots: int, length: int, most: int) -> None:
        """Let there be so many slots, of at least `length` positions, from the next forward pass on."""
        self.slots = max(self.slots, slots)
        if length > self.capacity:
            self.capacity = max(length, min(most, self.capacity + max(GROWTH, self.capacity // 2)))

    def _allocate(self, like: Tensor) -> None:
        """Take the memory that is reserved, and keep what is stored. `like`: (.., H, D)."""
        shape = (self.layers, self.slots, self.capacity, *like.shape[-2:])
        old = self.keys, self.values
        # Not empty memory: what is hidden by a mask is multiplied by zero, and must be a number.
        self.keys, self.values = (torch.zeros(shape, dtype=like.dtype, device=self.device) for _ in old)
        for before, after in zip(old, (self.keys, self.values), strict=True):
            if before.numel():
                after[:, : before.shape[1], : before.shape[2]] = before

    def _group(self, first: int) -> "_Group | None":
        """Return the single tokens of a group of slots, or None where it has none."""
        inside = [(n, p) for n, p in enumerate(self.singles) if first <= p.slot < first + GROUP]
        return _Group(inside, self.device) if inside else None


class _Group:
    """Single tokens of texts in neighbouring slots, which are computed together."""

    def __init__(self, parts: Sequence[tuple[int, Part]], device: torch.device):
        numbers, inside = [n for n, _ in parts], [p for _, p in parts]
        self.first, self.last = inside[0].slot, inside[-1].slot + 1
        self.queries = slice(numbers[0], numbers[-1] + 1)
        lengths = torch.ones(self.last - self.first, dtype=torch.int64)
        places = torch.tensor([p.slot - self.first for p in inside])
        lengths[places] = torch.tensor([p.start + 1 for p in inside])
        self.length = int(lengths.max())
        seen = torch.arange(self.length) < lengths[:, None]
        self.mask = None if seen.all() else seen[:, None, None].to(device)  # (slots, 1, 1, T)
        self.places = None if len(places) == len(lengths) else places.to(device)

    def attend(self, q: Tensor, keys: Tensor, values: Tensor, out: Tensor) -> None:
        """Write attention of this group's tokens to `out`, both (N, H, D), as are the queries."""
        ours = q[self.queries]
        if self.places is not None:  # a slot between ours has no single token
            ours = q.new_zeros(self.last - self.first, *q.shape[1:]).index_copy_(0, self.places, ours)
        slots = slice(self.first, self.last)
        heads = [
            x.transpose(1, 2)
            for x in (ours[:, None], keys[slots, : self.length], values[slots, : self.length])
        ]
        found = torch.nn.functional.scaled_dot_product_attention(*heads, attn_mask=self.mask)[:, :, 0]
        out[self.queries] = found if self.places is None else found[self.places]


def _sdpa(q: Tensor, k: Tensor, v: Tensor, start: int) -> Tensor:
    """Return attention of queries (1, S, H, D), from position `start` on, to keys (1, T, H, D) up to them."""
    heads = [x.transpose(1, 2) for x in (q, k, v)]
    if not start:
        return torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2)
    mask = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool, device=q.device).tril(start)
    return torch.nn.functional.scaled_dot_product_attention(*heads, attn_mask=mask).transpose(1, 2)


def _flash(
    q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[Tensor], longest_q: int, longest_k: int
) -> Tensor:
    """Return attention by PyTorch's flash attention, which takes the length of each text. `q`: (N, H, D)."""
    queries, starts, used = lengths
    return torch.ops.aten._flash_attention_forward(
        q, k, v, queries, starts, longest_q, longest_k, 0.0, True, False, seqused_k=used
    )[0]
