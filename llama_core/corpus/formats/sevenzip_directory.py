"""The directory of a 7z archive: its streams, and the members in them (7zFormat.txt of 7-Zip).

It is at the end of the file, so nothing is known of a truncated archive. Every count in it is checked against
the bytes that are left and against a limit before memory is taken for it.
"""

import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

MAX_BYTES = 16 << 20  # of a directory, compressed or not
MAX_MEMBERS = 100_000
_MAX_OFFSET = 1 << 50
_MAX_CODERS = 4
_MAGIC = b"7z\xbc\xaf\x27\x1c"

_END, _HEADER, _PROPERTIES, _ADDITIONAL, _STREAMS, _FILES = range(6)
_PACK, _UNPACK, _SUBSTREAMS, _SIZE, _CRC, _FOLDER, _UNPACK_SIZE, _COUNT = range(6, 14)
_EMPTY_STREAM, _EMPTY_FILE = 14, 15
_NAMES, _ATTRIBUTES, _ENCODED = 17, 21, 23


class DirectoryError(ValueError):
    """Raised for a directory that cannot be read. The message is the name of the error."""


@dataclass(slots=True)
class SevenZipMember:
    """A file, folder or link in the archive."""

    name: str
    size: int = 0
    """Bytes of its content."""
    crc: int | None = None
    """Checksum of its content, if the archive states one."""
    kind: str = "file"
    """One of file, folder and link."""


@dataclass(slots=True)
class Folder:
    """A compressed stream, which the format calls a folder. It holds its members one after another."""

    coders: list[tuple[bytes, bytes]]
    """The methods with their properties, in the order of decoding."""
    size: int
    """Decompressed bytes."""
    crc: int | None = None
    """Checksum of the decompressed bytes, if the archive states one."""
    start: int = 0
    """Offset of the compressed bytes in the file."""
    packed: int = 0
    """Compressed bytes."""
    members: list[SevenZipMember] = field(default_factory=list)


@dataclass(slots=True)
class Directory:
    """The streams of an archive, and its members."""

    folders: list[Folder] = field(default_factory=list)
    empty: list[SevenZipMember] = field(default_factory=list)
    """Members without a stream, because they have no bytes."""


def read_directory(file: BinaryIO, unpack: Callable[[Folder], bytes]) -> Directory:
    """Return the directory of an archive.

    `unpack`: returns the bytes of a stream, in which the directory itself may be. Raises DirectoryError.
    """
    head = file.read(32)
    if not head.startswith(_MAGIC[: len(head)]) or not head:
        raise DirectoryError("not_an_archive")
    if len(head) < 32:
        raise DirectoryError("truncated_archive")
    start_crc, offset, size, crc = struct.unpack("<IQQI", head[8:])
    if zlib.crc32(head[12:]) != start_crc or offset > _MAX_OFFSET:
        raise DirectoryError("damaged_archive")
    if size > MAX_BYTES:
        raise DirectoryError("too_many_members")
    if not size:
        return Directory()
    file.seek(32 + offset)
    data = file.read(size)
    if len(data) < size:
        raise DirectoryError("truncated_archive")
    for _ in range(4):  # a directory may itself be compressed
        if zlib.crc32(data) != crc:
            raise DirectoryError("damaged_archive")
        reader = _Reader(data)
        kind = reader.number()
        if kind == _HEADER:
            return _header(reader)
        if kind != _ENCODED:
            break
        folders, _ = _streams(reader)
        if len(folders) != 1 or folders[0].size > MAX_BYTES:
            raise DirectoryError("too_many_members" if folders else "damaged_archive")
        data = unpack(folders[0])
        crc = zlib.crc32(data) if folders[0].crc is None else folders[0].crc
    raise DirectoryError("damaged_archive")


