"""What a Parquet file would take to decode, read from its headers and not from what its footer claims.

A footer may lie about sizes, but the header before each page says how large the page is when it is unpacked,
and what unpacks it believes that header.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, BinaryIO

from llama_core.corpus.formats.thrift import Compact, CutError

MAX_FOOTER = 8 << 20  # bytes, which take some fifty times that in memory; a column of a row group has 150
MAX_DEPTH = 100  # of nested groups: what reads a schema recurses, and ends the process at some ten thousand
MAX_ELEMENTS = 50_000  # groups and columns of a schema
MAX_PAGES = 1_000_000  # of one column in one row group
LEVEL_BYTES = 12  # what a value of a list takes in memory beside itself

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_TAIL = struct.Struct("<I4s")
_HEADER = 4096  # bytes in which most headers of pages are
_MAX_HEADER = 16 << 20
_BEYOND = 128  # bytes that a reader allows a column to go on, since an old writer forgot to count some
_DICTIONARY_PAGE = 2
_ENCRYPTION, _CRYPTO = 8, 8  # fields of the footer and of a column that say that something is encrypted
_REPEATED = 2
_BYTE_ARRAY, _FIXED = 6, 7  # types of columns
_DELTA_BYTE_ARRAY = 7  # an encoding in which a value may repeat what stands before it


class UnreadableError(ValueError):
    """A file that is not read at all. Its `name` is what quarantine counts it under."""

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column of the schema, which may lie in groups."""

    path: str
    """The names of its groups and its own, joined by dots."""
    is_text: bool
    """Its values have lengths of their own."""
    width: int
    """Bytes of each of its values, where they are fixed and stated."""
    lists: int
    """In how many lists, one in the other, a value lies. In a list a row has any number of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pages of a column lie, from the first byte to that after the last; how they are packed."""

    start: int
    end: int
    codec: int


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group as the footer has it."""

    rows: int
    places: list[Place]
    """One for each column."""


@dataclass(frozen=True, slots=True)
class Footer:
    """What the end of a file says of it. Arrow is not asked: some of what it finds there ends the process."""

    leaves: list[Leaf]
    groups: list[RowGroup]
    start: int
    """Where it begins in the file."""
    data: bytes
    """Its bytes, in which names that are no UTF-8 have a question mark for each byte that is not ASCII."""


def read_footer(file: BinaryIO) -> Footer:
    """Return the footer of a file. Raises UnreadableError."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL.size))
    tail = file.read(_TAIL.size)
    if len(tail) < _TAIL.size:
        raise UnreadableError("damaged_parquet")
    length, magic = _TAIL.unpack(tail)
    if magic == _ENCRYPTED:
        raise UnreadableError("encrypted_parquet")
    if magic != _MAGIC or length > size - _TAIL.size:
        raise UnreadableError("damaged_parquet")
    if length > MAX_FOOTER:
        raise UnreadableError("too_long")
    start = file.seek(size - _TAIL.size - length)
    data = file.read(length)
    try:
        fields = Compact(data).struct()
        if _ENCRYPTION in fields:
            raise UnreadableError("encrypted_parquet")
        for element in fields[2]:
            if (name := _plain(element[4])) != element[4]:
                data = data.replace(element[4], name)
                element[4] = name
        leaves = _leaves(fields[2])
        return Footer(leaves, [_row_group(group, len(leaves)) for group in fields[4]], start, data)
    except UnreadableError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UnreadableError("damaged_parquet") from None


