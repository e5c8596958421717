"""The members of a tar archive as streams, in one pass. Nothing is extracted: a member's name is only read.

Python's `tarfile` reads extended headers whole, whatever size they claim, and keeps every member that it
has seen; this reader holds one block and goes on after damage at the next header whose checksum is right.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK = 512
_MAX_EXTENDED = 1 << 20  # bytes of an extended header: more is damage
_EXTENDED = b"xgLKX"
_KINDS = {
    **dict.fromkeys(b"\x0007", "file"),
    **dict.fromkeys(b"12", "link"),
    **dict.fromkeys(b"346", "device"),
    ord("5"): "folder",
}


class Stream:
    """Pieces of a stream, as `streams.chunks` yields them, read like a file.

    `error`: the name of what ended the stream too early, once it was met. `at`: bytes read.
    """

    def __init__(self, pieces: Iterator[bytes | str]):
        self._pieces = pieces
        self._held, self._from = b"", 0
        self.error = ""
        self.at = 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes, all in one piece; none at the end."""
        if self._from >= len(self._held):
            self._fill()
        return self._take(size)

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, or what there is, which stay."""
        while len(self._held) - self._from < size and self._fill():
            pass
        return self._held[self._from : self._from + size]

    def whole(self, size: int) -> bytes:
        """The next `size` bytes, or what there is."""
        self.peek(size)
        return self._take(size)

    def skip(self, size: int) -> int:
        """Read and forget; the number of bytes that there were."""
        left = size
        while left and (piece := self.read(left)):
            left -= len(piece)
        return size - left

    def _take(self, size: int) -> bytes:
        piece = self._held[self._from : self._from + size]
        self._from += len(piece)
        self.at += len(piece)
        return piece

    def _fill(self) -> bool:
        """Hold one piece more, where there is one."""
        if self.error:
            return False
        for piece in self._pieces:
            if isinstance(piece, str):
                self.error = piece
                return False
            if piece:
                self._held, self._from = self._held[self._from :] + piece, 0
                return True
        return False


@dataclass(frozen=True, slots=True)
class TarMember:
    """A member, or a stretch that none can be read from: it has an `error` and no name.

    `kind`: file, folder, link, device or other. `offset`: of its header, in the decompressed archive.
    """

    name: str
    size: int
    kind: str
    offset: int
    error: str = ""


class Tar:
    """The members of an archive, in order. `read` gives the bytes of the member that came last.

    Ends with a member whose error says so where the archive is cut, damaged, or without its end mark.
    `comment`: of the archive as a whole, once its members are read: git writes the commit there.
    """

    def __init__(self, stream: Stream):
        self.comment = ""
        self._stream = stream
        self._left = self._padding = 0  # of the member that came last
        self._told = False  # the stream's error went to whoever read the member

    def __iter__(self) -> Iterator[TarMember]:
        stream, ended = self._stream, False
        names: dict[bytes, bytes] = {}  # that extended headers give to the next member
        damaged = False
        while True:
            if stream.skip(self._left + self._padding) < self._left and not self._told:
                yield TarMember("", 0, "other", stream.at, stream.error or "truncated_stream")
                return
            self._left = self._padding = 0
            offset = stream.at
            block = stream.whole(_BLOCK)
            if len(block) < _BLOCK:
                break
            if not block.strip(b"\0"):
                ended, damaged = True, False
                continue
            size = _size(block)
            if size is None:
                if not damaged:
                    yield TarMember("", 0, "other", offset, "damaged_header")
                damaged, ended = True, False
                names.clear()
                continue
            damaged = ended = False
            kind = block[156]
            if kind in _EXTENDED:
                if size > _MAX_EXTENDED:
                    yield TarMember("", 0, "other", offset, "damaged_header")
                    self._expect(size)
                    continue
                data = stream.whole(size)
                stream.skip(-size % _BLOCK)
                if len(data) < size:
                    break
                if kind in b"xX":
                    names |= _records(data)
                elif kind == ord("g"):
                    self.comment = _records(data).get(b"comment", b"").decode("utf-8", "replace")
                elif kind == ord("L"):
                    names[b"path"] = data.rstrip(b"\0")
                continue
            if kind == ord("S") and block[482]:  # of a sparse file: more of its map
                while len(more := stream.whole(_BLOCK)) == _BLOCK and more[504]:
                    pass
            name = names.pop(b"path", b"") or _name(block)
            if (given := names.pop(b"size", b"")) and len(given) < 20 and given.isdigit():
                size = int(given)
            names.clear()
            found = _KINDS.get(kind, "other")
            if found == "file" and name.endswith(b"/"):
                found = "folder"
            if found in ("link", "device", "folder"):
                size = 0
            self._expect(size)
            yield TarMember(name.decode("utf-8", "replace").replace("\0", ""), size, found, offset)
        if not self._told and (stream.error or not ended):
            yield TarMember("", 0, "other", stream.at, stream.error or "truncated_stream")

    def read(self) -> Iterator[bytes | str]:
        """The bytes of this member in pieces; last, the error's name where the archive ends before it."""
        while self._left:
            piece = self._stream.read(self._left)
            if not piece:
                self._told = True
                yield self._stream.error or "truncated_stream"
                return
            self._left -= len(piece)
            yield piece

    def _expect(self, size: int) -> None:
        self._left, self._padding = size, -size % _BLOCK


def is_tar(head: bytes) -> bool:
    """Whether a file that begins so is a tar archive."""
    return len(head) >= _BLOCK and _size(head[:_BLOCK]) is not None


def _size(block: bytes) -> int | None:
    """The size that a header says; None: it is no header."""
    stated = _number(block[148:156])
    if stated is None:
        return None
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if total != stated:
        return None
    return _number(block[124:136])


def _number(field: bytes) -> int | None:
    """Octal digits; in base 256, where the first bit is set."""
    if field[0] & 0x80:
        number = int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
        return number if number < 1 << 60 else None
    digits = field.strip(b"\0 ")
    if not digits:
        return 0
    try:
        return int(digits, 8) if digits.isdigit() else None
    except ValueError:
        return None


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:265] == b"ustar\00000" else b""
    return prefix + b"/" + name if prefix else name


def _records(data: bytes) -> dict[bytes, bytes]:
    """`path`, `size` and `comment` of a pax header: records of `length key=value\\n`."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        digits, _, _ = data[at : at + 20].partition(b" ")
        if not digits.isdigit() or int(digits) <= len(digits) + 1:
            break
        key, _, value = data[at + len(digits) + 1 : at + int(digits)].rstrip(b"\n").partition(b"=")
        if key in (b"path", b"size", b"comment"):
            found[key] = value
        at += int(digits)
    return found
