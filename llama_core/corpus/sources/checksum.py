"""The checksum that a list states of a file, taken of the bytes that pass by while the file is read."""

import hashlib

from llama_core.errors import InputError


class Checksum:
    """Of a file from its start to `at`. What is read beyond `at` is not taken: it is to be read again.

    So a stream is hashed as it is read, and of an archive that is read in parts, what stands before the first
    part that was skipped. `is_whole`: the file's end was seen.
    """

    def __init__(self, stated: str):
        self._kind, _, self._stated = stated.partition(":")
        self._hash = hashlib.new(self._kind, usedforsecurity=False)
        self.at = 0
        self.is_whole = False

    def take(self, at: int, piece: bytes) -> None:
        """What was read at `at`; nothing, where that is the end of the file."""
        if at <= self.at <= at + len(piece):
            self._hash.update(memoryview(piece)[self.at - at :])
            self.at = at + len(piece)
            self.is_whole |= not piece

    def check(self, url: str) -> None:
        """Raises InputError where the sum of what was taken is another one than was stated."""
        if (found := self._hash.hexdigest()) != self._stated.lower():
            raise InputError(
                f"{url} has the {self._kind} {found}, its list says {self._stated}: get it again"
            )
