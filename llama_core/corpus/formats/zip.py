"""The members of a zip archive: by its directory, or by their headers where a cut took the directory.

The directory is read as a stream. Members that overlap, as in a bomb made of one content listed many times,
are refused together: their sizes are more than the file's.

Our own code, not `zipfile`, which finds no member in a truncated archive, and holds the whole directory in
memory, at 0.6 kB a member.
"""

import bz2
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import zstandard

from llama_core.corpus.formats.member import Member, Wanted, name_error

_LOCAL, _CENTRAL, _END, _END64, _LOCATOR = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7"
_CENTRAL_HEAD = struct.Struct("<4s6H3L5H2L")
_LOCAL_HEAD = struct.Struct("<4s5H3L2H")
_END_HEAD = struct.Struct("<4s4H2LH")
_LOCATOR_BYTES, _END64_BYTES = 20, 56
_INPUT = 1 << 16  # compressed bytes that are read at a time
_OUTPUT = 1 << 20  # decompressed bytes that are taken at a time
_STORED, _DEFLATE, _BZIP2, _ZSTD = 0, 8, 12, 93
_ENCRYPTED, _SIZES_AFTER, _UTF8 = 0x1, 0x8, 0x800
_MAX = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Entry:
    """A member, as the directory describes it. `packed` and `size`: its bytes, compressed and not."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    offset: int


class Zip:
    """An open archive, to be read once: see `archives.Archive` and `archives.open_archive`."""

    def __init__(self, file: BinaryIO, limit: int, wanted: Wanted):
        self._file, self._limit, self._wanted = file, limit, wanted
        self._size = file.seek(0, 2)
        self.comment = ""

    def __iter__(self) -> Iterator[tuple[Member, bytes]]:
        """Yield each member with its content, which is empty if it is not wanted or cannot be read."""
        found = self._directory()
        if found is None:
            yield from self._without_directory()
            return
        start, end, shift = found
        packed = 0
        for entry in self._entries(start, end):
            if isinstance(entry, str):
                yield Member("", start, error=entry), b""
                return
            packed += entry.packed
            if packed > self._size:
                yield Member("", start, error="overlapping_members"), b""
                return
            yield self._member(entry, shift)

    def _directory(self) -> tuple[int, int, int] | None:
        """Return where the directory starts and ends, and how many bytes of the file precede the archive.

        None if there is no directory.
        """
        tail_at = max(0, self._size - (_END_HEAD.size + 0xFFFF))
        tail = self._read(tail_at, self._size - tail_at)
        at = tail.rfind(_END)
        while at >= 0:
            head = tail[at : at + _END_HEAD.size]
            if len(head) == _END_HEAD.size:
                *_, size, offset, comment = _END_HEAD.unpack(head)
                if at + _END_HEAD.size + comment <= len(tail):
                    break
            at = tail.rfind(_END, 0, at)
        if at < 0:
            return None
        self.comment = tail[at + _END_HEAD.size :][:comment].decode("utf-8", "replace")
        end = tail_at + at
        if large := self._large_directory(end):
            end, size, offset = large
        elif _MAX in (size, offset):
            return None
        start = end - size
        return (start, end, start - offset) if start >= 0 and offset <= start else None

    def _large_directory(self, end: int) -> tuple[int, int, int] | None:
        """Return the end, the size and the stated place of the directory of an archive of 64 bits.

        Such an archive has large members, or more than 65,535 of any size. Its record stands before `end`;
        None if there is none.
        """
        locator = self._read(end - _LOCATOR_BYTES, _LOCATOR_BYTES) if end >= _LOCATOR_BYTES else b""
        if locator[:4] != _LOCATOR:
            return None
        before = end - _LOCATOR_BYTES - _END64_BYTES  # where it is if something precedes the archive
        for at in (int.from_bytes(locator[8:16], "little"), before):
            record = self._read(at, _END64_BYTES) if 0 <= at <= before else b""
            if record[:4] == _END64:
                return at, *struct.unpack_from("<2Q", record, 40)
        return None

    def _entries(self, at: int, end: int) -> Iterator[_Entry | str]:
        """Yield the entries of the directory, and last an error's name if it is damaged."""
        held, used = b"", 0
        while at + used < end:
            if len(held) - used < _CENTRAL_HEAD.size + 3 * 0xFFFF and at + len(held) < end:
                at, used = at + used, 0
                held = self._read(at, min(1 << 20, end - at))
            entry = _entry(held, used)
            if entry is None:
                yield "damaged_directory"
                return
            yield entry[0]
            used += entry[1]

    def _member(self, entry: _Entry, shift: int) -> tuple[Member, bytes]:
        kind = "file"
        if entry.name.endswith(("/", "\\")):
            kind = "folder"
        elif stat.S_ISLNK(entry.mode):
            kind = "link"
        elif stat.S_IFMT(entry.mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "device"
        at = shift + entry.offset
        error = name_error(entry.name)
        if kind != "file" or error or not self._wanted(entry.name):
            return Member(entry.name, at, kind, error), b""
        data: bytes | str = _refusal(entry.flags, entry.method)
        if not data:
            data = "too_long" if entry.size > self._limit else self._content(entry, at)
        if isinstance(data, str):
            return Member(entry.name, at, kind, data), b""
        return Member(entry.name, at, kind), data

    def _content(self, entry: _Entry, at: int) -> bytes | str:
        head = self._read(at, _LOCAL_HEAD.size)
        if len(head) < _LOCAL_HEAD.size or head[:4] != _LOCAL:
            return "damaged_header"
        *_, name, extra = _LOCAL_HEAD.unpack(head)
        data, _, error = self._unpack(at + _LOCAL_HEAD.size + name + extra, entry.method, entry.packed)
        if error:
            return error
        return data if zlib.crc32(data) == entry.crc else "wrong_checksum"

    def _unpack(self, at: int, method: int, packed: int | None) -> tuple[bytes, int, str]:
        """Return the content at `at`, how many bytes it takes up in the file, and an error's name or "".

        `packed`: how many bytes it is said to take up; None if only the content itself tells its end.
        """
        self._file.seek(at)
        decoder, parts, size, taken = _decoder(method), [], 0, 0
        while not decoder.eof and (packed is None or taken < packed):
            block = self._file.read(_INPUT if packed is None else min(_INPUT, packed - taken))
            if not block:
                return b"", taken, "truncated_member"
            taken += len(block)
            try:
                for part in decoder.decompress(block):
                    size += len(part)
                    if size > self._limit:
                        return b"", taken, "too_long"
                    parts.append(part)
            except (zlib.error, OSError, EOFError, zstandard.ZstdError):
                return b"", taken, "damaged_member"
        if method != _STORED and not decoder.eof:
            return b"", taken, "truncated_member"
        return b"".join(parts), taken - len(decoder.unused), ""

    def _without_directory(self) -> Iterator[tuple[Member, bytes]]:
        """Yield the members that are whole, from the start on, and last one fault for the rest."""
        at = 0
        while True:
            head = self._read(at, _LOCAL_HEAD.size)
            if len(head) < _LOCAL_HEAD.size or head[:4] != _LOCAL:
                break
            _, _, flags, method, _, _, crc, packed, _, n_name, n_extra = _LOCAL_HEAD.unpack(head)
            start = at + _LOCAL_HEAD.size + n_name + n_extra
            if start > self._size:
                break
            name = _text(self._read(at + _LOCAL_HEAD.size, n_name), flags)
            unknown = bool(flags & _SIZES_AFTER) and not packed
            if packed == _MAX or _refusal(flags, method) or (unknown and method == _STORED):
                break
            data, taken, error = self._unpack(start, method, None if unknown else packed)
            if error == "too_long" and not unknown:
                taken = packed
            elif error:
                break
            elif not unknown and zlib.crc32(data) != crc:
                error = "wrong_checksum"
            kind = "folder" if name.endswith("/") else "file"
            error = name_error(name) or error
            kept = kind == "file" and not error and self._wanted(name)
            yield Member(name, at, kind, error), data if kept else b""
            at = start + taken
            if flags & _SIZES_AFTER:
                after = self._read(at, 28)
                following = after.find(b"PK", 4 if after[:4] == b"PK\7\x08" else 0)
                at += following if following >= 0 else len(after)
        yield Member("", at, error="truncated_archive"), b""

    def _read(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        parts: list[bytes] = []
        while size > 0 and (part := self._file.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class _Decoder:
    """Decompresses a content in pieces of bounded size; this one is for content that is not compressed.

    `eof`: whether the content's own end was met. `unused`: the bytes that came after it.
    """

    eof = False
    unused = b""

    def decompress(self, block: bytes) -> Iterator[bytes]:
        """Yield what the next compressed bytes hold."""
        yield block


class _Bounded(_Decoder):
    """Uses a decompressor of the standard library, which holds back what is more than asked for."""

    def __init__(self, inner: Any):
        self._inner = inner

    @property
    def eof(self) -> bool:  # type: ignore[override]
        return self._inner.eof

    @property
    def unused(self) -> bytes:  # type: ignore[override]
        return self._inner.unused_data

    def decompress(self, block: bytes) -> Iterator[bytes]:
        part = self._inner.decompress(block, _OUTPUT)
        while part:
            yield part
            if self._inner.eof:
                return
            part = self._inner.decompress(getattr(self._inner, "unconsumed_tail", b""), _OUTPUT)


class _Zstd(_Decoder):
    """Uses zstd's decompressor. It has no limit of output, so it is fed small pieces of input."""

    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor().decompressobj()

    @property
    def eof(self) -> bool:  # type: ignore[override]
        return self._inner.eof

    def decompress(self, block: bytes) -> Iterator[bytes]:
        for at in range(0, len(block), 1 << 10):
            yield self._inner.decompress(block[at : at + (1 << 10)])
            if self._inner.eof:
                self.unused = self._inner.unused_data + block[at + (1 << 10) :]
                return


def _decoder(method: int) -> _Decoder:
    if method == _DEFLATE:
        return _Bounded(zlib.decompressobj(wbits=-15))
    if method == _BZIP2:
        return _Bounded(bz2.BZ2Decompressor())
    return _Zstd() if method == _ZSTD else _Decoder()


def _refusal(flags: int, method: int) -> str:
    """Return the name of the error why a member cannot be read, or an empty string if it can."""
    if flags & _ENCRYPTED:
        return "encrypted"
    return "" if method in (_STORED, _DEFLATE, _BZIP2, _ZSTD) else "unsupported_method"


def _entry(held: bytes, at: int) -> tuple[_Entry, int] | None:
    """Return the entry of the directory that begins at `held[at]` and its length, or None if none does."""
    if len(held) - at < _CENTRAL_HEAD.size:
        return None
    fields = _CENTRAL_HEAD.unpack_from(held, at)
    signature, _, _, flags, method, _, _, crc, packed, size, n_name, n_extra, n_comment, _, _ = fields[:15]
    attributes, offset = fields[15:]
    length = _CENTRAL_HEAD.size + n_name + n_extra + n_comment
    if signature != _CENTRAL or len(held) - at < length:
        return None
    name = held[at + _CENTRAL_HEAD.size :][:n_name]
    extra = held[at + _CENTRAL_HEAD.size + n_name :][:n_extra]
    size, packed, offset = _zip64(extra, size, packed, offset)
    return _Entry(_text(name, flags), flags, method, crc, packed, size, attributes >> 16, offset), length


def _zip64(extra: bytes, *fields: int) -> list[int]:
    """Return the fields, with the values of extra field 1 for those that do not fit into 32 bits."""
    found, at = list(fields), 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            values = [int.from_bytes(extra[i : i + 8], "little") for i in range(at + 4, at + size - 3, 8)]
            for i, value in enumerate(found):
                if value == _MAX and values:
                    found[i] = min(values.pop(0), 1 << 62)
            break
        at += 4 + size
    return found


def _text(name: bytes, flags: int) -> str:
    return name.decode("utf-8", "replace") if flags & _UTF8 else name.decode("cp437")
