"""Published lists of files: what a public source says that it holds, with sizes and checksums."""

from dataclasses import dataclass
from typing import Any

LISTED = "list+"  # before the URL of a list; `#GLOB` after it chooses among the names


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a list. `checksum`: `sha1:...` or `md5:...`, empty where the list states none."""

    url: str
    size: int | None = None
    checksum: str = ""

    def identity(self) -> list[Any]:
        return [self.url, self.size, self.checksum]


def parse_listing(pattern: str, data: bytes) -> list[Entry]:
    """The files of a list at `list+URL[#GLOB]`. Raises InputError where it is no list that is known."""
    raise NotImplementedError
