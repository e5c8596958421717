"""More rows than fit in memory, in order: sorted runs in a private folder, then one merge over them."""

import contextlib
import heapq
import io
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

RUN_BYTES = 128 << 20  # when the rows in memory take so much, they are written as a run
# When a level has so many runs, they become one of the next level: bounds the files that are open at once.
MOST_RUNS = 64

Row = tuple[tuple[int, ...], bytes]  # (key of `width` 64-bit numbers, data)

_ROW_BYTES = 200  # what a row takes in memory beside its data


class Spill:
    """Rows that are put in in any order and come out in the order of their keys.

    `width`: how many numbers a key has. `run_bytes`: how much memory rows may take. Rows of equal keys come
    out in the order in which they were put in. Use it as a context manager, which deletes the folder.
    """

    def __init__(self, width: int, run_bytes: int = RUN_BYTES):
        self._head = struct.Struct(f">{width}qI")
        self._width, self._run_bytes = width, run_bytes
        self._rows: list[Row] = []
        self._bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._levels: list[list[Path]] = [[]]
        self._written = 0

    def __enter__(self) -> "Spill":
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def put(self, key: tuple[int, ...], data: bytes) -> None:
        """Add a row. Its key has `width` signed 64-bit numbers."""
        self._rows.append((key, data))
        self._bytes += len(data) + _ROW_BYTES
        if self._bytes >= self._run_bytes:
            self._write()

    def __iter__(self) -> Iterator[Row]:
        """Yield all rows in order. To be called once, after the last `put`."""
        self._rows.sort(key=lambda row: row[0])
        # Higher levels go first: of rows with equal keys, they hold those that were put in first.
        yield from self._merge([path for level in reversed(self._levels) for path in level], self._rows)

    def _write(self) -> None:
        """Write the rows in memory as a run, and merge the runs of each level that is full."""
        self._rows.sort(key=lambda row: row[0])
        self._levels[0].append(self._write_run(self._rows))
        self._rows, self._bytes = [], 0
        for level, runs in enumerate(self._levels):
            if len(runs) < MOST_RUNS:
                break
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level + 1].append(self._write_run(self._merge(runs)))
            for path in runs:
                path.unlink()
            self._levels[level] = []

    def _write_run(self, rows: Iterable[Row]) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="llama-spill-")
        path = Path(self._folder.name) / f"{self._written}.zst"
        self._written += 1
        with path.open("wb") as file, zstandard.ZstdCompressor(level=1).stream_writer(file) as out:
            for key, data in rows:
                out.write(self._head.pack(*key, len(data)) + data)
        return path

    def _merge(self, paths: list[Path], rows: Iterable[Row] = ()) -> Iterator[Row]:
        with contextlib.ExitStack() as files:
            runs = [self._read(files.enter_context(path.open("rb"))) for path in paths]
            yield from heapq.merge(*runs, rows, key=lambda row: row[0])

    def _read(self, file: BinaryIO) -> Iterator[Row]:
        stream = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file), 1 << 17)  # type: ignore[type-var]
        while head := stream.read(self._head.size):
            *key, size = self._head.unpack(head)
            yield tuple(key), stream.read(size)
