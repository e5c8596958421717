"""How long the longest list of a Parquet column is, which no header says."""

import struct
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from llama_core.corpus.formats.parquet_pages import Place, each_page
from llama_core.corpus.formats.thrift import Compact

_CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
_RLE = 3  # the encoding of levels that is in use
_PIECE = 1 << 20  # groups of eight levels that are unpacked together


def longest_row(file: BinaryIO, place: Place, lists: int) -> int | None:
    """Return how many values the row has that has most of them, or None where that cannot be told.

    `lists`: how many lists, one in the other, a value lies in. A page is unpacked for it, one at a time.
    """
    rows = _Rows(lists.bit_length())
    try:
        for header, at in each_page(file, place):
            if data := header.get(8):  # a page of version 2, whose levels are not packed
                file.seek(at)
                rows.read(file.read(data[6]), data[1])
            elif data := header.get(5):
                if data[4] != _RLE:
                    return None
                page = _unpacked(file, place, header, at)
                (length,) = struct.unpack_from("<I", page)
                rows.read(page[4 : 4 + length], data[1])
    except (ValueError, LookupError, TypeError, struct.error, OSError, pa.ArrowException):
        return None
    return max(rows.longest, rows.current)


def _unpacked(file: BinaryIO, place: Place, header: dict[int, Any], at: int) -> bytes:
    file.seek(at)
    page = file.read(header[3])
    if not place.codec:
        return page
    return pa.Codec(_CODECS[place.codec]).decompress(page, header[2], asbytes=True)


class _Rows:
    """Measures rows by the levels of their values: a row begins at level 0."""

    def __init__(self, width: int):
        """`width`: the bits of a level."""
        self._width = width
        self.longest = 0
        self.current = 0
        """How long the row is so far that a page may go on with."""

    def read(self, data: bytes, count: int) -> None:
        """Read the levels of a page: runs of one that repeats, or of some side by side, eight to a group."""
        runs = Compact(data)
        while count > 0 and runs.at < len(data):
            head = runs.varint()
            if head & 1:
                left = head >> 1
                while left and count > 0:
                    groups = min(left, _PIECE)
                    bits = np.frombuffer(runs.take(groups * self._width), np.uint8)
                    levels = np.unpackbits(bits, bitorder="little").reshape(-1, self._width)[:count]
                    self._take(len(levels), np.flatnonzero(~levels.any(axis=1)))
                    count -= len(levels)
                    left -= groups
            else:
                run = min(head >> 1, count)
                is_zero = not any(runs.take((self._width + 7) // 8))
                if is_zero and run:  # rows of one value, but for the last, which may go on
                    self._take(1, np.zeros(1, np.int64))
                    self._take(1, np.zeros(1, np.int64))
                else:
                    self.current += run
                count -= run

    def _take(self, values: int, begins: np.ndarray[Any, Any]) -> None:
        """Take note of values, among which rows begin at these places."""
        if not len(begins):
            self.current += values
            return
        self.longest = max(self.longest, self.current + int(begins[0]), int(np.diff(begins).max(initial=0)))
        self.current = values - int(begins[-1])