def _plain(name: bytes) -> bytes:
    """Return a name, as long as it was, that is UTF-8."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return bytes(byte if byte < 128 else ord("?") for byte in name)
    return name


class Patched(io.RawIOBase):
    """A file of which a part is read as other bytes."""

    def __init__(self, file: BinaryIO, start: int, data: bytes):
        self._file, self._start, self._data = file, start, data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """Return bytes of the file, or of the other bytes where these lie."""
        at = self._file.tell()
        found = self._file.read(size)
        first, last = max(at, self._start), min(at + len(found), self._start + len(self._data))
        if first >= last:
            return found
        return found[: first - at] + self._data[first - self._start : last - self._start] + found[last - at :]


def _leaves(elements: list[dict[int, Any]]) -> list[Leaf]:
    """Return the columns of a schema, whose elements are the nodes of a tree, each before those below it."""
    if len(elements) > MAX_ELEMENTS:
        raise UnreadableError("too_many_columns")
    leaves: list[Leaf] = []
    open_groups: list[list[Any]] = []  # nodes still to come below it, its path, its lists
    for element in elements:
        while open_groups and open_groups[-1][0] == 0:
            open_groups.pop()
        if len(open_groups) > MAX_DEPTH:
            raise UnreadableError("too_deep")
        name = element[4].decode()
        lists = int(element.get(3) == _REPEATED)
        path = name
        if open_groups:
            open_groups[-1][0] -= 1
            lists += open_groups[-1][2]
            path = f"{open_groups[-1][1]}.{name}" if len(open_groups) > 1 else name
        if (children := element.get(5, 0)) or not open_groups:
            open_groups.append([children, path, lists])
        else:
            width = element.get(2, 0) if element[1] == _FIXED else 0
            leaves.append(Leaf(path, element[1] == _BYTE_ARRAY, width, lists))
    return leaves


def _row_group(fields: dict[int, Any], leaves: int) -> RowGroup:
    places = []
    for column in fields[1]:
        if _CRYPTO in column or _CRYPTO + 1 in column:
            raise UnreadableError("encrypted_parquet")
        meta = column[3]
        start = min(meta[9], meta.get(11) or meta[9])
        places.append(Place(max(0, start), start + meta[7], meta[4]))
    if len(places) != leaves:
        raise UnreadableError("damaged_parquet")
    return RowGroup(max(0, fields[3]), places)


@dataclass
class Chunk:
    """The pages of one column in one row group, as their headers have them."""

    dictionary: int = 0
    """Bytes of its dictionary, unpacked: no value that stands there is larger."""
    entries: int = 0
    """How many values the dictionary has."""
    values: list[int] = field(default_factory=list)
    """How many values each page of data has ..."""
    sizes: list[int] = field(default_factory=list)
    """... and its bytes, unpacked."""
    repeats: bool = False
    """A value may repeat the one before it, as a dictionary's may, in a few bytes."""

    @property
    def largest(self) -> int:
        """The bytes that its largest page and its dictionary take unpacked."""
        return self.dictionary + max(self.sizes, default=0)

    def must_hold(self, limit: int, allowed: int) -> bool:
        """Tell whether a page of more than `allowed` bytes must hold a value of more than `limit` bytes."""
        pages = [(self.entries, self.dictionary), *zip(self.values, self.sizes, strict=True)]
        return any(size > allowed and size > values * limit for values, size in pages)

    def held_in(self, rows: int) -> int:
        """Return the most bytes of pages that `rows` values in a row may lie in."""
        most, first = 0, 0
        ends = [0, *accumulate(self.values)]
        totals = [0, *accumulate(self.sizes)]
        for last in range(len(self.sizes)):
            # The values of the pages between the first and the last one are fewer than the rows.
            while ends[last] - ends[first + 1] >= rows and first < last:
                first += 1
            most = max(most, totals[last + 1] - totals[first])
        return most


def read_chunk(file: BinaryIO, place: Place) -> Chunk:
    """Return what the headers of a column's pages say, as far as they can be read: nothing decodes more.

    Raises UnreadableError where there are too many of them.
    """
    chunk = Chunk()
    for header, _ in each_page(file, place):
        try:
            if header[1] == _DICTIONARY_PAGE:
                chunk.dictionary += header[2]
                chunk.entries += max(0, header[7][1])
            elif data := header.get(5) or header.get(8):
                chunk.values.append(max(0, data[1]))
                chunk.sizes.append(header[2])
                chunk.repeats |= data[2 if 5 in header else 4] == _DELTA_BYTE_ARRAY
        except (KeyError, TypeError, AttributeError):
            break
        if len(chunk.sizes) > MAX_PAGES:
            raise UnreadableError("too_many_pages")
    return chunk


def each_page(file: BinaryIO, place: Place) -> Iterator[tuple[dict[int, Any], int]]:
    """Yield the header of each page of a column, and where the page itself begins."""
    at = place.start
    while at < place.end:
        found = _header(file, at, place.end)
        if found is None:
            return
        header, length = found
        size, packed = header.get(2), header.get(3)
        if not isinstance(size, int) or not isinstance(packed, int) or size < 0 or packed < 0:
            return
        yield header, at + length
        at += length + packed


def _header(file: BinaryIO, at: int, end: int) -> tuple[dict[int, Any], int] | None:
    """Return the header of a page and its length in bytes, or None where there is none."""
    size = _HEADER
    while True:
        file.seek(at)
        data = file.read(min(size, end - at + _BEYOND))
        reader = Compact(data)
        try:
            return reader.struct(), reader.at
        except CutError:
            if len(data) < size or size >= _MAX_HEADER:
                return None
            size *= 16
        except ValueError:
            return None
