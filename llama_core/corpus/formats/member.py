"""A member of a tar or zip archive, as `archives` yields it, and the names that are refused."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_UNSAFE = re.compile(r"/|[A-Za-z]:|.*\0|(?:.*/)?\.\.(?:/|$)", re.DOTALL)

_MAX_NAME = 4096  # characters; Linux allows as many bytes in a path

Wanted = Callable[[str], bool]  # tells by a member's name whether its content is read


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive, or, if it has no name, a fault of the archive itself."""

    name: str
    offset: int
    """Offset of its header in the zip, or in the decompressed tar."""
    kind: str = "file"
    """One of file, folder, link, device and other."""
    error: str = ""
    """The name of the error why its content cannot be read."""


def name_error(name: str) -> str:
    """Return the name of the error why an archive's file may not have this name, or an empty string."""
    if len(name) > _MAX_NAME:
        return "long_name"
    return "unsafe_path" if not name or _UNSAFE.match(name.replace("\\", "/")) else ""
