"""Objects of a store: what one is known by once it is published, and the file that it is written through."""

import hashlib
import unicodedata
from dataclasses import asdict, dataclass
from typing import Annotated, Any, BinaryIO

from pydantic import AfterValidator, Field

from llama_core.errors import StoreError
from llama_core.file_system import brief, hint_of
from llama_core.parse import Count, Text, shown

PART_BYTES = 255  # bytes of a part of a name at most, as file systems have it
NAME_BYTES = 1024  # bytes of a name at most, as S3 has it


def fault_of(name: str) -> str:
    """Return why a string cannot be the name of an object, or an empty string where it can.

    A name is relative, and has parts between `/`. A part that is empty, `.` or `..` would lead elsewhere,
    and so would a backslash on some machines; a control character has no place in a path or a URL.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "it is no Unicode text"
    if size > NAME_BYTES:
        return f"it has more than {NAME_BYTES} bytes"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return f"it has a part {part!r}, which could lead out of its folder"
        if len(part.encode()) > PART_BYTES:
            return f"it has a part of more than {PART_BYTES} bytes"
    if "\\" in name or (
        not name.isprintable() and any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in name)
    ):
        return "it has a backslash, a line break or a control character"
    return ""


def check_name(name: str, url: str) -> str:
    """Return the name of an object or folder below `url`. Raises StoreError where it cannot be one."""
    if fault := fault_of(name):
        raise StoreError(f"{shown(name)!r} cannot be the name of an object on {url}: {fault}")
    return name


def _name(value: str) -> str:
    if fault := fault_of(value):
        raise ValueError(f"{shown(value)!r} cannot be the name of an object: {fault}")
    return value


def _file_name(value: str) -> str:
    if "/" in value:
        raise ValueError(f"{shown(value)!r} cannot be the name of a file: it has a /")
    return value


Name = Annotated[Text, AfterValidator(_name)]
FileName = Annotated[Name, AfterValidator(_file_name)]
Sha256 = Annotated[Text, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Object:
    """A published object: its name (relative to its folder), size in bytes and sha256 (hex digits)."""

    name: Name
    size: Count
    sha256: Sha256

    def as_dict(self) -> dict[str, Any]:
        """Return the object as a JSON value."""
        return asdict(self)


class Writer:
    """A binary file that is open for publishing. `object` is set once it is published."""

    def __init__(self, raw: BinaryIO, name: str, url: str):
        self._raw, self._name, self._url = raw, name, url
        self._hash = hashlib.sha256()
        self._size = 0
        self.object: Object | None = None

    def write(self, data: Any) -> int:
        """Write bytes, or anything that gives a view of bytes, and return their number. Raises StoreError."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self._size += len(view)
        try:
            self._raw.write(view)
        except Exception as error:
            raise StoreError(f"cannot write {self._url}: {hint_of(error) or brief(error)}") from error
        return len(view)

    def tell(self) -> int:
        """Return the number of bytes that were written."""
        return self._size

    def flush(self) -> None:
        """Do nothing: the store decides when bytes leave. Libraries that write formats call it."""

    @property
    def closed(self) -> bool:
        """True once the object is published."""
        return self.object is not None

    def writable(self) -> bool:
        """Tell that the file can be written."""
        return True

    def readable(self) -> bool:
        """Tell that the file cannot be read."""
        return False

    def seekable(self) -> bool:
        """Tell that the file has no other position than its end."""
        return False

    def close(self) -> None:
        """Do nothing: the end of the `with` block publishes. pyarrow closes the files that it is given."""

    def _seal(self) -> None:
        self.object = Object(self._name, self._size, self._hash.hexdigest())
