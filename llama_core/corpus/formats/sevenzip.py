"""The members of a 7z archive as streams. Nothing is ever extracted to disk.

A stream is decompressed once, in pieces, however many members are in it; the memory and the size that it may
ask for are checked before it is begun. PPMd is refused: its decoder for Python crashes on damaged streams.

Our own code, not `py7zr`, which holds a member whole: for one of 300 MB it took 516 MB, and this reader 4 MB.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from llama_core.corpus.formats.sevenzip_directory import (
    Directory,
    DirectoryError,
    Folder,
    SevenZipMember,
    read_directory,
)

CHUNK_BYTES = 1 << 20  # bytes of output at a time
_INPUT = 1 << 16
_MAX_DICTIONARY = 512 << 20  # bytes; the largest presets of 7-Zip need less
_BOMB_BYTES, _BOMB_RATIO = 1 << 30, 1000  # a stream over both limits is no text

_COPY, _LZMA2, _LZMA = b"\x00", b"\x21", b"\x03\x01\x01"
_DEFLATE, _BZIP2 = b"\x04\x01\x08", b"\x04\x02\x02"
_ENCRYPTED = b"\x06\xf1"
_FILTERS = {
    b"\x03": lzma.FILTER_DELTA, b"\x04": lzma.FILTER_X86, b"\x03\x03\x01\x03": lzma.FILTER_X86,
    b"\x05": lzma.FILTER_POWERPC, b"\x06": lzma.FILTER_IA64, b"\x07": lzma.FILTER_ARM,
    b"\x08": lzma.FILTER_ARMTHUMB, b"\x09": lzma.FILTER_SPARC,
}  # fmt: skip


class SevenZip:
    """An open archive. `error`: why its directory cannot be read, so that it has no members; or empty."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.error = ""
        self._directory = Directory()
        try:
            self._directory = read_directory(file, self._whole)
        except DirectoryError as error:
            self.error = str(error)

    def members(self) -> Iterator[tuple[SevenZipMember, str]]:
        """Yield each member with the name of the error why it cannot be read, or an empty string."""
        for folder in self._directory.folders:
            refusal = _refusal(folder)
            yield from ((m, refusal if _is_plain(m.name) else "unsafe_path") for m in folder.members)
        yield from ((m, "" if _is_plain(m.name) else "unsafe_path") for m in self._directory.empty)

    def read(
        self, wanted: Callable[[SevenZipMember], bool]
    ) -> Iterator[tuple[SevenZipMember, Iterator[bytes | str]]]:
        """Yield each member that is wanted and can be read, with its bytes in pieces.

        The pieces are to be taken before the next member. An error's name comes last if they are cut or
        damaged.
        """
        for folder in self._directory.folders:
            left = sum(wanted(m) and _is_plain(m.name) for m in folder.members)
            stream = _Stream(self._unpack(folder)) if left and not _refusal(folder) else None
            for member in folder.members if stream else ():
                pieces = stream.take(member)  # type: ignore[union-attr]
                if wanted(member) and _is_plain(member.name):
                    yield member, pieces
                    left -= 1
                if not left:
                    break
                for _ in pieces:  # what was not wanted or not taken
                    pass
        for member in self._directory.empty:
            if wanted(member) and _is_plain(member.name):
                yield member, iter(())

    def _whole(self, folder: Folder) -> bytes:
        """Return a compressed directory, which `read_directory` has found to be small.

        Raises DirectoryError.
        """
        if refusal := _refusal(folder):
            raise DirectoryError(refusal)
        pieces = [*_Stream(self._unpack(folder)).take(SevenZipMember("", folder.size))]
        if pieces and isinstance(pieces[-1], str):
            raise DirectoryError(
                "truncated_archive" if pieces[-1] == "truncated_stream" else "damaged_archive"
            )
        return b"".join(piece for piece in pieces if isinstance(piece, bytes))

    def _unpack(self, folder: Folder) -> Iterator[bytes | str]:
        """Yield the bytes of a stream in pieces, and last an error's name if it is damaged."""
        self._file.seek(folder.start)
        left = folder.packed
        try:
            decoder = _decoder(folder.coders)
        except (lzma.LZMAError, ValueError):
            yield "damaged_stream"
            return
        while not decoder.eof:
            data = self._file.read(min(_INPUT, left)) if decoder.needs_input else b""
            left -= len(data)
            try:
                piece = decoder.decompress(data, CHUNK_BYTES)
            except Exception:  # each decoder raises other errors
                yield "damaged_stream"
                return
            if piece:
                yield piece
            elif not data:
                return


