"""Count what the processes of a pipeline ask of the store: `benchmarks.scale` puts this folder on PYTHONPATH.

LLAMA_COUNTS names a folder, where each process maps a file of numbers into memory: a kill loses nothing.
"""

import importlib.abc
import importlib.util
import mmap
import os
import struct
import sys

COUNTERS = ("reads", "writes", "lists", "bytes_read", "bytes_written", "bytes_shuffled")
SIZE = 8 * len(COUNTERS)


class Tally:
    """The counters of this process, in a file of `folder` that is mapped into memory."""

    def __init__(self, folder):  # type: ignore[no-untyped-def]
        path = os.path.join(folder, f"{os.getpid()}.counts")
        with open(path, "w+b") as file:
            file.truncate(SIZE)
            self._map = mmap.mmap(file.fileno(), SIZE)

    def add(self, name, by=1):  # type: ignore[no-untyped-def]
        """Add `by` to the counter `name`, which is one of COUNTERS."""
        at = 8 * COUNTERS.index(name)
        (value,) = struct.unpack_from("<Q", self._map, at)
        struct.pack_into("<Q", self._map, at, value + by)


def patch(module):  # type: ignore[no-untyped-def]
    """Replace methods of `llama_core.store`, so that they count their calls and bytes."""
    tally = Tally(os.environ["LLAMA_COUNTS"])
    store = module.Store

    def counted(name, counter, size=lambda result: 0):  # type: ignore[no-untyped-def]
        call = getattr(store, name)

        def wrapper(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            result = call(self, *args, **kwargs)
            tally.add(counter)
            tally.add("bytes_read", size(result))
            return result

        setattr(store, name, wrapper)

    for name in ("read", "read_range"):
        counted(name, "reads", len)
    counted("open", "reads")
    counted("exists", "reads")
    counted("sizes", "lists")
    many, seal, create = store.read_many, module.Writer._seal, store.create

    def read_many(self, names):  # type: ignore[no-untyped-def]
        found = many(self, names)
        tally.add("reads", len(found))
        tally.add("bytes_read", sum(map(len, found)))
        return found

    def sealed(self):  # type: ignore[no-untyped-def]
        seal(self)
        tally.add("writes")
        tally.add("bytes_written", self.object.size)
        if self.object.name.endswith(".runs"):
            tally.add("bytes_shuffled", self.object.size)

    def created(self, name, data):  # type: ignore[no-untyped-def]
        tally.add("writes")
        return create(self, name, data)

    store.read_many, module.Writer._seal, store.create = read_many, sealed, created


class Finder(importlib.abc.MetaPathFinder):
    """An import hook that patches `llama_core.store` when it is first imported."""

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name != "llama_core.store":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module):  # type: ignore[no-untyped-def]
            run(module)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "LLAMA_COUNTS" in os.environ:
    sys.meta_path.insert(0, Finder())
