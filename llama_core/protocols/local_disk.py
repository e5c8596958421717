"""The store on a local disk: files appear whole, only regular ones are read, no link is written through."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from llama_core.errors import DamagedError, StoreError

TEMPORARY = ".tmp-"  # marks a file that was never published


def open_regular(path: str) -> BinaryIO:
    """Open a file for reading. Raises DamagedError for a folder, a FIFO, a device or a socket.

    Those would be read for ever, or wait for a writer, or do something. A link to a regular file is followed:
    the folders in which Hugging Face keeps models are made of them.
    """
    _check_regular(path, os.stat(path))  # first, since opening a device may do something
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_regular(path, os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def size(path: str) -> int:
    """Return the size of a file in bytes.

    Raises DamagedError where it is no file, or mostly holes: those read as zeros, and are what an interrupted
    download leaves, and a file that claims terabytes.
    """
    with open_regular(path) as file:
        whole = os.fstat(file.fileno()).st_size
        filled = end = 0
        try:
            while end < whole and 2 * filled < whole:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
                end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                filled += end - start
        except OSError as error:
            if error.errno != errno.ENXIO:  # no data after `end`
                return whole  # this file system does not tell
    if 2 * filled < whole:
        raise DamagedError(f"{path} is not whole: only {filled:,} of its {whole:,} bytes were ever written")
    return whole


def read(path: str, start: int = 0, end: int | None = None) -> bytes:
    """Return the bytes [start, end) of a file, as far as it has them. Raises DamagedError."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(start)
        return file.read(max(0, (size if end is None else min(end, size)) - start))


def no_link(top: str, path: str) -> Path:
    """Return the path of a file below the folder `top`, which is to be written or deleted.

    Raises StoreError where a folder on the way is a symbolic link: it may lead anywhere. `top` may be one.
    """
    own = Path(top)
    for folder in Path(path).parents:
        if folder == own:
            break
        if folder.is_symlink():
            raise StoreError(
                f"{folder} is a symbolic link inside the store {top}, and nothing is written or deleted "
                "through it: mount the other place there, or let the store's own folder be the link"
            )
    return Path(path)


def begin(path: Path) -> tuple[BinaryIO, Callable[[], None], Callable[[], None]]:
    """Return a temporary file beside `path`, and the functions that publish it there and throw it away.

    What has the name already is replaced; if it is a link, then the link is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}")
    file = temporary.open("xb")

    def commit() -> None:
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(temporary, path)
        _sync_folder(path.parent)

    def discard() -> None:
        with contextlib.suppress(OSError):
            file.close()
        temporary.unlink(missing_ok=True)

    return file, commit, discard


def create(path: Path, data: bytes) -> bool:
    """Publish a small file unless there is one. Returns False where another came first.

    Raises StoreError where there is a symbolic link, which tells nobody whether there is a file.
    """
    if path.is_symlink():
        raise StoreError(f"{path} is a symbolic link, where the store has files of its own: remove it")
    file, _, discard = begin(path)
    try:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        os.link(file.name, path)
        _sync_folder(path.parent)
    except FileExistsError:
        return False
    finally:
        discard()
    return True


def _check_regular(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a FIFO, a device or a socket"
        raise DamagedError(f"{path} is {kind}, where a file is expected")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
