"""MinHash signatures and their LSH buckets: which pairs may be near-duplicates (Broder 1997).

A pair of Jaccard similarity J agrees in each of the signature's values with probability J, and shares
a bucket in one of b bands of r rows with probability 1 - (1 - J^r)^b.
"""

import re

import numpy as np
import numpy.typing as npt
import xxhash

from llama_core.corpus.recipe import Dedup

Signatures = npt.NDArray[np.uint32]  # (documents, bands * rows)
Pairs = npt.NDArray[np.int64]  # (pairs, 2)

EMPTY = np.uint32(0xFFFFFFFF)  # every value of the signature of a text without words

_WORD = re.compile(r"\w+")
_SHINGLES_AT_ONCE = 1024  # with 112 values: 448 KiB, which fits a core's cache
_PAIRS_AT_ONCE = 1 << 16
_WORDS_REMEMBERED = 1 << 20
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # an odd constant of splitmix64


class _WordHashes(dict[str, int]):
    """xxh64 of words, remembered: most words of a text were seen before."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _WORDS_REMEMBERED:
            self.clear()
        value = self[word] = xxhash.xxh64_intdigest(word.encode("utf-8", "surrogatepass"))
        return value


class MinHash:
    """Signs texts. Signatures of equal settings are comparable."""

    def __init__(self, cfg: Dedup):
        self._words = _WordHashes()
        size = cfg.bands * cfg.rows
        self._multiply = _constants("multiply", cfg.seed, size).astype(np.uint32) | np.uint32(1)
        self._add = _constants("add", cfg.seed, size).astype(np.uint32)[:, None]
        self._places = _constants("place", cfg.seed, cfg.shingle_words) | np.uint64(1)

    def sign(self, text: str) -> npt.NDArray[np.uint32]:
        """uint32 (bands * rows,): the least value of each hash function over the text's shingles."""
        shingles = self.shingles(text)
        signature = np.full(len(self._multiply), EMPTY)
        for start in range(0, len(shingles), _SHINGLES_AT_ONCE):
            values = np.multiply.outer(self._multiply, shingles[start : start + _SHINGLES_AT_ONCE])
            values += self._add
            np.minimum(signature, values.min(axis=1), out=signature)
        return signature

    def shingles(self, text: str) -> npt.NDArray[np.uint32]:
        """A hash of each run of `shingle_words` lower-cased words; of all words, where they are fewer."""
        words = _WORD.findall(text.lower())
        hashes = np.fromiter(map(self._words.__getitem__, words), np.uint64, len(words))
        if not words:
            return hashes.astype(np.uint32)
        width = min(len(self._places), len(words))
        count = len(words) - width + 1
        mixed = np.zeros(count, np.uint64)
        for place in range(width):
            mixed += hashes[place : place + count] * self._places[place]
        mixed ^= mixed >> np.uint64(29)
        mixed *= _MIX
        return (mixed >> np.uint64(32)).astype(np.uint32)


def _constants(what: str, seed: int, count: int) -> npt.NDArray[np.uint64]:
    """Drawn by hash: numpy does not promise the same random numbers in its next version."""
    values = [xxhash.xxh64_intdigest(f"{seed}.{what}.{i}".encode()) for i in range(count)]
    return np.array(values, dtype=np.uint64)


def similarity(signatures: Signatures, pairs: Pairs) -> npt.NDArray[np.float64]:
    """Share of equal values of each pair: an unbiased estimate of the Jaccard similarity."""
    agree = np.empty(len(pairs))
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        left, right = pairs[start : start + _PAIRS_AT_ONCE].T
        agree[start : start + _PAIRS_AT_ONCE] = (signatures[left] == signatures[right]).mean(axis=1)
    return agree


def near_pairs(signatures: Signatures, cfg: Dedup) -> Pairs:
    """Pairs that share a bucket and agree in at least `threshold` of their values; (low, high) rows.

    In a bucket every row is compared with the first, and with the row before it: two pairs a row, so
    a bucket that holds half the corpus costs no more than its size.
    """
    filled = np.flatnonzero((signatures != EMPTY).any(axis=1))
    found = [np.empty((0, 2), np.int64)]
    if not len(filled):
        return found[0]
    for band in range(cfg.bands):
        keys = _band_keys(signatures[filled, band * cfg.rows : (band + 1) * cfg.rows])
        order = np.argsort(keys, kind="stable")
        rows, keys = filled[order], keys[order]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
        sizes = np.diff(np.r_[starts, len(rows)])
        firsts = np.repeat(rows[starts], sizes)
        star = np.stack([firsts, rows], axis=1)[firsts != rows]
        chain = np.stack([rows[:-1], rows[1:]], axis=1)[keys[1:] == keys[:-1]]
        pairs = np.unique(np.concatenate([star, chain]), axis=0)
        found.append(pairs[similarity(signatures, pairs) >= cfg.threshold])
    return np.unique(np.concatenate(found), axis=0)


def _band_keys(band: Signatures) -> npt.NDArray[np.uint64]:
    """uint64 (documents,): the hash of a band's values. A collision only adds a pair to verify."""
    keys = np.zeros(len(band), np.uint64)
    for column in band.T:
        keys = (keys ^ column) * _MIX
        keys ^= keys >> np.uint64(31)
    return keys


def components(n: int, pairs: Pairs) -> npt.NDArray[np.int64]:
    """int64 (n,): the smallest row of each row's connected component."""
    parent = np.arange(n)
    while True:
        roots = parent[pairs]
        low, high = roots.min(axis=1), roots.max(axis=1)
        apart = low != high
        if not apart.any():
            return parent
        np.minimum.at(parent, high[apart], low[apart])
        while not np.array_equal(parent, parent[parent]):
            parent = parent[parent]
