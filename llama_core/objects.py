"""Objects of a store: what one is known by once it is published, and the file that it is written through."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from llama_core.errors import StoreError
from llama_core.file_system import brief, hint_of


@dataclass(frozen=True)
class Object:
    """A published object: its name (relative to its folder), size in bytes and sha256 (hex digits)."""

    name: str
    size: int
    sha256: str

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
