"""One file from a web server to the disk: resumed where an earlier download ended, and never too long."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from llama_core.errors import InputError
from llama_core.protocols.web import EncryptedWebFileSystem
from llama_core.url import redact

BLOCK = 8 << 20  # bytes that are asked for at a time
MOST = 16 << 30  # bytes of a file of which nobody states the size
HEADERS = {"Accept-Encoding": "identity"}  # or a range would be one of other bytes


def download(url: str, part: Path, size: int | None, told: Callable[[int, int | None], None]) -> None:
    """Write what `url` has to the file `part`, after what an earlier download has written there.

    `size`: what is known of it, in bytes; `told` is called with the bytes so far and those of the whole, if
    the server states them. Raises InputError where it is another size, or not there, and StoreError.
    """
    files, name = EncryptedWebFileSystem(headers=HEADERS), redact(url)
    try:
        info = files.info(url)
    except FileNotFoundError:
        raise InputError(f"{name} is not there: its publisher may have moved it") from None
    stated = info["size"]
    if None not in (size, stated) and size != stated:
        raise InputError(f"{name} has {stated:,} bytes, and the list has {size:,} for it")
    most = size or stated or MOST
    done = part.stat().st_size if part.exists() else 0
    if done > most or stated is None:
        part.unlink(missing_ok=True)
        done = 0
    free = shutil.disk_usage(part.parent).free
    if most != MOST and most - done > free:
        raise InputError(f"{part.parent} has room for {free:,} bytes, and {name} needs {most - done:,}")
    if done == most:
        return

    def copy(block_size: int, done: int) -> int:
        with files.open(url, block_size=block_size) as source, part.open("ab") as target:
            if done:
                source.seek(done)
            while data := source.read(BLOCK):
                done += len(data)
                if done > most:
                    raise InputError(f"{name} goes on after {most:,} bytes, which is all that it should have")
                target.write(data)
                told(done, size or stated)
        return done

    try:
        done = copy(0 if stated is None else BLOCK, done)
    except ValueError:  # by which fsspec says that the server gives no ranges
        part.unlink()
        done = copy(0, 0)
    if done != (size or stated or done):
        raise InputError(f"{name} ends after {done:,} bytes of {size or stated:,}: run the command again")


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
