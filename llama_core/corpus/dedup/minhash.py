"""MinHash signatures of many texts at once (Broder 1997), in numpy.

A pair of Jaccard similarity J agrees in each of a signature's values with probability J, and shares a bucket
in one of b bands of r rows with probability 1 - (1 - J^r)^b. What is kept of a signature are the keys of its
bands, which put documents into buckets, and a sketch of 4 bits a value, by which the pairs of a bucket are
verified.

A word is a run of letters, digits and underscores, lower-cased, in UTF-16 code units (surrogates count as
letters). In scripts that put no spaces between words each character is one, vowel signs and tones included:
Chinese, Japanese, Thai, Lao, Burmese, Khmer and their kin, also those of two code units. The hash of a word
is a polynomial over its units, taken from the running sum over the whole batch.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from llama_core.corpus.recipe import Dedup

U8 = npt.NDArray[np.uint64]
U4 = npt.NDArray[np.uint32]

EMPTY = np.uint32(0xFFFFFFFF)  # every value of the signature of a text without words
SKETCH_BITS = 4  # of each value: two that differ agree in one of 16 cases, which `similarity` corrects for

_CHARS_AT_ONCE = 1 << 18  # characters of the texts that are signed together: their arrays fit a core's cache
_STRETCH = 2 * _CHARS_AT_ONCE + 2  # code units that are hashed together: all texts of a batch, as a rule
_SHINGLES_AT_ONCE = 8192
_BASE = 0x9E3779B97F4A7C15  # odd: it has an inverse modulo 2^64
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # an odd constant of splitmix64
# Thai and Lao, Burmese, Khmer, Tai Le to New Tai Lue, Tai Tham, Balinese, kana to bopomofo, Han, Yi,
# Javanese and more Burmese, Tai Viet, and the compatible and the half-width forms.
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF),
    (0x1B00, 0x1B7F), (0x2E80, 0x312F), (0x31A0, 0x31FF), (0x3400, 0xA4CF), (0xA980, 0xA9FF),
    (0xAA60, 0xAADF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F),
)  # fmt: skip
# The first surrogates of such scripts: Tangut and Khitan, older kana and Nushu, and rare Han.
_UNSPACED_PAIRS = ((0xD81C, 0xD823), (0xD82C, 0xD82C), (0xD840, 0xD8BF))
_SINGLE, _FIRST = 1, 2
_NIBBLES = np.uint64(0x1111111111111111)


class MinHash:
    """Computes the signatures of texts.

    A signature depends on its text and the settings only, not on the other texts. Those of equal settings can
    be compared.
    """

    def __init__(self, cfg: Dedup):
        self._bands, self._rows = cfg.bands, cfg.rows
        self.size = cfg.bands * cfg.rows
        self._multiply = _constants("multiply", cfg.seed, self.size).astype(np.uint32) | np.uint32(1)
        self._add = _constants("add", cfg.seed, self.size).astype(np.uint32)
        self._places = _constants("place", cfg.seed, cfg.shingle_words) | np.uint64(1)
        self._band = _constants("band", cfg.seed, cfg.bands)
        self._values = np.empty((self.size, _SHINGLES_AT_ONCE), np.uint32)

    def sign(self, texts: Sequence[str]) -> U4:
        """Return the least value of each hash function over a text's shingles.

        uint32 (len(texts), bands * rows).
        """
        signatures = np.full((len(texts), self.size), EMPTY)
        for first, last in _batches(texts):
            hashes, counts = self._shingles(texts[first:last])
            self._least((hashes >> np.uint64(32)).astype(np.uint32), counts, signatures[first:last])
        return signatures

    def shingles(self, text: str) -> U8:
        """Hash each sequence of `shingle_words` words of a text: uint64 (shingles,).

        A text of fewer words has one shingle of all of them, a text without words has none.
        """
        return self._shingles([text])[0]

    def keys(self, signatures: U4) -> U8:
        """Return the key of each band's bucket: uint64 (documents, bands).

        A collision of keys only adds pairs to verify.
        """
        values = signatures.reshape(len(signatures), self._bands, self._rows)
        keys = np.tile(self._band, (len(signatures), 1))
        for row in range(self._rows):
            keys = (keys ^ values[:, :, row]) * _MIX
            keys ^= keys >> np.uint64(31)
        return keys

    def _shingles(self, texts: Sequence[str]) -> tuple[U8, npt.NDArray[np.int64]]:
        """Return the shingles of texts, one text after another, and how many each text has."""
        words, bounds = _word_hashes(texts)
        width = len(self._places)
        padded = np.concatenate([words, np.zeros(width, np.uint64)])
        mixed = np.zeros(len(words), np.uint64)
        for place, factor in enumerate(self._places):
            mixed += padded[place : place + len(words)] * factor
        whole = np.ones(len(words), bool)
        for place in range(1, width):
            ends = bounds[1:] - place
            whole[ends[ends >= bounds[:-1]]] = False
        sizes = np.diff(bounds)
        for text in np.flatnonzero((sizes > 0) & (sizes < width)):
            start, size = bounds[text], sizes[text]
            mixed[start] = (words[start : start + size] * self._places[:size]).sum()
            whole[start] = True
        mixed ^= mixed >> np.uint64(29)
        mixed *= _MIX
        mixed ^= mixed >> np.uint64(32)
        return mixed[whole], np.where(sizes >= width, sizes - width + 1, sizes > 0)

    def _least(self, shingles: U4, counts: npt.NDArray[np.int64], out: U4) -> None:
        """Lower each row of `out` to the least values of its text's shingles.

        `counts`: how many of the shingles each text has.
        """
        filled = np.flatnonzero(counts)
        starts = (np.cumsum(counts) - counts)[filled]
        for at in range(0, len(shingles), _SHINGLES_AT_ONCE):
            some = shingles[at : at + _SHINGLES_AT_ONCE]
            values = self._values[:, : len(some)]
            np.multiply(self._multiply[:, None], some, out=values)
            values += self._add[:, None]
            first = np.searchsorted(starts, at, side="right") - 1  # the text that shingle `at` is of
            last = np.searchsorted(starts, at + len(some))
            begins = np.maximum(starts[first:last] - at, 0)
            rows = filled[first:last]
            out[rows] = np.minimum(out[rows], np.minimum.reduceat(values, begins, axis=1).T)


def sketches(signatures: U4) -> U8:
    """Keep 4 bits of each value of the signatures: uint64 (documents, ceil(values / 16))."""
    documents, size = signatures.shape
    nibbles = np.zeros((documents, -(-size // 16) * 16), np.uint64)
    nibbles[:, :size] = (signatures * np.uint32(_BASE & 0xFFFFFFFF)) >> np.uint32(32 - SKETCH_BITS)
    shifts = np.arange(16, dtype=np.uint64) * np.uint64(SKETCH_BITS)
    return np.bitwise_or.reduce(nibbles.reshape(documents, -1, 16) << shifts, axis=2)


def similarity(left: U8, right: U8, size: int) -> npt.NDArray[np.float64]:
    """Estimate the Jaccard similarity of pairs from their sketches: float64 (pairs,).

    `left`, `right`: a row of `sketches` for each pair. `size`: the values of a signature.
    """
    differ = left ^ right
    differ |= differ >> np.uint64(2)
    differ |= differ >> np.uint64(1)
    unequal = np.bitwise_count(differ & _NIBBLES).sum(axis=1, dtype=np.int64)
    return np.maximum(0.0, 1 - unequal / size * 16 / 15)


def _batches(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the bounds [first, last) of texts that are worked on together; a very long text is by itself."""
    first, units = 0, 0
    for index, text in enumerate(texts):
        size = len(text) + 1
        if units and units + size > _CHARS_AT_ONCE:
            yield first, index
            first, units = index, 0
        units += size
    if first < len(texts):
        yield first, len(texts)


