"""The members of a 7z archive as streams. Nothing is ever extracted: a member's name is only read.

py7zr reads the directory of the archive, which stands at its end: of a truncated archive nothing is known.
The streams are decompressed here, as it bounds neither their memory nor the size of their pieces.
"""

import bz2
import io
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import py7zr
import pyppmd

from llama_core.errors import LlamaError

PIECE = 1 << 20  # bytes of output at a time
_INPUT = 1 << 16
_MAX_DICTIONARY = 512 << 20  # that a stream may ask for: what the largest presets of 7-Zip need, and more

_COPY, _LZMA2, _LZMA, _PPMD = b"\x00", b"\x21", b"\x03\x01\x01", b"\x03\x04\x01"
_DEFLATE, _BZIP2, _AES = b"\x04\x01\x08", b"\x04\x02\x02", b"\x06\xf1\x07\x01"


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive. `error`: why it cannot be read, if it cannot."""

    name: str
    size: int
    kind: str  # file, folder, link
    error: str
    crc: int | None
    entry: Any  # py7zr's own


class Archive:
    """An open archive. `error` says why its directory cannot be read; then it has no members."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.members: list[Member] = []
        self.error = ""
        try:
            self._archive = py7zr.SevenZipFile(_Seekable(file))  # type: ignore[arg-type]
            self._starts = self._folder_starts()
            self.members = [self._member(entry) for entry in getattr(self._archive, "files", ())]
        except LlamaError:
            raise
        except py7zr.exceptions.PasswordRequired:
            self.error = "encrypted"
        except Exception:  # a hostile directory may fail anywhere in its parser
            self.error = "damaged_archive"

    def read(self, member: Member) -> Iterator[bytes | str]:
        """The bytes of a member in pieces; last, the error's name where they are cut or damaged."""
        if member.error:
            yield member.error
            return
        if member.entry.emptystream:
            return
        folder = member.entry.folder
        skip = 0  # the members before it in the same stream
        for other in self._archive.files:
            if other.id == member.entry.id:
                break
            if not other.emptystream and other.folder is folder:
                skip += other.uncompressed
        left, crc = member.size, 0
        for piece in self._unpack(folder):
            if isinstance(piece, str):
                yield piece
                return
            if skip >= len(piece):
                skip -= len(piece)
                continue
            piece, skip = piece[skip : skip + left], 0
            crc = zlib.crc32(piece, crc)
            left -= len(piece)
            yield piece
            if not left:
                break
        if left:
            yield "truncated_stream"
        elif member.crc is not None and crc != member.crc:
            yield "wrong_checksum"

    def _unpack(self, folder: Any) -> Iterator[bytes | str]:
        start, left = self._starts[id(folder)]
        self._file.seek(start)
        try:
            decoder = _decoder(folder.coders)
        except (lzma.LZMAError, ValueError):
            yield "damaged_stream"
            return
        while not decoder.eof:
            data = self._file.read(min(_INPUT, left)) if decoder.needs_input else b""
            left -= len(data)
            try:
                piece = decoder.decompress(data, PIECE)
            except Exception:  # each decoder has errors of its own
                yield "damaged_stream"
                return
            if piece:
                yield piece
            elif not data:
                return

    def _folder_starts(self) -> dict[int, tuple[int, int]]:
        """(position, size) of each stream in the archive."""
        streams = getattr(getattr(self._archive, "header", None), "main_streams", None)
        if streams is None:
            return {}
        sizes = streams.packinfo.packsizes
        at = self._archive.afterheader + streams.packinfo.packpos
        starts: dict[int, tuple[int, int]] = {}
        number = 0
        for folder in streams.unpackinfo.folders:
            count = len(folder.packed_indices) or 1
            starts[id(folder)] = (at, sizes[number])
            at += sum(sizes[number : number + count])
            number += count
        return starts

    def _member(self, entry: Any) -> Member:
        kind = "file"
        if entry.is_directory:
            kind = "folder"
        elif entry.is_symlink or entry.is_junction or entry.is_socket:
            kind = "link"
        error = "" if entry.emptystream or entry.folder is None else _refusal(entry.folder.coders)
        if not _is_plain(entry.filename):
            error = "unsafe_path"
        return Member(entry.filename, entry.uncompressed or 0, kind, error, entry.crc32, entry)


class _Decoder(Protocol):
    @property
    def needs_input(self) -> bool: ...

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Copy:
    needs_input, eof = True, False

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return data


class _Deflate:
    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=-15)

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)


class _Ppmd:
    def __init__(self, properties: bytes):
        self._decoder = pyppmd.Ppmd7Decoder(properties[0], int.from_bytes(properties[1:5], "little"))

    @property
    def needs_input(self) -> bool:
        return self._decoder.needs_input

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._decoder.decode(data, max_length)


def _decoder(coders: list[dict[str, Any]]) -> _Decoder:
    method, properties = coders[0]["method"], coders[0].get("properties") or b""
    if method == _COPY:
        return _Copy()
    if method == _BZIP2:
        return bz2.BZ2Decompressor()
    if method == _DEFLATE:
        return _Deflate()
    if method == _PPMD:
        return _Ppmd(properties)
    filters: dict[str, int]
    if method == _LZMA2:
        filters = {"id": lzma.FILTER_LZMA2, "dict_size": max(4096, _dictionary(method, properties))}
    else:
        packed = properties[0]
        filters = {
            "id": lzma.FILTER_LZMA1,
            "dict_size": max(4096, _dictionary(method, properties)),
            "lc": packed % 9,
            "lp": packed // 9 % 5,
            "pb": packed // 45,
        }
    return lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=[filters])


def _dictionary(method: bytes, properties: bytes) -> int:
    """Bytes of memory that a stream asks for."""
    if method == _LZMA2:
        return (2 | properties[0] & 1) << (properties[0] // 2 + 11)
    return int.from_bytes(properties[1:5], "little")


def _refusal(coders: list[dict[str, Any]]) -> str:
    """Why a stream cannot be read, or nothing."""
    if any(coder["method"] == _AES for coder in coders):
        return "encrypted"
    method, properties = coders[0]["method"], coders[0].get("properties") or b""
    if len(coders) > 1 or method not in (_COPY, _LZMA, _LZMA2, _PPMD, _DEFLATE, _BZIP2):
        return "unsupported_method"
    needed = {_LZMA: 5, _LZMA2: 1, _PPMD: 5}.get(method)
    if needed is None:
        return ""
    if len(properties) < needed or (method == _LZMA2 and properties[0] > 40):
        return "damaged_archive"
    return "too_much_memory" if _dictionary(method, properties) > _MAX_DICTIONARY else ""


def _is_plain(name: str) -> bool:
    """Whether a name stays inside its archive: such names alone are those of a dump."""
    parts = name.replace("\\", "/").split("/")
    return bool(name) and ".." not in parts and parts[0] != "" and ":" not in parts[0] and "\0" not in name


class _Seekable(io.RawIOBase):
    """What py7zr takes for a file: it refuses whatever is no `IOBase`."""

    def __init__(self, file: BinaryIO):
        self._inner = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()
