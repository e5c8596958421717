"""The members of a tar (ustar, pax, GNU, v7), compressed or not, as a stream.

A header whose checksum is wrong is one fault; reading goes on at the next header that is whole. A tar that
lacks its end, which is a block of zeros, is truncated, even if it ends between two members.
"""

from collections.abc import Iterator
from typing import BinaryIO

from llama_core.corpus.sources.archive_member import Member, Wanted, name_error
from llama_core.corpus.sources.streams import chunks

BLOCK = 512
_MAX_HEADER = 1 << 20  # bytes of a long name or of pax records: longer ones are a fault
_KINDS = {b"1": "link", b"2": "link", b"3": "device", b"4": "device", b"5": "folder", b"6": "device"}
_FILES = (b"0", b"\0", b"7")
_ZEROS = bytes(BLOCK)


class Tar:
    def __init__(self, file: BinaryIO, url: str, limit: int, wanted: Wanted):
        name = url.lower()
        self._stream = _Stream(chunks(file, name[:-3] + "tar.gz" if name.endswith(".tgz") else name))
        self._limit, self._wanted = limit, wanted
        self.comment = ""

    def __iter__(self) -> Iterator[tuple[Member, bytes]]:
        stream = self._stream
        ended = lost = False  # a block of zeros, a header that is no header: what was last seen
        long_name, pax, error = "", dict[str, str](), ""  # about the member that comes next
        while True:
            offset = stream.at
            block = stream.read(BLOCK)
            if len(block) < BLOCK:
                break
            if block == _ZEROS:
                ended = True
                continue
            if not _is_header(block) or (lost and block[257:262] != b"ustar"):
                if not lost:
                    yield Member("", offset, error="damaged_header"), b""
                lost, long_name, pax, error = True, "", {}, ""
                continue
            ended = lost = False
            kind, size = block[156:157], _number(block[124:136])
            if size < 0:
                yield Member("", offset, error="damaged_header"), b""
                lost = True
                continue
            if kind in (b"x", b"g", b"L", b"K"):
                content = stream.read(size) if size <= _MAX_HEADER else b""
                stream.skip(-size % BLOCK + (size - len(content) if size > _MAX_HEADER else 0))
                if size > _MAX_HEADER:
                    error = "long_header"
                elif kind == b"L":
                    long_name = _text(content)
                elif kind == b"x":
                    pax = _pax(content)
                elif kind == b"g":
                    self.comment = _pax(content).get("comment", self.comment)
                continue
            name = pax.get("path") or long_name or _name(block)
            if pax.get("size", "").isdecimal():
                size = int(pax["size"][:18])
            if kind == b"S" or any(key.startswith("GNU.sparse") for key in pax):
                error = error or "sparse_file"
                extended = kind == b"S" and block[482] != 0
                while extended:
                    more = stream.read(BLOCK)
                    extended = len(more) == BLOCK and more[504] != 0
            member, data = self._member(name, offset, kind, size, error)
            yield member, data
            if stream.ended and member.error:
                return
            long_name, pax, error = "", {}, ""
        if stream.error:
            yield Member("", stream.at, error=stream.error), b""
        elif not ended and not lost:
            yield Member("", stream.at, error="truncated_archive"), b""

    def _member(self, name: str, offset: int, kind: bytes, size: int, error: str) -> tuple[Member, bytes]:
        """The member, with the stream after it."""
        stream = self._stream
        if kind in _KINDS:
            return Member(name, offset, _KINDS[kind], name_error(name)), b""
        if kind in _FILES and name.endswith("/"):
            what = "folder"
        else:
            what = "file" if kind in _FILES or kind == b"S" else "other"
        error = name_error(name) or error
        wanted = what == "file" and not error and self._wanted(name)
        if wanted and size > self._limit:
            wanted, error = False, "too_long"
        data = stream.read(size) if wanted else b""
        whole = len(data) == size if wanted else stream.skip(size)
        stream.skip(-size % BLOCK)
        if not whole:
            data, error = b"", stream.error or "truncated_archive"
        return Member(name, offset, what, error), data


class _Stream:
    """Pieces read as a file. `error`: what they ended with."""

    def __init__(self, pieces: Iterator[bytes | str]):
        self._pieces = pieces
        self._piece, self._used = b"", 0
        self.at = 0
        self.ended = False
        self.error = ""

    def read(self, size: int) -> bytes:
        """`size` bytes, or fewer at the end."""
        parts: list[bytes] = []
        while size > 0 and self._fill():
            part = self._piece[self._used : self._used + size]
            parts.append(part)
            self._advance(len(part))
            size -= len(part)
        return b"".join(parts)

    def skip(self, size: int) -> bool:
        """Whether there were so many bytes."""
        while size > 0 and self._fill():
            step = min(size, len(self._piece) - self._used)
            self._advance(step)
            size -= step
        return size <= 0

    def _advance(self, size: int) -> None:
        self._used += size
        self.at += size

    def _fill(self) -> bool:
        while self._used >= len(self._piece):
            piece = next(self._pieces, None)
            if piece is None or isinstance(piece, str):
                self.ended, self.error = True, self.error or piece or ""
                return False
            self._piece, self._used = piece, 0
        return True


def _is_header(block: bytes) -> bool:
    """Whether the checksum is right: of unsigned bytes, or of signed ones, as some old tars have it."""
    stated = _number(block[148:156])
    rest = block[:148] + b" " * 8 + block[156:]
    unsigned = sum(rest)
    return stated in (unsigned, unsigned - 256 * sum(byte > 127 for byte in rest))


def _number(field: bytes) -> int:
    """Octal digits, or big-endian after a byte of 0x80. -1: neither."""
    if field[0] == 0x80:
        return min(int.from_bytes(field[1:], "big"), 1 << 62)
    digits = field.split(b"\0", 1)[0].strip()
    try:
        return int(digits or b"0", 8) if not digits.startswith((b"-", b"+")) else -1
    except ValueError:
        return -1


def _name(block: bytes) -> str:
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")


def _pax(content: bytes) -> dict[str, str]:
    """`LENGTH KEY=VALUE` records, as far as they are whole."""
    records: dict[str, str] = {}
    at = 0
    while at < len(content):
        digits, space, _ = content[at : at + 20].partition(b" ")
        if not space or not digits.isdigit():
            break
        end = at + int(digits)
        key, equals, value = content[at + len(digits) + 1 : end - 1].partition(b"=")
        if not equals or end > len(content) or end <= at:
            break
        records[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        at = end
    return records
