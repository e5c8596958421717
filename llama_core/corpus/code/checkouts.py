"""The files of a folder on this machine, as the source of code walks it. No link is followed."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from llama_core.errors import StoreError

_GIT = (".git", ".hg", ".svn")
_MAX_CONFIG = 1 << 16


@dataclass(frozen=True, slots=True)
class CheckoutFile:
    """One thing in a checkout.

    `name`: its path from the root, with `/`. `kind`: file, link, device, metadata (a whole folder such as
    `.git`), or unreadable_folder.
    """

    name: str
    kind: str


def path_of(url: str) -> Path:
    """Return the path on this machine that a path or `file://` URL names."""
    return Path(url.removeprefix("file://"))


def walk(root: Path) -> Iterator[CheckoutFile]:
    """Yield everything below `root` but the folders themselves, in the order of the names."""
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(root / folder) as found:
                entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
        except OSError:
            yield CheckoutFile(folder, "unreadable_folder")
            continue
        below: list[str] = []
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name in _GIT:
                yield CheckoutFile(name, "metadata")
            elif entry.is_symlink():
                yield CheckoutFile(name, "link")
            elif entry.is_dir(follow_symlinks=False):
                below.append(name)
            else:
                yield CheckoutFile(name, "file" if entry.is_file(follow_symlinks=False) else "device")
        pending += below[::-1]


def read(root: Path, entry: CheckoutFile, limit: int) -> bytes | str:
    """Return a file's content, or an error's name if it has more than `limit` bytes or cannot be opened.

    Since it was listed the file may have gone, or become another thing. Raises StoreError if reading fails
    half-way.
    """
    try:
        descriptor = os.open(root / entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return "unreadable_file"
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "unreadable_file"
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise StoreError(f"cannot read {root / entry.name}: {error}") from error
    return data if len(data) <= limit else "too_long"


def origin(root: Path) -> tuple[str, str]:
    """Return the URL that a checkout was cloned from and its commit; either is empty if git does not say it.

    A URL that holds a password is not given.
    """
    config = _text(root / ".git/config")
    found = re.search(r'\[remote "origin"\][^\[]*?^\s*url\s*=\s*(\S+)', config, re.MULTILINE)
    url = found[1] if found and not urlsplit(found[1]).password else ""
    head = _text(root / ".git/HEAD").strip()
    if named := re.fullmatch(r"ref: (refs/[\w./-]+)", head):
        head = "" if ".." in named[1] else _text(root / ".git" / named[1]).strip()
        if not head:
            packed = re.search(
                rf"^([0-9a-f]{{40,64}}) {re.escape(named[1])}$",
                _text(root / ".git/packed-refs"),
                re.MULTILINE,
            )
            head = packed[1] if packed else ""
    return url, head if re.fullmatch(r"[0-9a-f]{40,64}", head) else ""


def _text(path: Path) -> str:
    """Return a file's text; empty if it cannot be read or is too long."""
    data = read(path.parent, CheckoutFile(path.name, "file"), _MAX_CONFIG)
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else ""
