"""The bytes of a WARC file, plain, zstd, or gzip of any members: after damage, from the next member on."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import zstandard
from zlib_ng import zlib_ng as zlib  # 1.3 times as fast as zlib

from llama_core.corpus.formats.streams import CHUNK_BYTES, unzstd

MARK = b"WARC/"  # a record begins with it
GZIP = b"\x1f\x8b\x08"
_DICTIONARY = b"\x5d\x2a\x4d\x18"  # a frame that holds the dictionary of those after it
ZSTD = (zstandard.FRAME_HEADER, _DICTIONARY)
_MAX_DICTIONARY = 16 << 20
_SMALLEST = 64  # no record is smaller when it is compressed

_DAMAGED: Any = zlib.error
_FEED = 1 << 14  # compressed bytes that are inflated at a time: no more than some 16 MiB come out
_HELD = 4 << 20  # compressed bytes of a member that are kept: if it is damaged, the next may begin in them
_AGAIN = 8  # such searches may read a file so many times, all taken together
_PROBE = 1 << 12  # compressed bytes that are enough to tell whether a record begins in them
_PADDING = re.compile(rb"[\0\t\n\r ]*")

# Decompressed bytes, with a place. If a member begins with them, that is its offset in the file if it begins
# with a record, or else -1. It is None if no member begins there.
Bytes = tuple[bytes, int | None]


@dataclass(frozen=True, slots=True)
class Damage:
    """A fault, after which the file goes on somewhere else. `is_fresh`: no bytes came from its member."""

    error: str
    is_fresh: bool


Piece = Bytes | Damage


def plain(file: BinaryIO, block: bytes) -> Iterator[Piece]:
    """Yield the bytes of a file that is not compressed, from `block` on, which has been read."""
    yield block, 0
    while block := file.read(CHUNK_BYTES):
        yield block, None


@dataclass(slots=True)
class _Again:
    """A file of which the first bytes, which have been read, are read again."""

    block: bytes
    file: BinaryIO

    def read(self, size: int) -> bytes:
        piece, self.block = self.block[:size], self.block[size:]
        return piece if len(piece) == size else piece + self.file.read(size - len(piece))


def frames(file: BinaryIO, block: bytes) -> Iterator[Piece]:
    """Yield the bytes of zstd frames, the first of which may hold the dictionary of the others."""
    again = _Again(block, file)
    dictionary = b""
    if block.startswith(_DICTIONARY):
        size = int.from_bytes(again.read(8)[4:], "little")
        dictionary = again.read(min(size, _MAX_DICTIONARY))
        if dictionary.startswith(zstandard.FRAME_HEADER):
            dictionary = _unpacked(dictionary)
    for piece in unzstd(again, dictionary):
        yield Damage(piece, is_fresh=False) if isinstance(piece, str) else (piece, None)


def _unpacked(dictionary: bytes) -> bytes:
    """Return a dictionary that was compressed, or nothing if it is damaged or too large."""
    parts, size = [], 0
    for piece in unzstd(io.BytesIO(dictionary)):
        size += len(piece)
        if isinstance(piece, str) or size > _MAX_DICTIONARY:
            return b""
        parts.append(piece)
    return b"".join(parts)


def inflate(file: BinaryIO, block: bytes, padding: list[int]) -> Iterator[Piece]:
    """Yield the bytes of gzip members; after a damaged one, those of the next that begins with a record.

    `padding` gets the lengths of what stands between members and is none, such as zero bytes.
    """
    base = at = 0  # offset of the block in the file, and of the next byte in the block
    again = 0  # bytes that were looked through a second time
    is_lost = False
    while True:
        if len(block) - at < _FEED * 4:  # so that most members are in one block
            block, base, at = block[at:] + file.read(CHUNK_BYTES), base + at, 0
        if is_lost:
            found = find_member(block, at)
            at = max(at, len(block) - len(GZIP) + 1) if found < 0 else found
            if found < 0:
                rest = file.read(CHUNK_BYTES)
                if not rest:
                    return
                block, base, at = block[at:] + rest, base + at, 0
                continue
            is_lost = False
        pad = _PADDING.match(block, at).end() - at  # type: ignore[union-attr]
        if pad:
            padding.append(pad)
        at += pad
        if at == len(block):
            block, base, at = file.read(CHUNK_BYTES), base + at, 0
            if not block:
                return
            continue
        if foreign := _foreign(block, at):
            padding.append(foreign)
            at += foreign
            continue

        begin, where = at, base + at
        member = _member()
        head: bytes | None = b""  # its first bytes, until they tell whether it begins with a record
        error = ""
        while not member.eof and not error:
            if at == len(block):
                kept = begin if begin >= 0 and at - begin < _HELD else at
                rest = file.read(CHUNK_BYTES)
                block, base, at, begin = block[kept:] + rest, base + kept, at - kept, begin - kept
                if not rest:
                    error = "truncated_stream"
                    break
            fed = block[at : at + _FEED]
            before = member.copy() if at != begin else None
            try:
                out = member.decompress(fed)
                at += len(fed) - len(member.unused_data)
            except _DAMAGED:
                out = _salvage(before or _member(), fed)
                error = "damaged_stream"
            if head is None:
                if out:
                    yield out, None
                continue
            head += out
            if len(head) >= len(MARK):
                yield head, where if head.startswith(MARK) else -1
                head = None
        if head:
            yield head, -1
        if error:
            yield Damage(error, is_fresh=head == b"")
            is_lost = True
            # The next member may begin inside this one. In a file full of such, `_AGAIN` bounds the search.
            if begin >= 0 and again < _AGAIN * (_HELD + base + at):
                again += at - begin
                at = begin + 1


def _member() -> Any:
    """Return a decompressor for a gzip member. It can be copied."""
    return zlib.decompressobj(wbits=31)


def _foreign(block: bytes, at: int) -> int:
    """Return how many bytes from here on are no gzip member, nor a damaged one: they are text, or few."""
    if GZIP.startswith(block[at : at + len(GZIP)]):
        return 0
    found = find_member(block, at)
    junk = block[at : found if found >= 0 else len(block)]
    if len(junk) >= _SMALLEST and not junk.isascii():
        return 0
    return len(junk) if found >= 0 else len(junk.rstrip(GZIP[:1]))


def find_member(block: bytes, at: int) -> int:
    """Return where the next gzip member is that begins with a record, or -1."""
    while (at := block.find(GZIP, at)) >= 0:
        try:
            if _member().decompress(block[at : at + _PROBE], len(MARK)) == MARK:
                return at
        except _DAMAGED:
            pass
        at += 1
    return at


def _salvage(member: Any, data: bytes) -> bytes:
    """Return what can be inflated of data in which some bytes are damaged."""
    parts: list[bytes] = []
    at, step = 0, len(data)
    while step and at < len(data):
        trial = member.copy()
        try:
            parts.append(trial.decompress(data[at : at + step]))
        except _DAMAGED:
            step //= 2
            continue
        member, at = trial, at + step
    return b"".join(parts)
