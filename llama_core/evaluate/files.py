"""The files of the benchmarks, below one folder of a store."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

from llama_core.corpus.decontaminate.evaluation_sets import content_of
from llama_core.corpus.formats.streams import chunks
from llama_core.errors import InputError
from llama_core.evaluate.benchmark import Benchmark, Dataset, File
from llama_core.store import Store


class NotThere(InputError):
    """A benchmark's files are not there; the message says which."""


class Folder:
    """The folder with the benchmarks' files. `url` None: there is none.

    Raises StoreError where it cannot be listed.
    """

    def __init__(self, url: str | None):
        self._store = None if url is None else Store(url)
        self._names = [] if self._store is None else sorted(self._store.list())

    def names(self, benchmark: Benchmark[Any]) -> dict[str, list[str]]:
        """Return the names of the files of a benchmark, by role. Raises NotThere."""
        if self._store is None:
            raise NotThere("evaluate.data names no folder with the benchmarks' files")
        if not self._names:
            raise NotThere(f"there is nothing in {self._store.url}")
        found = {}
        for role, wanted in benchmark.files.items():
            matches = ([n for n in self._names if fnmatch(_unpacked(n), p)] for p in wanted.patterns)
            found[role] = next((names for names in matches if names), [])
            if wanted.needed and not found[role]:
                raise NotThere(f"{self._store.url} has no file like {wanted.patterns[0]}")
        return found

    def read(self, benchmark: Benchmark[Any]) -> dict[str, list[File]]:
        """Return the files of a benchmark, by role. Raises NotThere, and InputError where one is damaged."""
        return {role: [self._file(name) for name in names] for role, names in self.names(benchmark).items()}

    def load(self, benchmark: Benchmark[Any]) -> Dataset[Any]:
        """Return what the files of a benchmark hold. Raises NotThere, and InputError."""
        dataset = benchmark.load(self.read(benchmark))
        if not dataset.items:
            raise InputError(f"the files of {benchmark.name} have no items")
        return dataset

    def _file(self, name: str) -> File:
        assert self._store is not None
        pieces = list(chunks(io.BytesIO(content_of(self._store, name)), name.lower()))
        if pieces and isinstance(error := pieces[-1], str):
            raise InputError(f"{self._store.url_of(name)} cannot be unpacked: {error.replace('_', ' ')}")
        content = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        return File(_unpacked(name), content)


def digest(files: Mapping[str, Sequence[File]]) -> str:
    """Return the digest of a benchmark's files: their roles, names, sizes and contents."""
    total = hashlib.sha256()
    for role, found in sorted(files.items()):
        for file in found:
            line = f"{role}:{file.name}:{len(file.content)}:{hashlib.sha256(file.content).hexdigest()}\n"
            total.update(line.encode())
    return total.hexdigest()


def _unpacked(name: str) -> str:
    """Return a file's name without the ending that says how it is packed."""
    return name.removesuffix(".gz").removesuffix(".zst")
