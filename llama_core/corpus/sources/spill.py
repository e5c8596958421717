"""More rows than fit in memory, in order: sorted runs in a private folder, then one merge over them."""

import heapq
import io
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

RUN_BYTES = 128 << 20  # of rows in memory before they are written as a run

Row = tuple[tuple[int, ...], bytes]  # key of `width` 64-bit numbers, data

_ROW_BYTES = 200  # what a row costs in memory beside its data


class Spill:
    """Rows in the order of their keys. Use as a context manager: the folder goes with it.

    `width`: numbers in a key. Rows of equal keys come in the order that they were put in.
    """

    def __init__(self, width: int, run_bytes: int = RUN_BYTES):
        self._head = struct.Struct(f">{width}qI")
        self._width, self._run_bytes = width, run_bytes
        self._rows: list[Row] = []
        self._bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._runs: list[Path] = []

    def __enter__(self) -> "Spill":
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def put(self, key: tuple[int, ...], data: bytes) -> None:
        self._rows.append((key, data))
        self._bytes += len(data) + _ROW_BYTES
        if self._bytes >= self._run_bytes:
            self._write()

    def __iter__(self) -> Iterator[Row]:
        """All rows. To be called once."""
        self._rows.sort(key=lambda row: row[0])
        files = [path.open("rb") for path in self._runs]
        try:
            runs = [self._read(file) for file in files]
            yield from heapq.merge(*runs, iter(self._rows), key=lambda row: row[0])
        finally:
            for file in files:
                file.close()

    def _write(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="llama-spill-")
        path = Path(self._folder.name) / f"{len(self._runs)}.zst"
        self._rows.sort(key=lambda row: row[0])
        with path.open("wb") as file, zstandard.ZstdCompressor(level=1).stream_writer(file) as out:
            for key, data in self._rows:
                out.write(self._head.pack(*key, len(data)) + data)
        self._runs.append(path)
        self._rows, self._bytes = [], 0

    def _read(self, file: BinaryIO) -> Iterator[Row]:
        stream = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file), 1 << 17)  # type: ignore[type-var]
        while head := stream.read(self._head.size):
            *key, size = self._head.unpack(head)
            yield tuple(key), stream.read(size)
