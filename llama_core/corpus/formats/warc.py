"""The records of a WARC or WET file, streamed in bounded memory: nothing that is lost is lost silently.

A file is plain, or gzip of any members: Common Crawl has one for each record. Trailers of gzip and
Content-Length are checked. After damage, reading goes on at the next record that can be found. Files of zstd,
as ArchiveTeam has them, are read up to the first damage.

Our own code, not `warcio` or `FastWARC`: where a gzip file is cut, both end as if it were whole.
"""

import base64
import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from llama_core.corpus.formats.streams import CHUNK_BYTES
from llama_core.corpus.formats.warc_members import (
    GZIP,
    MARK,
    ZSTD,
    Damage,
    Piece,
    find_member,
    frames,
    inflate,
    plain,
)

_MAX_HEADER = 1 << 16
_NEXT = b"\nWARC/1."
_AFTER = 64  # bytes after a record that are enough to tell whether another follows
_NEWLINES = re.compile(rb"[\r\n]*")
_PADDING = re.compile(rb"[\r\n\0]*")
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")  # what a record ends with
_NEXT_HEADER = re.compile(rb"\n\r?\nWARC/1\.\d\r?\n[A-Za-z-]+: ")
_FIRST_LINES = re.compile(rb"WARC/1\.\d\r?\n[A-Za-z-]+:")
_LONGEST_FIRST_LINES = 64
_HEADER_END = re.compile(rb"\n(?:\r?\n|(?P<mark>WARC/1\.))")


