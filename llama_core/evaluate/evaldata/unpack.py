"""Members of an archive to the disk: only those that are wanted, one by one, each to a place of ours."""

from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from llama_core.corpus.formats.archives import open_archive
from llama_core.corpus.formats.streams import chunks
from llama_core.corpus.formats.tar import Stream, Tar
from llama_core.errors import InputError
from llama_core.evaluate.evaldata.published import Members, Published
from llama_core.evaluate.evaldata.shorten import shortened
from llama_core.objects import fault_of
from llama_core.parse import shown

MOST_MEMBERS = 20_000


def unpack(archive: Path, published: Published, folder: Path) -> list[str]:
    """Write the wanted members of an archive below `folder`, and return their places there.

    Nothing else of the archive is written, and no name of it leads out of the folder. Raises InputError where
    a member is damaged, unsafe or too long, or none is there, or they are too long together.
    """
    found = [_write_shortened(archive, members, folder) for members in published.members if members.shortened]
    total = 0
    counts: Counter[Members] = Counter(members for members in published.members if members.shortened)
    with archive.open("rb") as file:
        members = open_archive(
            file, archive.name, published.most, lambda name: _wanted(name, published) != ""
        )
        for member, content in members:
            place = _wanted(member.name, published)
            if member.error and (place or not member.name):
                raise _refused(archive, member.name, member.error.replace("_", " "))
            if not place or member.kind == "folder":
                continue
            if member.kind != "file":
                raise _refused(archive, member.name, f"it is a {member.kind}")
            if fault := fault_of(place):
                raise _refused(archive, member.name, fault)
            total += len(content)
            if total > published.most or len(found) == MOST_MEMBERS:
                raise _refused(archive, member.name, f"all of it has more than {published.most:,} bytes")
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            found.append(place)
            counts.update(m for m in published.members if _place(member.name, m))
    for wanted in published.members:
        if not counts[wanted]:
            raise InputError(f"{archive} has no member {wanted.inside}{wanted.pattern}")
    return found


def _wanted(name: str, published: Published) -> str:
    """Return where a member lies below the folder, or an empty string where it is not wanted."""
    whole = (members for members in published.members if not members.shortened)
    return next((place for members in whole if (place := _place(name, members))), "")


def _place(name: str, members: Members) -> str:
    name = name.removeprefix("./")
    rest = name.removeprefix(members.inside)
    is_one = name.startswith(members.inside) and fnmatchcase(rest, members.pattern)
    return f"{members.folder}/{rest}" if is_one else ""


def _write_shortened(archive: Path, members: Members, folder: Path) -> str:
    """Write what is kept of a member of a tar, read as a stream, and return its place. Raises InputError."""
    assert members.shortened
    with archive.open("rb") as file:
        tar = Tar(Stream(chunks(file, archive.name)))
        for member in tar:
            if not member.error and member.kind == "file" and (place := _place(member.name, members)):
                wanted = members.shortened
                try:
                    kept = shortened(_whole(tar.read()), wanted.key, wanted.first, wanted.keys)
                except ValueError as error:
                    raise _refused(archive, member.name, str(error)) from None
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                (folder / place).write_bytes(kept)
                return place
    raise InputError(f"{archive} has no member {members.inside}{members.pattern}")


def _whole(pieces: Iterator[bytes | str]) -> Iterator[bytes]:
    """Yield the pieces of a member. Raises ValueError at the name of an error."""
    for piece in pieces:
        if isinstance(piece, str):
            raise ValueError(piece.replace("_", " "))
        yield piece


def _refused(archive: Path, name: str, why: str) -> InputError:
    what = f"its member {shown(name)!r} is refused: " if name else ""
    return InputError(f"{archive} is not unpacked: {what}{why}")
