"""The order of training: sequence i is a function of (corpus digest, mixture, seed, i). No state is kept.

    i -> block, place -> source, m    a block holds the mixture, spread over its places by a permutation
    m -> epoch, place                 m counts a source's windows from the start of training
    place -> page -> window           a permutation orders pages, another the windows of 64 pages

A window is `seq_len` + 1 tokens, of which the last is the first of the next window. A page is 1,024 windows.
Permutations are keyed Feistel networks, so any i costs the same and no table grows with the corpus.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama_core.errors import RecipeError

REVISION = 1
BLOCK = 1024  # sequences that a block has at least (see `Order.block`)
MAX_BLOCK = 1 << 20  # sequences that a block has at most: it is laid out whole to find one of them
PAGE = 1024  # windows of a page
GROUP = 64  # pages whose windows are mixed with one another, which a reader has to keep at hand
ROUNDS = 6  # rounds of a Feistel network: four give a good permutation in theory, two more cost little

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]


class Order:
    """Finds the window that each sequence of training is.

    `mixture`: the share of each source. `windows`: how many each has. Raises RecipeError where a source that
    has a share has no window, and where a share is too small.
    """

    def __init__(self, digest: str, mixture: Mapping[str, float], seed: int, windows: Mapping[str, int]):
        self.sources = sorted(name for name, share in mixture.items() if share > 0)
        for name in self.sources:
            if windows.get(name, 0) < 1:
                raise RecipeError(
                    f"mixture.{name} is {mixture[name]:g}, but the source has not one window of text: "
                    f"give it more text (corpus.sources.{name}), lower train.seq_len, or set the share to 0"
                )
        # A decimal weight is taken as written: 0.1 is a tenth, not the nearest binary fraction.
        shares = [Fraction(str(mixture[name])) for name in self.sources]
        self.shares = [share / sum(shares) for share in shares]
        # With a window of each source in a block, largest remainders never take one back (see `drawn`).
        self.block = max(BLOCK, 1 << (ceil(1 / min(self.shares)) - 1).bit_length())
        if self.block > MAX_BLOCK:
            rarest = self.sources[self.shares.index(min(self.shares))]
            raise RecipeError(
                f"mixture.{rarest} is less than one window in {MAX_BLOCK}: raise the share, or set it to 0"
            )
        self._windows: Ints = np.array([windows[name] for name in self.sources], np.int64)
        self._block_key = _key(digest, seed, "block")
        self._page_keys = np.array([_key(digest, seed, "pages", name) for name in self.sources], np.uint64)
        self._window_keys = np.array(
            [_key(digest, seed, "windows", name) for name in self.sources], np.uint64
        )

    def drawn(self, blocks: int) -> list[int]:
        """Return how many windows each source gives in the first `blocks` blocks.

        The number is within one of the source's exact share.
        """
        return apportion(blocks * self.block, self.shares)

    def locate(self, sequences: Ints) -> tuple[Ints, Ints]:
        """Return where sequences come from: for each its source's index in `sources`, and the window of it.

        `sequences`: int64 (N,). Returns int64 (N,) twice.
        """
        sequences = np.asarray(sequences, np.int64)
        source, nth = np.empty_like(sequences), np.empty_like(sequences)
        blocks = sequences // self.block
        for block in np.unique(blocks):
            mine = blocks == block
            place = sequences[mine] % self.block
            sources, nths = self._draw(int(block))
            source[mine], nth[mine] = sources[place], nths[place]
        return source, self._window(source, nth)

    def _draw(self, block: int) -> tuple[Ints, Ints]:
        """Return for each place of a block its source, and how many windows that source has given before."""
        before = np.array(self.drawn(block), np.int64)
        counts = np.array(self.drawn(block + 1), np.int64) - before
        places = np.arange(self.block)
        key = _vary(self._block_key, np.array([block]))
        ends = np.cumsum(counts)
        source = np.searchsorted(ends, permute(places, self.block, key), side="right")
        by_source = np.argsort(source, kind="stable")  # a source gives its windows in their order
        nth = np.empty_like(places)
        nth[by_source] = places + np.repeat(before - (ends - counts), counts)
        return source, nth

    def _window(self, source: Ints, nth: Ints) -> Ints:
        """Return the window that is the `nth` drawn from its source, counted over all epochs."""
        total = self._windows[source]
        epoch, place = np.divmod(nth, total)
        pages = total // PAGE  # whole pages; the windows that are left over are mixed into the last group
        last = np.maximum(-(-pages // GROUP), 1) - 1
        group = np.minimum(place // (GROUP * PAGE), last)
        first = group * GROUP * PAGE
        size = np.where(group == last, total - first, GROUP * PAGE)

        place = permute(place - first, size, _vary(_vary(self._window_keys[source], epoch), group))
        slot = group * GROUP + place // PAGE
        whole = np.maximum(pages, 1)
        page = permute(np.minimum(slot, whole - 1), whole, _vary(self._page_keys[source], epoch))
        return np.where(slot < pages, page, pages) * PAGE + place % PAGE


def n_windows(n_tokens: int, seq_len: int) -> int:
    """Return how many windows of `seq_len` + 1 tokens, overlapping by one, are in a shard of `n_tokens`.

    The tokens after the last one are not used.
    """
    return max(0, (n_tokens - 1) // seq_len)


def apportion(n: int, shares: Sequence[Fraction]) -> list[int]:
    """Divide `n` by `shares`, whose sum is 1, by the method of largest remainders.

    Of equal remainders the first one goes first.
    """
    unit = lcm(*(share.denominator for share in shares))
    parts = [divmod(n * share.numerator * (unit // share.denominator), unit) for share in shares]
    counts = [whole for whole, _ in parts]
    by_remainder = sorted(range(len(parts)), key=lambda s: -parts[s][1])
    for s in by_remainder[: n - sum(counts)]:
        counts[s] += 1
    return counts


def permute(x: Ints, n: Ints | int, key: Keys | int) -> Ints:
    """Apply the permutation of range(`n`) that `key` chooses to each element of `x`: int64 (N,).

    `n` and `key` may differ by element. The permutation is a Feistel network over a rectangle just larger
    than n, which is applied again to what falls outside of n.
    """
    shape = np.broadcast_shapes(np.shape(x), np.shape(n), np.shape(key))
    size = np.broadcast_to(n, shape).astype(np.uint64)
    keys = np.broadcast_to(np.asarray(key, np.uint64), shape)
    width = np.sqrt(size).astype(np.uint64) + np.uint64(1)
    height = (size + width - np.uint64(1)) // width
    y = _feistel(np.broadcast_to(x, shape).astype(np.uint64), width, height, keys)
    while (out := np.flatnonzero(y >= size)).size:
        y[out] = _feistel(y[out], width[out], height[out], keys[out])
    return y.astype(np.int64)


def _feistel(x: Keys, width: Keys, height: Keys, key: Keys) -> Keys:
    """Apply a bijection on range(width * height)."""
    left, right = np.divmod(x, height)
    for _ in range(ROUNDS // 2):
        key = _mix(key)
        left = (left + _mix(right ^ key) % width) % width
        key = _mix(key)
        right = (right + _mix(left ^ key) % height) % height
    return left * height + right


def _mix(x: Keys) -> Keys:
    """Apply splitmix64 (Steele, Lea and Flood 2014). Unsigned arithmetic wraps."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _vary(key: Keys | np.uint64, by: Ints) -> Keys:
    """Return another key for each value of `by`."""
    return _mix(key ^ _mix(by.astype(np.uint64)))


def _key(*what: Any) -> np.uint64:
    """Return the key of a permutation, made from what it is for."""
    digest = hashlib.sha256(json.dumps([REVISION, *what]).encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little"))
