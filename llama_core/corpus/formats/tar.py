"""The members of a tar archive as streams, in one pass. Nothing is extracted to disk.

The reader holds one block, and goes on after damage at the next header whose checksum is right.

Our own code, not `tarfile`, which reads extended headers whole, whatever size they claim, keeps every member
that it has seen, and ends without an error where an archive is cut between members.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK = 512
_MAX_EXTENDED = 1 << 20  # bytes of an extended header; a longer one is taken for damage
_EXTENDED = b"xgLKX"
_KINDS = {
    **dict.fromkeys(b"\x0007", "file"),
    **dict.fromkeys(b"12", "link"),
    **dict.fromkeys(b"346", "device"),
    ord("5"): "folder",
}


class Stream:
    """Reads the pieces of a stream, as `streams.chunks` yields them, like a file.

    `error`: the name of the error that ended the stream too early, once it was met. `at`: the bytes read so
    far.
    """

    def __init__(self, pieces: Iterator[bytes | str]):
        self._pieces = pieces
        self._held, self._from = b"", 0
        self.error = ""
        self.at = 0

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, and none at the end. They may be fewer before it."""
        if self._from >= len(self._held):
            self._fill()
        return self._take(size)

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, or what is left, without moving on."""
        while len(self._held) - self._from < size and self._fill():
            pass
        return self._held[self._from : self._from + size]

    def whole(self, size: int) -> bytes:
        """Return the next `size` bytes, or what is left."""
        self.peek(size)
        return self._take(size)

    def skip(self, size: int) -> int:
        """Skip `size` bytes, or what is left, and return their number."""
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
        """Hold one piece more, and tell whether there was one."""
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
    """A member, or, with an `error` and no name, a stretch of the archive from which none can be read."""

    name: str
    size: int
    """Bytes of its content."""
    kind: str
    """One of file, folder, link, device and other."""
    offset: int
    """Offset of its header in the decompressed archive."""
    error: str = ""


class Tar:
    """The members of an archive, in order. `read` yields the bytes of the member that came last.

    The last member has an error if the archive is cut, its stream is damaged, or its end mark is missing.
    `comment`: the comment of the archive, known once its members are read. Git writes the commit there.
    """

    def __init__(self, stream: Stream):
        self.comment = ""
        self._stream = stream
        self._left = self._padding = 0  # bytes of the member that came last, and after it
        self._told = False  # whether `read` has given the stream's error

    def __iter__(self) -> Iterator[TarMember]:
        """Yield the members. To be called once."""
        stream, ended = self._stream, False
        names: dict[bytes, bytes] = {}  # fields that extended headers give to the next member
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
            if kind == ord("S") and block[482]:  # a sparse file, whose map goes on
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
        """Yield the bytes of this member in pieces, and last an error's name if the archive is cut."""
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
    """Tell whether a file that begins with these bytes, at least 512, is a tar archive."""
    return len(head) >= _BLOCK and _size(head[:_BLOCK]) is not None


def _size(block: bytes) -> int | None:
    """Return the size that a header states, or None if the block is no header."""
    stated = _number(block[148:156])
    if stated is None:
        return None
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if total != stated:
        return None
    return _number(block[124:136])


def _number(field: bytes) -> int | None:
    """Return the number in a field, or None: octal digits, or base 256 if the first bit is set."""
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
    """Return `path`, `size` and `comment` of a pax header, which has records of `length key=value\\n`."""
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