class _Reader:
    """Reads the numbers and bit fields of a directory. Raises DirectoryError at its end."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise DirectoryError("damaged_archive")
        self._at += size
        return self._data[self._at - size : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """Read a number, whose first byte has the highest bits.

        The leading ones of that byte say how many bytes follow.
        """
        first = self.byte()
        more = next((n for n in range(8) if not first & 0x80 >> n), 8)
        low = int.from_bytes(self.take(more), "little")
        return low + ((first & (0x7F >> more)) << 8 * more)

    def count(self, limit: int) -> int:
        """Read a number of things, each of which takes up at least a bit."""
        number = self.number()
        if number > limit or number > 8 * self.left + 8:
            raise DirectoryError("too_many_members" if number > limit else "damaged_archive")
        return number

    def bits(self, count: int) -> list[bool]:
        data = self.take((count + 7) // 8)
        return [bool(data[i // 8] & 0x80 >> i % 8) for i in range(count)]

    def defined(self, count: int) -> list[bool]:
        """Read which of `count` things are defined: all if the first byte is not 0, else as bits say."""
        return [True] * count if self.byte() else self.bits(count)

    def digests(self, count: int) -> list[int | None]:
        """Read the checksums of `count` things, each of which may have none."""
        return [int.from_bytes(self.take(4), "little") if given else None for given in self.defined(count)]


def _header(reader: _Reader) -> Directory:
    folders: list[Folder] = []
    counts: list[int] = []
    members: list[tuple[SevenZipMember, bool]] = []
    while (kind := reader.number()) != _END:
        if kind == _PROPERTIES:
            while reader.number() != _END:
                reader.take(reader.number())
        elif kind == _ADDITIONAL:
            _streams(reader)
        elif kind == _STREAMS:
            folders, counts = _streams(reader)
        elif kind == _FILES:
            members = _files(reader)
        else:
            raise DirectoryError("damaged_archive")
    return _assemble(folders, counts, members)


def _assemble(
    folders: list[Folder], counts: list[int], members: list[tuple[SevenZipMember, bool]]
) -> Directory:
    """Give the files' names and kinds to `Folder.members`, which have only sizes and checksums so far."""
    named = iter([member for member, has_stream in members if has_stream])
    if sum(counts) != sum(has_stream for _, has_stream in members):
        raise DirectoryError("damaged_archive")
    for folder in folders:
        for part in folder.members:
            member = next(named)
            member.size, member.crc = part.size, part.crc
            part.name, part.kind = member.name, member.kind
    return Directory(folders, [member for member, has_stream in members if not has_stream])


def _streams(reader: _Reader) -> tuple[list[Folder], list[int]]:
    """Read the streams, whose members have only sizes and checksums, and the number of members of each."""
    position, sizes = 0, list[int]()
    folders: list[Folder] = []
    parts: list[int] = []  # the number of packed streams of each
    counts: list[int] | None = None
    while (kind := reader.number()) != _END:
        if kind == _PACK:
            position, sizes = _packed(reader)
        elif kind == _UNPACK:
            folders, parts = _folders(reader)
        elif kind == _SUBSTREAMS:
            counts = _substreams(reader, folders)
        else:
            raise DirectoryError("damaged_archive")
    if counts is None:
        counts = [1] * len(folders)
        for folder in folders:
            folder.members = [SevenZipMember("", folder.size, folder.crc)]
    if sum(parts) > len(sizes):
        raise DirectoryError("damaged_archive")
    at = 32 + position
    for folder, count in zip(folders, parts, strict=True):
        folder.start, folder.packed = at, sizes[0]
        at += sum(sizes[:count])
        del sizes[:count]
        if at > _MAX_OFFSET:
            raise DirectoryError("damaged_archive")
    return folders, counts


def _packed(reader: _Reader) -> tuple[int, list[int]]:
    """Read where the packed streams begin, and their sizes."""
    position = reader.number()
    count = reader.count(MAX_MEMBERS)
    sizes: list[int] = []
    while (kind := reader.number()) != _END:
        if kind == _SIZE:
            sizes = [reader.number() for _ in range(count)]
        elif kind == _CRC:
            reader.digests(count)
        else:
            raise DirectoryError("damaged_archive")
    return position, sizes


def _folders(reader: _Reader) -> tuple[list[Folder], list[int]]:
    """Read the streams, without their places, and the number of packed streams of each."""
    if reader.number() != _FOLDER:
        raise DirectoryError("damaged_archive")
    count = reader.count(MAX_MEMBERS)
    if reader.byte():  # the streams are described elsewhere: no writer does that
        raise DirectoryError("damaged_archive")
    described = [_coders(reader) for _ in range(count)]
    if reader.number() != _UNPACK_SIZE:
        raise DirectoryError("damaged_archive")
    folders = []
    for coders, outputs, last, _ in described:
        sizes = [reader.number() for _ in range(outputs)]
        folders.append(Folder(coders, sizes[last]))
    while (kind := reader.number()) != _END:
        if kind != _CRC:
            raise DirectoryError("damaged_archive")
        for folder, crc in zip(folders, reader.digests(count), strict=True):
            folder.crc = crc
    return folders, [packed for _, _, _, packed in described]