@dataclass(slots=True)
class Record:
    """A record, or a stretch of the file from which none can be read.

    `offset`: where it begins in the decompressed stream. `file_offset`: where it can be read from in the file
    by itself, if it begins a gzip member or the file is not compressed. `headers`: by lower-case name.
    `error`: the name of the error, or empty.
    """

    offset: int
    file_offset: int | None = None
    headers: dict[str, str] | None = None
    body: bytes = b""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes before, between or after records that are no line ends and belong to no record."""

    offset: int
    """Where they begin in the decompressed stream."""
    size: int


def records(file: BinaryIO, limit: int, types: frozenset[str]) -> Iterator[Record | Gap]:
    """Yield every record of a file. Only those of the `types` (WARC-Type, in lower case) have their body.

    Bytes that belong to no record are skipped up to the next, and said as a `Gap`.

    A body of more than `limit` bytes is never held: its record has the error `too_long`.
    """
    block = file.read(CHUNK_BYTES)
    is_plain, padding = False, list[int]()
    if block.startswith(ZSTD):
        pieces = frames(file, block)
    elif block.startswith(GZIP) or find_member(block, 0) >= 0:
        pieces = inflate(file, block, padding)
    else:
        pieces, is_plain = plain(file, block), True
    stream = _Stream(pieces)
    is_empty = True
    while stream.open_segment():
        begin = stream.offset
        for record in _segment(stream, limit, types):
            if isinstance(record, Gap):
                yield record
                continue
            if is_plain:
                record.file_offset = record.offset
            elif record.offset == begin:
                record.file_offset = stream.file_offset
            is_empty = False
            yield record
    if is_empty:
        yield Record(0, error="empty_file")
    if padding and not is_empty:
        yield Gap(stream.offset, sum(padding))


def _segment(stream: "_Stream", limit: int, types: frozenset[str]) -> Iterator[Record | Gap]:
    """Yield the records up to the next gzip member that begins with one, or to damage."""
    begin = stream.offset
    while stream.skip_newlines():
        start = stream.offset
        if stream.starts_with(MARK):
            record = _record(stream, limit, types)
        elif stream.skip_to_record():
            yield Gap(start, stream.offset - start)
            continue
        else:
            record = Record(start, error="not_warc")
        end = stream.offset
        gap = stream.skip_gap()
        if not stream.has(1) and (damage := stream.damage):
            is_its_own = record.offset == begin and not damage.is_fresh and not stream.has_member(end)
            if record.error or is_its_own:
                record.error, record.body = damage.error, b""
                stream.damage = None
        yield record
        if gap:
            yield gap
    if stream.damage:
        yield Record(stream.offset, error=stream.damage.error)


def _record(stream: "_Stream", limit: int, types: frozenset[str]) -> Record:
    """Read the record that begins here. After an error the stream is at the next one that can be found."""
    record = Record(stream.offset)
    head = stream.read_header()
    if isinstance(head, str):
        record.error = head
        stream.resync()
        return record
    record.headers = headers = parse_headers(head)
    size = headers.get("content-length", "")
    if not (size.isascii() and size.isdecimal() and len(size) < 19):
        record.error = "bad_header"
        if not stream.starts_with(MARK):
            stream.resync()
        return record
    length = int(size)
    is_wanted = headers.get("warc-type", "").lower() in types
    if length > limit:
        record.error = stream.skip(length)
        if not record.error:
            record.error = "too_long" if is_wanted else ""
            return record
    elif not stream.has(length):
        record.error = "truncated_record"
    elif not (stream.ends_record(length) or stream.is_whole(length, headers.get("warc-block-digest", ""))):
        record.error = "wrong_length"
    else:
        body = stream.read(length)
        record.body = body if is_wanted else b""
        return record
    stream.resync()  # from the start of the body, which may hold the next records
    return record


def parse_headers(head: bytes) -> dict[str, str]:
    """Return the fields after the first line by lower-case name. The first of a name counts."""
    fields: dict[str, str] = {}
    name = ""
    for line in head.decode("utf-8", "replace").split("\n")[1:]:
        if line[:1] in (" ", "\t") and name:
            fields[name] = f"{fields[name]} {line.strip()}".strip()  # a folded line
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if colon and name not in fields:
            fields[name] = value.strip()
        else:
            name = ""
    return fields


class _Stream:
    """Decompressed bytes in segments. A segment ends before a gzip member that begins with a record, or where
    the file is damaged, and no record goes on beyond it."""

    def __init__(self, pieces: Iterator[Piece]):
        self._pieces = pieces
        self._data, self._at, self._base = b"", 0, 0
        self._members: list[int] = []  # offsets of gzip members that do not begin with a record
        self._next: Piece | None = None  # the piece that the next segment begins with
        self._is_ended = True  # whether all of the segment is held
        self.file_offset: int | None = None  # of the segment's start, if that is a member's or the file's
        self.damage: Damage | None = None  # the fault that ended the segment

    @property
    def offset(self) -> int:
        """The offset of the next byte in the decompressed stream."""
        return self._base + self._at

    def open_segment(self) -> bool:
        """Go to the next segment, and tell whether there is one."""
        piece, self._next = self._next or next(self._pieces, None), None
        self._base += len(self._data)
        self._data, self._at, self.file_offset = b"", 0, None
        self._is_ended, self.damage = False, None
        if isinstance(piece, Damage):
            self.damage, self._is_ended = piece, True
        elif piece is not None:
            self._data, where = piece
            self.file_offset = where if where != -1 else None
        return piece is not None

    def has(self, size: int) -> bool:
        """Hold the next `size` bytes, and tell whether the segment has so many."""
        missing = size - (len(self._data) - self._at)
        if missing <= 0 or self._is_ended:
            return missing <= 0
        parts = [self._data[self._at :]]
        self._base += self._at
        end = self._base + len(parts[0])
        self._at = 0
        while missing > 0 and (piece := self._pull(end)):
            parts.append(piece)
            missing -= len(piece)
            end += len(piece)
        self._data = b"".join(parts)
        return missing <= 0

    def _pull(self, offset: int) -> bytes:
        """Return the next bytes of the segment, which are at this offset, or none at its end."""
        if self._is_ended:
            return b""
        piece = next(self._pieces, None)
        if isinstance(piece, tuple) and piece[1] is None:
            return piece[0]
        if isinstance(piece, tuple) and piece[1] == -1:
            if len(self._members) > 1000 and self._members[500] < self.offset:
                del self._members[:500]
            self._members.append(offset)
            return piece[0]
        self._is_ended = True
        if isinstance(piece, Damage):
            self.damage = piece
        else:
            self._next = piece
        return b""

    def starts_with(self, mark: bytes) -> bool:
        return self.has(len(mark)) and self._data.startswith(mark, self._at)

    def skip_newlines(self) -> bool:
        """Skip line ends, and tell whether the segment goes on after them."""
        while self.has(1):
            self._at = _NEWLINES.match(self._data, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._data):
                return True
        return False

    def has_member(self, offset: int) -> bool:
        """Tell whether a member that does not begin with a record begins at this offset or after it."""
        return bisect_left(self._members, offset) < len(self._members)

    def read_header(self) -> bytes | str:
        """Return the lines up to the first empty one, or an error's name if another record comes first."""
        while True:
            if found := _HEADER_END.search(self._data, self._at, self._at + _MAX_HEADER):
                if found["mark"]:
                    return "bad_header"
                head = self._data[self._at : found.start()]
                self._at = found.end()
                return head
            held = len(self._data) - self._at
            if held >= _MAX_HEADER:
                return "bad_header"
            if not self.has(held + 1):
                return "truncated_record"

    def ends_record(self, length: int) -> bool:
        """Tell whether a record or member begins, or the segment ends, after `length` bytes that are held."""
        self.has(length + _AFTER)
        after = _PADDING.match(self._data, self._at + length).end()  # type: ignore[union-attr]
        if MARK.startswith(self._data[after : after + len(MARK)]):  # or a part of it, at the segment's end
            return True
        at = bisect_left(self._members, self.offset + length)
        return at < len(self._members) and self._members[at] <= self._base + after

    def is_whole(self, length: int, digest: str) -> bool:
        """Tell whether the next `length` bytes, which are held, are a body although no record follows them.

        They have the SHA-1 that their header states; where it states none, an empty line follows.
        """
        kind, _, value = digest.upper().partition(":")
        if kind == "SHA1" and len(value) in (32, 40):
            found = hashlib.sha1(self._data[self._at : self._at + length], usedforsecurity=False)
            return value in (base64.b32encode(found.digest()).decode(), found.hexdigest().upper())
        return bool(_EMPTY_LINE.match(self._data, self._at + length))

    def read(self, size: int) -> bytes:
        """Take the next `size` bytes, which are held."""
        self._at += size
        return self._data[self._at - size : self._at]

    def skip(self, length: int) -> str:
        """Skip a body that is not held, and return an error's name if its length is not the stated one.

        A wrong length must not hide the records after it: a body ends before two line ends and a header.
        """
        while True:
            if length <= len(self._data) - self._at:
                self.has(length + _AFTER)
            end = self._at + length
            found = _NEXT_HEADER.search(self._data, self._at, end + _AFTER)
            if found and found.start() < end:
                self._at = found.start()
                return "wrong_length"
            if end <= len(self._data):
                self._at = end
                return "" if self.ends_record(0) or self.is_whole(0, "") else "wrong_length"
            step = max(0, len(self._data) - self._at - _AFTER)
            self._at += step
            length -= step
            if not self.has(len(self._data) - self._at + 1):
                self._at = len(self._data)
                return "truncated_record"

    def skip_gap(self) -> Gap | None:
        """Go over what stands after a record, and return it if it is more than line ends."""
        if not self.skip_newlines():
            return None
        start = self.offset
        is_cut = not self.has(len(MARK)) and MARK.startswith(self._data[self._at :])
        if is_cut or self.starts_with(MARK):
            return None
        self.skip_to_record()
        return Gap(start, self.offset - start)

    def skip_to_record(self) -> bool:
        """Go to the next record of the segment, or to its end, and tell whether there is one."""
        while not (found := _FIRST_LINES.search(self._data, self._at)):
            self._at = max(self._at, len(self._data) - _LONGEST_FIRST_LINES)
            if not self.has(len(self._data) - self._at + 1):
                self._at = len(self._data)
                return False
        self._at = found.start()
        return True

    def resync(self) -> None:
        """Go to the next line of the segment that begins a record, or to its end."""
        while (found := self._data.find(_NEXT, self._at)) < 0:
            self._at = max(self._at, len(self._data) - len(_NEXT) + 1)
            if not self.has(len(_NEXT)):
                self._at = len(self._data)
                return
        self._at = found + 1
