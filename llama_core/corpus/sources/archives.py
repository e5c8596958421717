"""The members of tar and zip archives, one after another. Nothing is ever extracted: a name is only read.

Memory is bounded by the limit of a member's size, whatever the archive says of itself. Both formats are
parsed here (`tar_members`, `zip_members`): the standard library keeps every header of an archive, takes a
header's word for how much there is to read, and ends a truncated tar without a word.
"""

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from llama_core.corpus.sources.archive_member import Member, Wanted
from llama_core.corpus.sources.tar_members import Tar
from llama_core.corpus.sources.zip_members import Zip

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.bz2")


class Archive(Protocol):
    """An archive that is read once, in the order of its members.

    `comment`: what it says of itself, known when its members are read. Git writes the commit there.
    """

    comment: str

    def __iter__(self) -> Iterator[tuple[Member, bytes]]: ...


def open_archive(file: BinaryIO, url: str, limit: int, wanted: Wanted = lambda name: True) -> Archive:
    """The archive at `url`, by its ending. A file's content comes with it where it is `wanted`; one over
    `limit` bytes has the error `too_long`, and is never held."""
    return Zip(file, limit, wanted) if url.lower().endswith(".zip") else Tar(file, url, limit, wanted)