class _Stream:
    """A decompressed stream, whose members are taken in order. Each one after an error ends in that error."""

    def __init__(self, pieces: Iterator[bytes | str]):
        self._pieces = pieces
        self._held = b""
        self._error = ""

    def take(self, member: SevenZipMember) -> Iterator[bytes | str]:
        """Yield the bytes of the next member in pieces, and last an error's name if there is one."""
        left, crc = member.size, 0
        while left and not self._error:
            piece = self._held or next(self._pieces, "truncated_stream")
            if isinstance(piece, str):
                self._error = piece
                break
            piece, self._held = piece[:left], piece[left:]
            crc = zlib.crc32(piece, crc)
            left -= len(piece)
            yield piece
        if self._error:
            yield self._error
        elif member.crc is not None and crc != member.crc:
            yield "wrong_checksum"


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


def _decoder(coders: list[tuple[bytes, bytes]]) -> _Decoder:
    """Return the decoder of a stream with these coders, which `_refusal` has let through."""
    method, properties = coders[0]
    if method == _COPY:
        return _Copy()
    if method == _BZIP2:
        return bz2.BZ2Decompressor()
    if method == _DEFLATE:
        return _Deflate()
    packing: dict[str, int]
    if method == _LZMA2:
        packing = {"id": lzma.FILTER_LZMA2, "dict_size": max(4096, _dictionary(method, properties))}
    else:
        packed = properties[0]
        packing = {
            "id": lzma.FILTER_LZMA1,
            "dict_size": max(4096, _dictionary(method, properties)),
            "lc": packed % 9,
            "lp": packed // 9 % 5,
            "pb": packed // 45,
        }
    before = [
        {"id": lzma.FILTER_DELTA, "dist": (settings or b"\0")[0] + 1}
        if name == b"\x03"
        else {"id": _FILTERS[name]}
        for name, settings in reversed(coders[1:])
    ]
    return lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=[*before, packing])


def _dictionary(method: bytes, properties: bytes) -> int:
    """Return the size of the dictionary that a stream asks for, in bytes."""
    if method == _LZMA2:
        return (2 | properties[0] & 1) << (properties[0] // 2 + 11)
    return int.from_bytes(properties[1:5], "little")


def _refusal(folder: Folder) -> str:
    """Return the name of the error why a stream cannot be read, or an empty string."""
    (method, properties), *filters = folder.coders
    if any(name.startswith(_ENCRYPTED) for name, _ in folder.coders):
        return "encrypted"
    if method not in (_COPY, _LZMA, _LZMA2, _DEFLATE, _BZIP2):
        return "unsupported_method"
    if filters and (method not in (_LZMA, _LZMA2) or any(name not in _FILTERS for name, _ in filters)):
        return "unsupported_method"
    if folder.size > _BOMB_BYTES and folder.size > _BOMB_RATIO * folder.packed:
        return "compression_bomb"
    needed = {_LZMA: 5, _LZMA2: 1}.get(method)
    if needed is None:
        return ""
    if len(properties) < needed or (method == _LZMA2 and properties[0] > 40):
        return "damaged_stream"
    return "too_much_memory" if _dictionary(method, properties) > _MAX_DICTIONARY else ""


def _is_plain(name: str) -> bool:
    """Tell whether a name stays inside its archive, as every name in a dump does."""
    parts = name.replace("\\", "/").split("/")
    return bool(name) and ".." not in parts and parts[0] != "" and ":" not in parts[0] and "\0" not in name
