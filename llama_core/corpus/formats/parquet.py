"""Parquet from outside, row by row. What cannot be read is named, and the next row or row group is read.

Memory is bounded before anything is decoded: a row group takes some hundred times the limit of a text,
whatever the file claims. Values that a dictionary repeats are not unpacked before their sizes are known.
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llama_core.corpus.formats.parquet_levels import longest_row
from llama_core.corpus.formats.parquet_pages import (
    LEVEL_BYTES,
    Chunk,
    Leaf,
    Patched,
    Place,
    UnreadableError,
    read_chunk,
    read_footer,
)

__all__ = ["ParquetRows", "UnreadableError"]

ROWS, FEW = 256, 16  # rows that are decoded together, at most, and as few as are worth it
BATCH = 16  # rows of the largest size that are decoded together, at most
PAGES = 64  # and in the open pages of a row group: pyarrow puts 1,024 values in one, whatever their size
LISTS = 16  # and in the list of a row: Arrow holds half as much again, and a row as long is refused anyway
FIELDS = 1_000_000  # values of so many rows at a time, at most
DAMAGED = "damaged_parquet"
_BUFFER = 1 << 20

Row = dict[str, Any] | str  # the fields of a row, or the name of the error

# What Arrow raises for a file that is damaged. A fault of the store is none of these.
_FAULTS = (pa.ArrowException, OSError, ValueError, OverflowError, KeyError)


class ParquetRows:
    """The rows of a Parquet file that can be sought in. Raises UnreadableError where it has none to read."""

    def __init__(self, file: BinaryIO, limit: int):
        """`limit`: the largest number of bytes of a row's text; a row as a whole may have four times that."""
        self._file, self._limit, self._budget = file, limit, BATCH * limit
        self._footer = read_footer(file)
        self._patched = Patched(
            file, self._footer.start, self._footer.data
        )  # Arrow takes no name but in UTF-8
        try:
            self._parquet = self._open()
            self.names: list[str] = self._parquet.schema_arrow.names
        except _FAULTS as error:
            raise UnreadableError(DAMAGED) from error

    def rows(self, texts: Sequence[str] = ()) -> Iterator[tuple[int, Row]]:
        """Yield the rows after their numbers in the file. The `texts` are columns with the limit of a text.

        A row group that cannot be read on counts as one row.
        """
        start = 0
        for group, stated in enumerate(self._footer.groups):
            number = start
            start += stated.rows
            try:
                for batch in self._batches(group):
                    for row in self._rows(batch, texts):
                        yield number, row
                        number += 1
            except UnreadableError as error:
                yield number, error.name
            except _FAULTS:
                yield number, DAMAGED

    def _open(self, **options: Any) -> pq.ParquetFile:
        # Streamed: otherwise the columns of a row group are held whole before any of it is decoded.
        return pq.ParquetFile(self._patched, pre_buffer=False, buffer_size=_BUFFER, **options)

    def _batches(self, group: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a row group in batches that fit the memory. Raises UnreadableError."""
        stated = self._footer.groups[group]
        columns = [
            _Column(leaf, read_chunk(self._file, place), stated.rows)
            for leaf, place in zip(self._footer.leaves, stated.places, strict=True)
        ]
        pages = [column.chunk.largest for column in columns]
        is_bomb = any(column.chunk.must_hold(self._limit, self._budget) for column in columns)
        if is_bomb or sum(pages) > PAGES * self._limit:
            raise UnreadableError("too_large_page")
        for column, place in zip(columns, stated.places, strict=True):
            if column.weight > self._budget:
                column.measure_lists(self._file, place)
        if any(c.weight and c.taken(1, True) > LISTS * self._limit for c in columns):
            raise UnreadableError("too_large_list")
        rows = min(ROWS, max(1, FIELDS // max(1, len(columns))))
        kept = {c.leaf.path for c in columns if c.leaf.is_text and c.from_dictionary(FEW) > self._budget}
        while rows > 1 and sum(c.taken(rows, c.leaf.path in kept) for c in columns) > self._budget:
            rows //= 2
        parquet = self._parquet
        if kept:
            parquet = self._open(read_dictionary=sorted(kept), metadata=parquet.metadata)
        yield from parquet.iter_batches(batch_size=rows, row_groups=[group], use_threads=False)

    def _rows(self, batch: pa.RecordBatch, texts: Sequence[str]) -> Iterator[Row]:
        if sum(map(_most, batch.columns)) <= self._limit:
            yield from _converted(batch)
            return
        for at in range(batch.num_rows):
            row = batch.slice(at, 1)
            sizes = [(name, _size(column)) for name, column in zip(self.names, row.columns, strict=True)]
            is_long = any(size > self._limit for name, size in sizes if name in texts)
            if is_long or sum(size for _, size in sizes) > 4 * self._limit:
                yield "too_long"
            else:
                yield from _converted(row)


class _Column:
    """The memory that decoding a column of a row group takes, in bytes."""

    def __init__(self, leaf: Leaf, chunk: Chunk, rows: int):
        self.leaf, self.chunk = leaf, chunk
        self._values = sum(chunk.values)
        self._longest = max(1, self._values // max(1, rows))
        # Of a value beside its page. What repeats the value before it is decoded to a copy.
        self._each = 2 * chunk.largest if chunk.repeats else leaf.width
        if leaf.lists:
            self._each += LEVEL_BYTES

    @property
    def weight(self) -> int:
        """The bytes of all lists together, or 0 for a column without lists."""
        return sum(self.chunk.sizes) + self._values * self._each if self.leaf.lists else 0

    def measure_lists(self, file: BinaryIO, place: Place) -> None:
        """Find the longest list, which is taken for as long as the average without it."""
        self._longest = longest_row(file, place, self.leaf.lists) or self._longest

    def from_dictionary(self, rows: int) -> int:
        """Return the bytes of so many rows, if each value is the largest of the dictionary."""
        return self.chunk.dictionary * (self._values if self.leaf.lists else rows)

    def taken(self, rows: int, keeps_dictionary: bool) -> int:
        """Return the bytes that so many rows take at most."""
        values = min(self._values, rows * self._longest) if self.leaf.lists else rows
        unpacked = 0 if keeps_dictionary or not self.leaf.is_text else self.from_dictionary(rows)
        return self.chunk.held_in(values) + values * self._each + unpacked


def _converted(batch: pa.RecordBatch) -> list[Row]:
    try:
        return batch.to_pylist()
    except MemoryError:
        raise
    except Exception as error:  # a year that Python has not, an unknown time zone, bytes that are no UTF-8
        if batch.num_rows == 1:
            return ["invalid_utf8" if isinstance(error, UnicodeDecodeError) else "invalid_value"]
        return [row for at in range(batch.num_rows) for row in _converted(batch.slice(at, 1))]


def _most(array: pa.Array) -> int:
    """Return no less than the bytes of an array's values."""
    if pa.types.is_nested(array.type) or pa.types.is_dictionary(array.type):
        return _size(array)
    return array.nbytes


def _size(array: pa.Array) -> int:
    """Return the bytes of an array's values, those of a dictionary as often as they stand there."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _size(array.storage)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):  # which share what they lie in
        return pc.sum(pc.binary_length(array.cast(pa.large_binary()))).as_py() or 0
    if pa.types.is_dictionary(kind) and _is_text(kind.value_type):
        lengths = pc.binary_length(array.dictionary).cast(pa.int64())
        return pc.sum(lengths.take(array.indices)).as_py() or 0
    if pa.types.is_map(kind):
        start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        return sum(_size(a.slice(start, end - start)) for a in (array.keys, array.items))
    if any(is_one(kind) for is_one in _LISTS):
        inner = array.flatten()
        return 8 * len(inner) + _size(inner)
    if pa.types.is_struct(kind):
        return sum(map(_size, array.flatten()))
    if _is_text(kind):
        return pc.sum(pc.binary_length(array)).as_py() or 0
    return array.nbytes


_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary)
    return any(is_one(kind) for is_one in tests)
