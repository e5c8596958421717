"""Compressed streams and their lines, in bounded memory. A broken stream ends in the error's name."""

import bz2
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import zstandard

CHUNK_BYTES = 1 << 20  # bytes read at a time
# A zstd block of 4 bytes may hold 128 KiB, and its decompressor has no limit of output, so it is fed little.
ZSTD_PIECE = 1 << 10
GZIP = b"\x1f\x8b"


class Readable(Protocol):
    """Anything that bytes can be read from, such as a file."""

    def read(self, size: int, /) -> bytes: ...


def chunks(file: Readable, url: str, trailing: str = "damaged_stream") -> Iterator[bytes | str]:
    """Yield the decompressed bytes in pieces, and an error's name last if the stream is cut or damaged.

    `url`: its ending tells the compression: .gz, .zst, .bz2, in lower case, or none of these. `trailing`: the
    error's name where a gzip stream is whole, and something else stands behind it.
    """
    if url.endswith(".gz"):
        yield from _inflate(
            file, lambda: zlib.decompressobj(wbits=31), zlib.error, CHUNK_BYTES >> 4, trailing
        )
    elif url.endswith(".zst"):
        yield from unzstd(file)
    elif url.endswith(".bz2"):
        yield from _bunzip2(file)
    else:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def unzstd(file: Readable, dictionary: bytes = b"") -> Iterator[bytes | str]:
    """Yield the decompressed bytes of zstd frames as `chunks` does. Frames may need a `dictionary`."""
    known = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    try:
        decompressor = zstandard.ZstdDecompressor(dict_data=known)
    except zstandard.ZstdError:
        yield "damaged_stream"
        return
    yield from _inflate(file, decompressor.decompressobj, zstandard.ZstdError, ZSTD_PIECE)


def _inflate(
    file: Readable,
    start: Callable[[], Any],
    failure: type[Exception],
    piece: int,
    trailing: str = "damaged_stream",
) -> Iterator[bytes | str]:
    """Decompress one member after another, as gzip and zstd files may have several.

    `start` begins a member, whose fault is a `failure`; it is fed `piece` bytes at a time.
    """
    member, error, is_whole = None, "", False
    while block := file.read(CHUNK_BYTES):
        for at in range(0, len(block), piece):
            data = block[at : at + piece]
            while data:
                if member is None:
                    data = data.lstrip(b"\0")  # padding between members
                    if not data:
                        break
                    is_junk = is_whole and not GZIP.startswith(data[:2])
                    member, error = start(), trailing if is_junk else "damaged_stream"
                try:
                    out = member.decompress(data)
                except failure:
                    yield error
                    return
                if out:
                    yield out
                data = b""
                if member.eof:
                    data, member, is_whole = member.unused_data, None, True
    if member is not None:
        yield "truncated_stream" if error == "damaged_stream" else error


def _bunzip2(file: Readable) -> Iterator[bytes | str]:
    """Do for bzip2 what `_inflate` does. A block of 40 bytes may hold 46 MB, which come out in pieces."""
    member: bz2.BZ2Decompressor | None = None
    while block := file.read(CHUNK_BYTES >> 4):
        data = block
        while data or (member is not None and not member.needs_input):
            if member is None:
                data = data.lstrip(b"\0")
                if not data:
                    break
                member = bz2.BZ2Decompressor()
            try:
                out = member.decompress(data, CHUNK_BYTES)
            except OSError:
                yield "damaged_stream"
                return
            if out:
                yield out
            data = b""
            if member.eof:
                data, member = member.unused_data, None
    if member is not None:
        yield "truncated_stream"


def lines(chunks: Iterator[bytes | str], limit: int) -> Iterator[tuple[int, bytes | str]]:
    """Yield (byte offset, line) for each line, without its end.

    In the place of a line of more than `limit` bytes, which is never held, comes the name of that error, and
    in the place of one that an error of the stream cuts, that error's.
    """
    held: list[bytes] = []
    size = start = 0  # how long the current line is so far, and where it begins
    for chunk in chunks:
        if isinstance(chunk, str):
            yield start, chunk  # the line that the error cut is lost
            return
        at = 0
        while (end := chunk.find(b"\n", at)) >= 0:
            size += end - at
            if size <= limit:
                yield start, b"".join((*held, chunk[at:end]))
            else:
                yield start, "too_long"
            held, start, at, size = [], start + size + 1, end + 1, 0
        size += len(chunk) - at
        if size <= limit:
            held.append(chunk[at:])
        else:
            held = []
    if size:
        yield start, b"".join(held) if size <= limit else "too_long"
