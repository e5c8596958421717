"""Hashes of the words of a text, computed for all of them at once in numpy, without making strings."""

from typing import Any

import numpy as np
import numpy.typing as npt

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

Keys = npt.NDArray[np.uint64]

_held: list[Keys] = []


def word_keys(codes: npt.NDArray[Any], starts: npt.NDArray[Any], stops: npt.NDArray[Any]) -> Keys:
    """Hash each word, a span [start, stop) of codes: a polynomial in these modulo 2**64. uint64 (words,).

    `codes`: of characters or bytes, unsigned (n,).
    """
    forth, back = _powers(len(codes) + 1)
    terms = codes.astype(np.uint64)
    terms += np.uint64(1)
    terms *= forth[: len(terms)]
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(terms, out=sums[1:])
    found: Keys = (sums.take(stops) - sums.take(starts)) * back.take(starts)
    return (found ^ (found >> np.uint64(32))) * MULTIPLIER


def _powers(n: int) -> tuple[Keys, Keys]:
    """Return the first powers, at least `n` of them, of an odd number and of its inverse modulo 2**64."""
    if not _held or len(_held[0]) < n:
        size = max(n, 1 << 16)
        bases = int(MULTIPLIER), pow(int(MULTIPLIER), -1, 1 << 64)
        powers = (np.append(np.uint64(1), np.full(size, base, np.uint64)) for base in bases)
        _held[:] = [np.cumprod(x, dtype=np.uint64) for x in powers]
    return _held[0], _held[1]