def _word_hashes(texts: Sequence[str]) -> tuple[U8, npt.NDArray[np.int64]]:
    """Return a hash of each word, and bounds: the words of text i are [bounds[i], bounds[i + 1])."""
    ascii_only = all(map(str.isascii, texts))
    encoded = [t.encode("ascii" if ascii_only else "utf-16-le", "surrogatepass") for t in texts]
    unit: np.dtype[Any] = np.dtype("u1" if ascii_only else "<u2")
    gap = bytes(unit.itemsize)
    units = b"".join((gap, gap.join(encoded), gap))
    joined = np.frombuffer(units.translate(_ascii_table()) if ascii_only else units, unit)
    ends = np.cumsum([len(e) // unit.itemsize + 1 for e in encoded])  # the gap after each text
    hashes, starts = [], []
    at = 0
    while at < len(joined):  # once, unless the batch is one very long text
        piece = joined[at : at + _STRETCH]
        alone = None
        if not ascii_only:
            piece = _table().take(piece)
            alone = _unspaced().take(piece)
        if at + len(piece) < len(joined) and (gaps := np.flatnonzero(piece[1:] == 0)).size:
            piece = piece[: gaps[-1] + 1]  # cut between words, unless one word fills the piece
        found, where = _hash_stretch(piece, alone)
        hashes.append(found)
        starts.append(where + at)
        at += len(piece)
    return np.concatenate(hashes), np.searchsorted(np.concatenate(starts), [0, *ends])


def _hash_stretch(
    units: npt.NDArray[Any], alone: npt.NDArray[np.uint8] | None
) -> tuple[U8, npt.NDArray[np.int64]]:
    """Return the hashes and the starts of the words among code units; 0 stands for those of no word.

    `alone`: which of the units, or of more, are a word by themselves (see `_unspaced`); None: none of them.
    """
    powers, inverses = _powers()
    inside = np.zeros(len(units) + 2, bool)
    inside[1:-1] = units != 0
    if alone is None or not (alone := alone[: len(units)]).max():
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        starts, ends = edges[::2], edges[1::2]
    else:
        cuts = inside[1:] != inside[:-1]
        cuts[:-1] |= alone != 0
        cuts[1:] |= alone == _SINGLE
        cuts[2:] |= alone[:-1] == _FIRST
        starts = np.flatnonzero(cuts[:-1] & inside[1:-1])
        ends = np.flatnonzero(cuts[1:] & inside[1:-1]) + 1
    sums = np.zeros(len(units) + 1, np.uint64)
    np.multiply(units, powers[: len(units)], out=sums[1:], dtype=np.uint64)
    np.cumsum(sums, out=sums)
    hashes = (sums[ends] - sums[starts]) * inverses[starts]
    hashes ^= hashes >> np.uint64(32)
    hashes *= _MIX
    hashes ^= hashes >> np.uint64(29)
    return hashes, starts


@cache
def _powers() -> tuple[U8, U8]:
    """Return the powers of the base and those of its inverse, modulo 2^64."""
    both = []
    for base in (_BASE, pow(_BASE, -1, 1 << 64)):
        powers = np.full(_STRETCH + 1, base, np.uint64)
        powers[0] = 1
        both.append(np.multiply.accumulate(powers))
    return both[0], both[1]


@cache
def _table() -> npt.NDArray[np.uint16]:
    """Map each UTF-16 code unit to its lower case, or to 0 if it belongs to no word: uint16 (65536,)."""
    units = "".join(chr(u) if not 0xD800 <= u < 0xE000 else "a" for u in range(0x10000))
    lower = re.sub(r"\W", "\0", units).replace("\u0130", "i").lower()  # U+0130 alone becomes two characters
    table = np.frombuffer(lower.encode("utf-16-le"), "<u2").copy()
    table[0xD800:0xE000] = np.arange(0xD800, 0xE000)
    single = np.flatnonzero(_unspaced() == _SINGLE)
    table[single] = single  # the marks among them are no letters for `\\W`
    return table


@cache
def _unspaced() -> npt.NDArray[np.uint8]:
    """Tell which UTF-16 code units belong to a script without spaces: uint8 (65536,).

    _SINGLE: a letter or a mark. _FIRST: the first of the two units of a character. 0: another one.
    """
    table = np.zeros(0x10000, np.uint8)
    for first, last in _UNSPACED:
        for unit in range(first, last + 1):
            table[unit] = _SINGLE if unicodedata.category(chr(unit))[0] in "LM" else 0
    for first, last in _UNSPACED_PAIRS:
        table[first : last + 1] = _FIRST
    return table


@cache
def _ascii_table() -> bytes:
    return bytes(_table()[:256].astype("u1"))


def _constants(what: str, seed: int, count: int) -> U8:
    """Draw constants by hash, because numpy does not promise the same random numbers in its next version."""
    values = [xxhash.xxh64_intdigest(f"{seed}.{what}.{i}".encode()) for i in range(count)]
    return np.array(values, dtype=np.uint64)
