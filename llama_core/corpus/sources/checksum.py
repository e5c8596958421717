"""The checksum that a list states of a file, computed from the bytes that pass by while the file is read."""

import hashlib

from llama_core.errors import InputError


class Checksum:
    """Hashes a file from its start while it is read, and compares the sum with the stated one.

    Only bytes that follow on those hashed so far are hashed. So a stream is hashed as it is read; an archive
    that is read in parts is hashed up to the first part that was skipped, and the rest is to be read again.
    """

    def __init__(self, stated: str):
        """Begin a checksum that is to be `stated`: its kind and its value, as in `sha1:1f0a...`."""
        self._kind, _, self._stated = stated.partition(":")
        self._hash = hashlib.new(self._kind, usedforsecurity=False)
        self.at = 0  # the file is hashed up to here
        self.is_whole = False  # up to its end

    def take(self, at: int, piece: bytes) -> None:
        """Hash a piece that was read at the offset `at`; an empty one says that the file ends there."""
        if at <= self.at <= at + len(piece):
            self._hash.update(memoryview(piece)[self.at - at :])
            self.at = at + len(piece)
            if not piece:
                self.is_whole = True

    def check(self, url: str) -> None:
        """Compare the checksum with the stated one. Raises InputError where it is another one."""
        if (found := self._hash.hexdigest()) != self._stated.lower():
            raise InputError(
                f"{url} has the {self._kind} {found}, its list says {self._stated}: get it again"
            )
