"""Runs of n words as 64-bit hashes, in numpy: how texts are compared with the evaluation sets.

A word is a run of letters and digits, in lower case: neither punctuation nor white space counts. The hash of
a run is a polynomial over its words, and that of a word a polynomial over its characters, so that all runs of
a text cost a few passes over it. Equal hashes are candidates only: whoever needs certainty compares words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

BLOCK_CHARS = 1 << 16  # characters that are hashed at a time: as many as the processor's cache holds
BREAK = "\0"  # a word of its own, which is put between texts that are hashed together

_WORD = re.compile(r"[^\W_]+")
_CHAR_BASE, _WORD_BASE = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class WordRuns:
    """The runs of n words of a text, or of a part of it: run i holds the words i to i + n - 1."""

    hashes: Hashes
    """The hash of each run: (runs,)."""
    words: Hashes
    """The hash of each word: (words,)."""
    starts: NDArray[np.int64]
    """The first character of each word in the whole text: (words,)."""
    ends: NDArray[np.int64]
    """The character after each word: (words,)."""


def words_of(text: str) -> list[str]:
    """Return the words of a text."""
    return _WORD.findall(text.lower())


def plain(text: str) -> str:
    """Return a text as `runs` takes it: in lower case and without a BREAK."""
    return text.replace(BREAK, " ").lower()


def joined(texts: list[str]) -> tuple[str, NDArray[np.int64]]:
    """Return plain texts as one, and where each begins in it: int64 (texts,).

    A BREAK is put between two texts, so that no run of words goes unnoticed from one into the next.
    """
    joint = f" {BREAK} "
    begins = np.cumsum([0, *(len(text) + len(joint) for text in texts)])
    return joint.join(texts), begins[:-1]


def runs(text: str, n: int) -> Iterator[WordRuns]:
    """Yield the runs of n words of a plain text, BLOCK_CHARS characters at a time. Each comes once."""
    at = 0
    while at < len(text):
        piece = text[at : at + BLOCK_CHARS]
        words, starts, ends = _words(piece)
        complete = len(words)
        is_last = at + BLOCK_CHARS >= len(text)
        if not is_last and complete and ends[-1] == len(piece):
            complete -= 1  # it may go on in the next piece
        first_left = complete - n + 1  # the first run that does not end in this piece
        if first_left > 0:
            chosen = slice(0, complete)
            yield WordRuns(_hashes(words[chosen], n), words[chosen], starts[chosen] + at, ends[chosen] + at)
        if is_last:
            return
        # A run that is longer than a piece is in no evaluation set.
        at += int(starts[first_left]) if 0 < first_left < len(starts) else BLOCK_CHARS


def _words(piece: str) -> tuple[Hashes, NDArray[np.int64], NDArray[np.int64]]:
    """Return the hash, the first character and the end of each word."""
    codes = _codes(piece)
    is_word = np.zeros(len(codes) + 2, np.bool_)
    np.not_equal(codes, 0, out=is_word[1:-1])
    edges = np.flatnonzero(is_word[1:] != is_word[:-1])
    starts, ends = edges[::2], edges[1::2]
    powers, inverse = _powers(_CHAR_BASE, BLOCK_CHARS)
    return _mixed(_between(codes * powers[: len(codes)], starts, ends, inverse)), starts, ends


def _hashes(words: Hashes, n: int) -> Hashes:
    """Return the hash of each run of n words."""
    powers, inverse = _powers(_WORD_BASE, BLOCK_CHARS)
    first = np.arange(len(words) - n + 1)
    return _mixed(_between(words * powers[: len(words)], first, first + n, inverse))


def _between(terms: Hashes, starts: NDArray[np.int64], ends: NDArray[np.int64], inverse: Hashes) -> Hashes:
    """Return the sum of the terms [start, end) of each polynomial, as if it began at the power 0."""
    sums = np.empty(len(terms) + 1, np.uint64)
    sums[0] = 0
    np.cumsum(terms, out=sums[1:])
    return (sums[ends] - sums[starts]) * inverse[starts]


def _mixed(hashes: Hashes) -> Hashes:
    """Return hashes every bit of which depends on every bit of those given (Steele et al. 2014)."""
    mixed = (hashes ^ (hashes >> np.uint64(30))) * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    return mixed ^ (mixed >> np.uint64(31))


def _codes(piece: str) -> Hashes:
    """Return the code of each character, 0 where it is in no word."""
    if piece.isascii():
        return _ascii_table()[np.frombuffer(piece.encode(), np.uint8)]
    codes = np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), np.uint32)
    return _table()[codes]


@cache
def break_hash() -> np.uint64:
    """Return the hash of BREAK as a word."""
    return _words(BREAK)[0][0]


@cache
def _table() -> Hashes:
    """Return the code of every character there is, 0 for one that is in no word: uint64 (0x110000,)."""
    codes = [code if chr(code).isalnum() else 0 for code in range(0x110000)]
    codes[ord(BREAK)] = 1  # a code that no letter or digit has
    return np.array(codes, np.uint64)


@cache
def _ascii_table() -> Hashes:
    return _table()[:128].copy()


@cache
def _powers(base: int, n: int) -> tuple[Hashes, Hashes]:
    """Return the powers 0 to n of an odd number and those of its inverse, modulo 2**64."""
    both = []
    for factor in (base, pow(base, -1, 1 << 64)):
        factors = np.full(n + 1, factor, np.uint64)
        factors[0] = 1
        both.append(np.cumprod(factors))
    return both[0], both[1]
