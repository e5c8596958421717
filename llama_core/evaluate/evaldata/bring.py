"""What the list has for a folder of benchmarks: looked for there, fetched, checked, unpacked.

A file `manifest.lock.json` in the folder keeps what is known of each file that was brought: where it is from,
its size and its sha256. So a file that changes is found, and a checksum that no publisher states is that of
the first download.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from llama_core.errors import InputError
from llama_core.evaluate.evaldata.download import download, sha256_of
from llama_core.evaluate.evaldata.published import Published
from llama_core.evaluate.evaldata.unpack import unpack
from llama_core.objects import Name, Sha256
from llama_core.parse import Count, Text, json_as
from llama_core.store import to_json

LOCK = "manifest.lock.json"
DIFFERS = ".differs"  # the ending of a file that is kept aside
SCRATCH = ".unpacking-"  # how the names of folders begin that hold what is not checked yet


class Entry(BaseModel):
    """What is known of a file."""

    url: Text
    size: Count
    sha256: Sha256


LOCKED = TypeAdapter(dict[Name, Entry])


class ByHand(Exception):
    """A person must fetch the file: the message says why, and where to put it."""


class Bringer:
    """Brings published files into a folder of this machine. `say` is called with each line for the person."""

    def __init__(self, folder: Path, say: Callable[[str], None]):
        self._folder, self._say = folder, say
        self._lock = folder / LOCK
        self._entries: dict[str, Entry] = {}
        if self._lock.exists():
            self._entries = json_as(LOCKED, self._lock.read_bytes(), str(self._lock))

    def bring(self, published: Published) -> None:
        """See to it that a file, or what is unpacked of an archive, is there and as it was published.

        A file that differs is kept aside, under another name, and fetched anew. Raises ByHand, InputError and
        StoreError.
        """
        if published.members:
            self._bring_members(published)
        else:
            self._bring_file(published)

    def _bring_file(self, published: Published) -> None:
        """Have the file at its place, checked."""
        target = self._folder / published.target
        differs = target.exists()
        if differs and self._is_as_expected(published.target, self._expected(published), published.url):
            self._say(f"{published.target}: is there")
            return
        if published.by_hand:
            wrong = f"{target} differs from what was published; " if differs else ""
            raise ByHand(
                f"{wrong}{published.by_hand}. Take it from {published.url} to {target}, and run this again"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        download(published.url, part, published.size, self._progress(published.target))
        found = sha256_of(part)
        expected = self._expected(published)
        if expected and found != expected:
            part.replace(aside := _free(target))
            raise InputError(
                f"{published.url} has the sha256 {found}, and not {expected}: it is kept as {aside}, which "
                "nothing reads. Its publisher has changed it, or somebody on the way has"
            )
        if differs:
            self._keep_aside(published.target, "differs from what was published")
        part.replace(target)
        is_first = not expected and not published.is_known_inside
        said = f"; nobody states its sha256, and {found} counts from now on" if is_first else ""
        self._note({published.target: Entry(url=published.url, size=target.stat().st_size, sha256=found)})
        self._say(f"{published.target}: fetched, {target.stat().st_size:,} bytes{said}")

    def _bring_members(self, published: Published) -> None:
        """Have the members of an archive at their places, checked, and the archive itself no longer."""
        known = {place: entry for place, entry in self._entries.items() if entry.url == published.url}
        known.pop(published.target, None)
        same = [p for p, entry in known.items() if self._is_as_expected(p, entry.sha256, published.url)]
        complete = all(any(map(members.has, known)) for members in published.members)
        if complete and len(same) == len(known):
            self._say(f"{_named(known)}: is there")
            return
        archive = self._folder / published.target
        is_mine = not archive.exists()
        self._bring_file(published)
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=archive.parent) as scratch:
            entries = self._unpacked(published, Path(scratch))
            for place, entry in entries.items():
                target = self._folder / place
                if target.exists() and not self._is_as_expected(place, entry.sha256, published.url):
                    self._keep_aside(place, f"differs from what is in {published.url}")
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(scratch) / place, target)
        self._note(entries)
        if is_mine:
            archive.unlink()
        self._say(f"{_named(entries)}: unpacked")

    def _unpacked(self, published: Published, scratch: Path) -> dict[str, Entry]:
        """Unpack the members of an archive below `scratch`, and return them by their places. Checks them."""
        listed = {f"{m.folder}/{m.pattern}": m.sha256 for m in published.members if m.sha256}
        entries = {}
        for place in unpack(self._folder / published.target, published, scratch):
            sha256 = sha256_of(scratch / place)
            if (expected := listed.get(place, sha256)) != sha256:
                raise InputError(f"{place} of {published.url} has the sha256 {sha256}, and not {expected}")
            size = (scratch / place).stat().st_size
            entries[place] = Entry(url=published.url, size=size, sha256=sha256)
        return entries

    def _expected(self, published: Published) -> str | None:
        """Return the checksum that a file should have: the list's, or else that of the first download."""
        known = self._entries.get(published.target)
        return published.sha256 or (known.sha256 if known and not published.is_known_inside else None)

    def _is_as_expected(self, place: str, sha256: str | None, url: str) -> bool:
        """Tell whether a file has a checksum. Where none is known, that of a file put there is the first."""
        path = self._folder / place
        if not path.is_file():
            return False
        found = sha256_of(path)
        if sha256 not in (None, found):
            return False
        if place not in self._entries:
            self._note({place: Entry(url=url, size=path.stat().st_size, sha256=found)})
        return True

    def _keep_aside(self, place: str, why: str) -> None:
        path = self._folder / place
        path.replace(aside := _free(path))
        self._say(f"{place}: {why}; it is kept as {aside.name}, which nothing reads")

    def _note(self, entries: dict[str, Entry]) -> None:
        """Write down what is known of some files more."""
        self._entries |= entries
        value = {place: entry.model_dump() for place, entry in sorted(self._entries.items())}
        temporary = self._lock.with_name(f".{LOCK}.new")
        temporary.write_bytes(to_json(value))
        temporary.replace(self._lock)

    def _progress(self, place: str) -> Callable[[int, int | None], None]:
        """Return what says now and then how much of a large file is there."""
        said = 0

        def told(done: int, whole: int | None) -> None:
            nonlocal said
            if done - said >= 256 << 20:
                said = done
                self._say(f"{place}: {done >> 20:,} MiB of {whole >> 20 if whole else '?'}")

        return told


def _free(path: Path) -> Path:
    """Return a name beside a file that no other has."""
    names = (f"{path.name}{DIFFERS}{n or ''}" for n in range(1_000_000))
    return next(other for name in names if not (other := path.with_name(name)).exists())


def _named(places: Iterable[str]) -> str:
    """Return the names of some files, or of their folder where they are many."""
    found = sorted(places)
    return ", ".join(found) if len(found) < 5 else f"{os.path.commonpath(found)}, {len(found):,} files"


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Be the only one who brings files into a folder. Raises InputError where another command does.

    What a command that was killed has left of an archive that it was unpacking is deleted.
    """
    with (folder / ".evaldata.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"another command is bringing files into {folder}: wait for it") from None
        for left in folder.glob(f"downloads/{SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
