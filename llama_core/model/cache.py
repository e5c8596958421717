"""The keys and values of texts that are being continued, and attention to them.

Each text has a slot of its own, from position 0 on. A forward pass takes the next tokens of any texts, as
many as each of them has, one after the other in a single sequence: no product of the model computes padding.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from llama_core.errors import InputError

GROUP = 8  # slots whose texts attend together, padded to the longest of them, where no kernel takes lengths
GROWTH = 256  # positions that there is room for beyond those that are needed, as the slots grow
FLASH_DIMS = range(8, 257, 8)  # the sizes of heads that PyTorch's flash attention takes


class Span(NamedTuple):
    """The next `length` tokens of the text in `slot`, of which `start` are in the cache already."""

    slot: int
    start: int
    length: int


class Cache:
    """The keys and values of texts, each (layers, slots, H, capacity, D).

    Memory is taken when it is needed, in the precision and with the heads of the first keys that come: those
    of this process alone, where several share the heads.
    """

    def __init__(self, layers: int, device: torch.device | str = "cpu"):
        self.layers, self.device = layers, torch.device(device)
        self.slots = self.capacity = 0
        self.keys = self.values = torch.empty(layers, 0, 0, 0, 0)

    def prepare(self, spans: Sequence[Span], most: int) -> None:
        """Say what the next forward pass continues, in the order of its tokens: single tokens come first.

        `most`: the largest number of positions that a slot will ever hold.
        """
        self._reserve(1 + max(p.slot for p in spans), max(p.start + p.length for p in spans), most)
        singles = sorted(p for p in spans if p.length == 1)
        self._longer = [p for p in spans if p.length > 1]
        if list(spans) != singles + self._longer:
            raise ValueError("single tokens come first, in the order of their slots")
        self._spans, self._n_singles = spans, len(singles)
        positions = [position for p in spans for position in range(p.start, p.start + p.length)]
        self.positions = torch.tensor(positions, device=self.device)  # (N,)
        slots = [p.slot for p in spans for _ in range(p.length)]
        self._slots = torch.tensor(slots, device=self.device)  # (N,)
        self._ragged: _Ragged | None = None
        numbered = list(enumerate(singles))
        grouped = itertools.groupby(numbered, lambda single: single[1].slot // GROUP)
        self._groups = [_Group(list(group), self.device) for _, group in grouped]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store `k` and `v` of one layer, and return what the queries take from their texts up to them.

        All are (1, N, H, D), of the tokens that `prepare` was told of.
        """
        if self.keys.shape[1::2] != (self.slots, self.capacity):
            self._allocate(k.shape[2], k.shape[3], k.dtype)
        keys, values = self.keys[layer], self.values[layer]  # (slots, H, capacity, D)
        keys[self._slots, :, self.positions] = k[0]
        values[self._slots, :, self.positions] = v[0]
        if q.device.type == "cuda" and q.dtype != torch.float32 and q.shape[3] in FLASH_DIMS:
            if self._ragged is None:
                self._ragged = _Ragged(self._spans, keys)
            return self._ragged.attend(q[0], keys, values)[None]
        out = torch.empty_like(q[0])
        for group in self._groups:
            group.attend(q[0], keys, values, out)
        at = self._n_singles
        for slot, start, length in self._longer:
            now, here, until = slice(at, at + length), slice(slot, slot + 1), start + length
            heads = q[:, now].transpose(1, 2), keys[here, :, :until], values[here, :, :until]
            out[now] = _after(*heads, start)[0].transpose(0, 1)
            at += length
        return out[None]

    def copy(self, source: int, target: int, length: int) -> None:
        """Give the slot `target` the first `length` positions of the slot `source`."""
        self._reserve(target + 1, self.capacity, self.capacity)
        if length and self.keys.numel():
            if self.slots > self.keys.shape[1]:
                self._allocate(self.keys.shape[2], self.keys.shape[4], self.keys.dtype)
            for stored in (self.keys, self.values):
                stored[:, target, :, :length] = stored[:, source, :, :length]

    def _reserve(self, slots: int, length: int, most: int) -> None:
        """Let there be so many slots, of at least `length` positions, from the next forward pass on."""
        self.slots = max(self.slots, slots)
        if length > self.capacity:
            self.capacity = max(length, min(most, length + max(GROWTH, length // 2)))

    def _allocate(self, heads: int, dim: int, dtype: torch.dtype) -> None:
        """Take the memory that is reserved, and keep what is stored. Raises InputError where it lacks."""
        shape = (self.layers, self.slots, heads, self.capacity, dim)
        old = self.keys, self.values
        try:
            # Not empty memory: what is hidden by a mask is multiplied by zero, and must be a number.
            self.keys, self.values = (torch.zeros(shape, dtype=dtype, device=self.device) for _ in old)
        except RuntimeError as error:  # out of memory, on any device
            size = 2 * math.prod(shape) * dtype.itemsize
            raise InputError(
                f"there is no memory for {size:,} bytes of keys and values, of {self.slots} texts of "
                f"{self.capacity:,} tokens: continue fewer texts at once, or shorter ones"
            ) from error
        for before, after in zip(old, (self.keys, self.values), strict=True):
            if before.numel():
                after[:, : before.shape[1], :, : before.shape[3]] = before


class _Group:
    """Single tokens of texts in neighbouring slots, which are computed together."""

    def __init__(self, spans: Sequence[tuple[int, Span]], device: torch.device):
        numbers, inside = [n for n, _ in spans], [p for _, p in spans]
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
        """Write attention of this group's tokens to `out`, (N, H, D), as the queries are."""
        ours = q[self.queries]
        if self.places is not None:  # a slot between ours has no single token
            ours = q.new_zeros(self.last - self.first, *q.shape[1:]).index_copy_(0, self.places, ours)
        here = slice(self.first, self.last)
        seen = keys[here, :, : self.length], values[here, :, : self.length]
        found = scaled_dot_product_attention(ours[:, :, None], *seen, attn_mask=self.mask)[:, :, 0]
        out[self.queries] = found if self.places is None else found[self.places]


class _Ragged:
    """All tokens of a pass as PyTorch's flash attention takes them: by the lengths of their texts."""

    def __init__(self, spans: Sequence[Span], keys: Tensor):
        _, heads, capacity, _ = keys.shape
        counts, used = [p.length for p in spans], [p.start + p.length for p in spans]
        starts = [*(p.slot * heads * capacity for p in spans), 0]
        told = [0, *itertools.accumulate(counts)], starts, used
        self.queries, self.starts, self.used = (
            torch.tensor(x, dtype=torch.int32, device=keys.device) for x in told
        )
        self.longest = max(counts), max(used)

    def attend(self, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return attention of the queries, (N, H, D), to the keys and values, (slots, H, capacity, D)."""
        slots, heads, capacity, dim = keys.shape
        # The kernel wants all positions in one dimension, and goes from head to head by any stride.
        shape, strides = ((slots * heads - heads + 1) * capacity, heads, dim), (dim, capacity * dim, 1)
        flat = (x.as_strided(shape, strides, x.storage_offset()) for x in (keys, values))
        lengths = self.queries, self.starts, *self.longest
        return torch.ops.aten._flash_attention_forward(
            q, *flat, *lengths, 0.0, True, False, seqused_k=self.used
        )[0]


def _after(q: Tensor, k: Tensor, v: Tensor, start: int) -> Tensor:
    """Return attention of queries (1, H, S, D), from position `start` on, to keys (1, H, T, D) up to them."""
    if not start:
        return scaled_dot_product_attention(q, k, v, is_causal=True)
    mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril(start)
    return scaled_dot_product_attention(q, k, v, attn_mask=mask)