def _coders(reader: _Reader) -> tuple[list[tuple[bytes, bytes]], int, int, int]:
    """Read the coders of a stream.

    Returns them in the order of decoding, the number of their outputs, the output that is the stream's
    content, and the number of packed streams.
    """
    count = reader.number()
    if not 0 < count <= _MAX_CODERS:
        raise DirectoryError("damaged_archive")
    coders: list[tuple[bytes, bytes]] = []
    inputs = outputs = 0
    for _ in range(count):
        flags = reader.byte()
        method = reader.take(flags & 0x0F)
        ways = (reader.number(), reader.number()) if flags & 0x10 else (1, 1)
        if max(ways) > _MAX_CODERS or not min(ways):
            raise DirectoryError("damaged_archive")
        inputs, outputs = inputs + ways[0], outputs + ways[1]
        coders.append((method, reader.take(reader.number()) if flags & 0x20 else b""))
    bound = {reader.number(): reader.number() for _ in range(outputs - 1)}  # input -> the output it takes
    packed = inputs - (outputs - 1)
    if packed < 1:
        raise DirectoryError("damaged_archive")
    if packed > 1:
        for _ in range(packed):
            reader.number()
    last = next((i for i in range(outputs) if i not in bound.values()), 0)
    if not inputs == outputs == count:  # such as BCJ2, which packs programs and no text
        return [(b"several streams", b"")], outputs, last, packed
    order = [last]
    while (before := bound.get(order[-1])) is not None and len(order) < count:
        order.append(before)
    if sorted(order) != list(range(count)):
        raise DirectoryError("damaged_archive")
    return [coders[i] for i in reversed(order)], outputs, last, packed


def _substreams(reader: _Reader, folders: list[Folder]) -> list[int]:
    """Read the sizes and checksums of the streams' members into `folders`; return the number in each."""
    counts = [1] * len(folders)
    kind = reader.number()
    if kind == _COUNT:
        counts = [reader.count(MAX_MEMBERS) for _ in folders]
        if sum(counts) > MAX_MEMBERS:
            raise DirectoryError("too_many_members")
        kind = reader.number()
    sized = kind == _SIZE
    for folder, count in zip(folders, counts, strict=True):
        sizes = [reader.number() if sized else 0 for _ in range(count - 1)]
        if sum(sizes) > folder.size or (count > 1 and not sized):
            raise DirectoryError("damaged_archive")
        folder.members = [SevenZipMember("", size) for size in [*sizes, folder.size - sum(sizes)][:count]]
        if count == 1:
            folder.members[0].crc = folder.crc
    if sized:
        kind = reader.number()
    while kind != _END:
        if kind != _CRC:
            raise DirectoryError("damaged_archive")
        without = [m for f in folders for m in f.members if len(f.members) != 1 or f.crc is None]
        for member, crc in zip(without, reader.digests(len(without)), strict=True):
            member.crc = crc
        kind = reader.number()
    return counts


def _files(reader: _Reader) -> list[tuple[SevenZipMember, bool]]:
    """Read the files: for each a member, and whether it has a stream."""
    count = reader.count(MAX_MEMBERS)
    names = [""] * count
    empty, folder = [False] * count, [False] * count
    attributes = [0] * count
    while (kind := reader.number()) != _END:
        part = _Reader(reader.take(reader.number()))
        if kind == _EMPTY_STREAM:
            empty = part.bits(count)
            folder = [*empty]
        elif kind == _EMPTY_FILE:
            places = [i for i, is_empty in enumerate(empty) if is_empty]
            for place, is_file in zip(places, part.bits(len(places)), strict=True):
                folder[place] = not is_file
        elif kind == _NAMES:
            names = _names(part, count)
        elif kind == _ATTRIBUTES:
            given = part.defined(count)
            if part.byte():
                raise DirectoryError("damaged_archive")
            attributes = [int.from_bytes(part.take(4), "little") if known else 0 for known in given]
    return [
        (SevenZipMember(names[i], kind=_kind(attributes[i], folder[i])), not empty[i]) for i in range(count)
    ]  # fmt: skip


def _names(reader: _Reader, count: int) -> list[str]:
    if reader.byte():
        raise DirectoryError("damaged_archive")
    names = reader.take(reader.left // 2 * 2).decode("utf-16-le", "surrogatepass").split("\0")
    if len(names) <= count:
        raise DirectoryError("damaged_archive")
    return names[:count]


def _kind(attributes: int, is_folder: bool) -> str:
    """Return the kind of a member by its attributes.

    They are those of Windows; above them is the mode of POSIX if bit 15 is set.
    """
    mode = attributes >> 16 if attributes & 0x8000 else 0
    if attributes & 0x400 or stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "link"
    return "folder" if is_folder or attributes & 0x10 else "file"
