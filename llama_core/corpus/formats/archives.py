"""The members of tar and zip archives, one after another, with the content of those that are wanted.

Nothing is ever extracted to disk. Memory is bounded by the limit of a member's size, whatever the archive
says of itself (see `tar` and `zip`).
"""

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from llama_core.corpus.formats.member import Member, Wanted, name_error
from llama_core.corpus.formats.streams import chunks
from llama_core.corpus.formats.tar import Stream, Tar
from llama_core.corpus.formats.zip import Zip

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.bz2")


class Archive(Protocol):
    """An archive that is read once, in the order of its members."""

    @property
    def comment(self) -> str:
        """The comment of the archive, known once its members are read. Git writes the commit there."""
        ...

    def __iter__(self) -> Iterator[tuple[Member, bytes]]:
        """Yield each member with its content, which is empty if it is not wanted or cannot be read."""
        ...


def open_archive(file: BinaryIO, url: str, limit: int, wanted: Wanted = lambda name: True) -> Archive:
    """Return the archive in a file, by the ending of its `url`.

    `wanted`: tells by a file's name whether its content is read. `limit`: the most bytes that a content may
    have; a longer one has the error `too_long`, and is never held.
    """
    return Zip(file, limit, wanted) if url.lower().endswith(".zip") else _Tar(file, url, limit, wanted)


class _Tar:
    """A tar archive, compressed or not, as an `Archive`."""

    def __init__(self, file: BinaryIO, url: str, limit: int, wanted: Wanted):
        name = url.lower().removesuffix(".tgz")
        pieces = chunks(file, name if name == url.lower() else f"{name}.tar.gz")
        self._tar = Tar(Stream(pieces))
        self._limit, self._wanted = limit, wanted

    @property
    def comment(self) -> str:
        return self._tar.comment

    def __iter__(self) -> Iterator[tuple[Member, bytes]]:
        for found in self._tar:
            if found.error:
                yield Member("", found.offset, error=found.error), b""
                continue
            error, data = name_error(found.name), b""
            if found.kind == "file" and not error and self._wanted(found.name):
                content: bytes | str = "too_long" if found.size > self._limit else self._content()
                error, data = (content, b"") if isinstance(content, str) else ("", content)
            yield Member(found.name, found.offset, found.kind, error), data

    def _content(self) -> bytes | str:
        """Return the content of the member that came last, or an error's name."""
        pieces: list[bytes] = []
        for piece in self._tar.read():
            if isinstance(piece, str):
                return piece
            pieces.append(piece)
        return b"".join(pieces)
