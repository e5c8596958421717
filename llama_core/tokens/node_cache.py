"""The pages that the processes of a node share: files of a private folder in its memory or on its disk.

A page is fetched once a node: who takes the lock of its name first fetches it, the others wait and find it.
The kernel lets a lock go with its process, so one that dies while it fetches blocks nobody. A page appears
whole, under its name, once its fetcher has checked it. Readers do not check it again: the folder is this
user's alone (0700) and no older than the run, so it is as good as their own memory, and a digest of 4 MiB for
each window of 4 KiB would cost a thousand times the read.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

from llama_core.errors import StoreError
from llama_core.tokens.shards import PAGE_BYTES

Key = tuple[int, int]  # number of the shard, and of the page in it

MEMORY = Path("/dev/shm")
MOST_BYTES = (
    4608 << 20
)  # 1,152 pages: a group of 64 of each of seven sources, each across two pages, and more
STRIPES = 256  # locks that the names of pages are divided over
_PAGE = ".page"


def place_for(most_bytes: int) -> Path:
    """Return the folder that has the caches of this node: in memory where a quarter of that is enough.

    It is a function of the sizes of the file systems only, so all processes of a node choose the same.
    """
    with contextlib.suppress(OSError):
        if shutil.disk_usage(MEMORY).total >= 4 * most_bytes:
            return MEMORY
    return Path(tempfile.gettempdir())


class NodeCache:
    """The cache called `name`, of `most_bytes` at most, of pages of `page_bytes`.

    All processes of a node that name it share it. `place`: the folder that the caches are in, instead of
    `place_for`. The last process to close a cache removes it, also at the exit of the interpreter; those of
    killed runs are removed by the next one.
    Safe for several threads. Raises StoreError where another user holds the folder.
    """

    def __init__(
        self,
        name: str,
        most_bytes: int = MOST_BYTES,
        place: Path | None = None,
        page_bytes: int = PAGE_BYTES,
    ):
        self.most_bytes, self._page_bytes = most_bytes, page_bytes
        self.fetched = 0
        """How many pages this process has fetched."""
        root = (place or place_for(most_bytes)) / f"llama-pages-{os.getuid()}"
        self._counting = threading.Lock()
        _private(root)
        with _locked(root / "lock"):
            for folder in root.iterdir():
                if folder.name not in ("lock", name):
                    _remove_if_left(folder)
            self._folder = root / name
            _remove_if_left(self._folder)
            _private(self._folder)
            alive = os.open(self._folder / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(alive, fcntl.LOCK_SH)
        self.close = weakref.finalize(self, _leave, root, self._folder, alive, os.getpid())
        """Call it to leave the cache."""

    def has(self, key: Key) -> bool:
        """Tell whether a page is there."""
        return self._path(key).exists()

    def read(self, key: Key, start: int, end: int) -> bytes | None:
        """Return the bytes [start, end) of a page, or None where it is not there, or not so long."""
        try:
            with self._path(key).open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), end - start, start)
        except FileNotFoundError:
            return None
        return data if len(data) == end - start else None

    def fetch(
        self, key: Key, make: Callable[[], bytes], worth: Callable[[Key], float], soon: bool = True
    ) -> bytes | None:
        """Return a page, which `make` fetches if it is not there, and keep it if there is room.

        `worth` says how dear a page is: the cheapest make room. A page that is not needed `soon` takes the
        place of cheaper ones only; None is returned where there are none, where the page is there, or where
        another process fetches it. Raises what `make` raises.
        """
        stripe = self._folder / f"{hash(key) % STRIPES}.lock"
        with _locked(stripe, wait=soon) as mine:
            if not mine:
                return None
            with contextlib.suppress(FileNotFoundError):
                data = self._path(key).read_bytes()
                return data if soon else None
            if not soon and self._victims(self._page_bytes, key, worth, soon) is None:
                return None
            data = make()
            with self._counting:
                self.fetched += 1
            self._keep(key, data, worth, soon)
            return data

    def _keep(self, key: Key, data: bytes, worth: Callable[[Key], float], soon: bool) -> None:
        """Keep a page. The run goes on without where the disk is full: it fetches more."""
        partial = self._folder / f"{key[0]}.{key[1]}.part"
        with _locked(self._folder / "room"):
            victims = self._victims(len(data), key, worth, soon)
            if victims is None:
                return
            for other in victims:  # a reader that has opened one of them still reads it
                self._path(other).unlink(missing_ok=True)
            try:
                partial.write_bytes(data)
                partial.rename(self._path(key))
            except OSError:
                partial.unlink(missing_ok=True)

    def _victims(self, size: int, key: Key, worth: Callable[[Key], float], soon: bool) -> list[Key] | None:
        """Return the pages to remove, the cheapest first, so that `size` bytes fit. None: they do not fit."""
        sizes = {}
        for path in self._folder.glob(f"*{_PAGE}"):
            with contextlib.suppress(FileNotFoundError):
                shard, page = path.name.removesuffix(_PAGE).split(".")
                sizes[int(shard), int(page)] = path.stat().st_size
        left, victims = self.most_bytes - sum(sizes.values()) - size, []
        for other in sorted(sizes, key=worth):
            if left >= 0:
                break
            if not soon and worth(other) >= worth(key):
                return None
            victims.append(other)
            left += sizes[other]
        return victims if left >= 0 else None

    def _path(self, key: Key) -> Path:
        return self._folder / f"{key[0]}.{key[1]}{_PAGE}"


@contextlib.contextmanager
def _locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file in the block; yields False where another holds it and there is no `wait`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _private(folder: Path) -> None:
    """Make a folder that is this user's alone. Raises StoreError where it is another's, or open to others."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StoreError(
            f"{folder} is no folder of this user alone: remove it, or set TMPDIR to another place"
        )


def _remove_if_left(folder: Path) -> None:
    """Remove a cache that no process holds: its run was killed."""
    try:
        with _locked(folder / "alive", wait=False) as left:
            if left:
                shutil.rmtree(folder, ignore_errors=True)
    except (FileNotFoundError, NotADirectoryError):
        pass


def _leave(root: Path, folder: Path, alive: int, process: int) -> None:
    if os.getpid() != process:
        return  # a fork of the process that holds it
    os.close(alive)
    with _locked(root / "lock"):
        _remove_if_left(folder)
