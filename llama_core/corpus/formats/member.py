"""A member of an archive, as `archives` gives it, whatever the format."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_UNSAFE = re.compile(r"/|[A-Za-z]:|.*\0|(?:.*/)?\.\.(?:/|$)", re.DOTALL)

_MAX_NAME = 4096  # characters, as in Linux

Wanted = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Member:
    """`kind`: file, folder, link, device or other. `offset`: of its header, in the zip or the unpacked tar.

    `error`: why its content is not to be had. One without a name stands for a fault of the archive itself.
    """

    name: str
    offset: int
    kind: str = "file"
    error: str = ""


def name_error(name: str) -> str:
    """Why a name may not be that of a file inside of an archive, or nothing."""
    if len(name) > _MAX_NAME:
        return "long_name"
    return "unsafe_path" if not name or _UNSAFE.match(name.replace("\\", "/")) else ""
