"""The folder of a model in a format of others, and what a manifest says of its files, where there is one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from llama_core.errors import DamagedError
from llama_core.objects import Object
from llama_core.parse import MOST_BYTES
from llama_core.store import CHUNK, Store


@dataclass(frozen=True)
class Folder:
    """A folder, and its objects by name where a manifest has their digests."""

    store: Store
    manifest: Mapping[str, Object] | None = None

    def entry(self, name: str) -> Object | None:
        """Return what the manifest says of a file. Raises DamagedError for one that it does not name."""
        if self.manifest is None:
            return None
        if name not in self.manifest:
            raise DamagedError(f"{self.store.url_of(name)} is in no manifest: nobody has checked it")
        return self.manifest[name]

    def has(self, name: str) -> bool:
        """Tell whether there is a file of this name, by the manifest if there is one."""
        return self.store.exists(name) if self.manifest is None else name in self.manifest

    def read(self, name: str) -> bytes:
        """Return a small file. Raises DamagedError."""
        return self.store.read(name, self.entry(name), MOST_BYTES)

    def check(self, name: str) -> None:
        """Read a file that a manifest tells of, and compare its digest. Raises DamagedError."""
        if (entry := self.entry(name)) and digest(self.store, name, "sha256") != entry.sha256:
            raise DamagedError(
                f"{self.store.url_of(name)} is damaged: its bytes differ from its manifest. "
                "Delete the step's folder to make it again."
            )


def digest(store: Store, name: str, algorithm: str) -> str:
    """Return the digest of an object (hex digits), which is read as a stream."""
    found = hashlib.new(algorithm, usedforsecurity=False)
    with store.open(name) as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()
