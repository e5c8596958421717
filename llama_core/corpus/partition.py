"""Keys grouped through the store: what every global step of the corpus is made of.

A map shard writes its rows as runs, one for each partition of the key, into one object; or piece by piece,
into several. A reduce shard reads its run out of every object. Keys move, never text; memory holds a piece
or a partition. A reduce shard may answer: a row for each row that it read, in that order, partitioned by the
object that asked.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from llama_core.errors import DamagedError
from llama_core.step import OpenShard, Shard, Step
from llama_core.store import Store

Rows = npt.NDArray[Any]  # (n,) of a structured or plain dtype
Partition = npt.NDArray[np.int64]  # (n,) of each row

SIDE_BY_SIDE = 16  # runs that are read at a time over a network

_MIX = np.uint64(0xBF58476D1CE4E5B9)  # an odd constant of splitmix64


def partition_of(keys: npt.NDArray[np.uint64], n: int) -> Partition:
    """The partition of each key, by its high bits, so that partitions are in the order of the keys."""
    return ((keys >> np.uint64(32)) * np.uint64(n) >> np.uint64(32)).astype(np.int64)


def scattered(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """uint64: keys for numbers that are not spread over all 64 bits, such as those of rows."""
    keys = numbers * _MIX
    keys ^= keys >> np.uint64(32)
    return keys * _MIX


def partitions_for(n_bytes: int, partition_bytes: int) -> int:
    """How many partitions hold `n_bytes` of rows; at least one."""
    return max(1, -(-n_bytes // partition_bytes))


def publish_runs(out: OpenShard, name: str, rows: Rows, partition: Partition, n: int) -> None:
    """Publish `rows` in n runs, each in the order of the rows, as the next object of the shard's `name`."""
    order = _in_runs(partition)
    bounds = np.searchsorted(partition[order], np.arange(n + 1))
    pieces = out.facts.setdefault(_fact(name), [])
    with out.publish(f"{out.name}/{name}.{len(pieces)}.runs") as file:
        digests = []
        for first, last in pairwise(bounds):
            run = rows[order[first:last]].view(np.uint8).data  # not a copy of it, as bytes are
            digests.append(xxhash.xxh3_64_intdigest(run))
            if len(run):
                file.write(run)
    pieces.append({"bounds": bounds.tolist(), "digests": [f"{d:016x}" for d in digests]})


def rows_in(shard: Shard, name: str) -> int:
    """How many rows a shard has published under a name."""
    return sum(piece["bounds"][-1] for piece in shard.facts[_fact(name)])


def read_run(store: Store, shard: Shard, name: str, number: int, partition: int, dtype: Any) -> Rows:
    """A run that one shard has published, in its `number`-th object of a name. Raises DamagedError."""
    piece = shard.facts[_fact(name)][number]
    bounds = piece["bounds"][partition : partition + 2]
    check = int(piece["digests"][partition], 16)
    return _read(store, _object(shard, name, number), bounds, check, partition, np.dtype(dtype))


def _read(
    store: Store, name: str, bounds: Sequence[int], check: int, partition: int, dtype: np.dtype[Any]
) -> Rows:
    first, last = (row * dtype.itemsize for row in bounds)
    data = store.read_range(name, first, last) if last > first else b""
    if xxhash.xxh3_64_intdigest(data) != check:
        raise DamagedError(
            f"{store.url_of(name)} is damaged in its run {partition}: "
            f"delete {store.url} to make this step again"
        )
    return np.frombuffer(data, dtype)


def _object(shard: Shard, name: str, number: int) -> str:
    return shard.object(f"/{name}.{number}.runs").name


def _fact(name: str) -> str:
    return f"{name}.runs"


def as_asked(answers: Rows, partition: Partition) -> Rows:
    """Answers to the rows that were published with `partition`, in the order of those rows.

    `answers`: to one object, partition by partition, as `Runs.read` gives them.
    """
    back = np.empty_like(answers)
    back[_in_runs(partition)] = answers
    return back


def _in_runs(partition: Partition) -> Partition:
    """The order of rows in runs. A stable sort of 16-bit numbers is linear in numpy."""
    few = not len(partition) or partition.max() < 1 << 16
    return np.argsort(partition.astype(np.uint16) if few else partition, kind="stable")


_ENTRY = np.dtype([("first", "<u8"), ("last", "<u8"), ("digest", "<u8")])  # of an index: a run, in rows


@dataclass(frozen=True)
class Runs:
    """The runs of one kind that the shards of a phase have written, for the reduce shards to read.

    Where each run lies stands in an index on the store: the names of the objects, in as many bytes each, and
    then an entry for each object, partition by partition. So a reader fetches what it needs of it, and this
    stays small, however many runs there are.
    """

    store: Store  # the step's folder
    dtype: np.dtype[Any]
    index: str
    name_bytes: int
    objects: int
    total: int  # rows of all partitions

    @classmethod
    def of(cls, step: Step, shards: Iterable[Shard], name: str, dtype: Any) -> "Runs":
        """Write the index. `shards`: committed, with objects of runs under `name` each."""
        names, bounds, digests = [], [], []
        for shard in shards:  # there may be hundreds of thousands: nothing else of them is kept
            for number, piece in enumerate(shard.facts[_fact(name)]):
                names.append(_object(shard, name, number).encode())
                bounds.append(np.array(piece["bounds"], np.uint64))
                digests.append(np.array([int(d, 16) for d in piece["digests"]], np.uint64))
        table, checks = np.array(bounds), np.array(digests)
        index = f"{step.attempt}/index-{secrets.token_hex(8)}"
        fixed = np.array(names, "S")
        with step.folder.publish(index) as file:
            file.write(fixed.tobytes())
            entries = np.empty(len(names), _ENTRY)
            for partition in range(checks.shape[1] if names else 0):
                entries["first"], entries["last"] = table[:, partition], table[:, partition + 1]
                entries["digest"] = checks[:, partition]
                file.write(entries.tobytes())
        total = int(table[:, -1].sum()) if names else 0
        return cls(step.folder, np.dtype(dtype), index, fixed.itemsize, len(names), total)

    def count(self, partition: int) -> int:
        """Rows of a partition."""
        return int(_sizes(self._entries(partition)).sum())

    def read(self, partition: int) -> Rows:
        """The rows of a partition, object by object. Raises DamagedError."""
        entries = self._entries(partition)
        whole = np.empty(int(_sizes(entries).sum()), self.dtype)
        at = 0
        for rows in self._each(partition, entries):
            whole[at : at + len(rows)] = rows
            at += len(rows)
        return whole

    def each(self, partition: int) -> Iterator[Rows]:
        """The rows of a partition that each object holds, in order. Raises DamagedError."""
        return self._each(partition, self._entries(partition))

    def _each(self, partition: int, entries: npt.NDArray[Any]) -> Iterator[Rows]:
        """Over a network, several are asked for side by side."""
        run = partial(self._run, partition=partition)
        if self.store.is_local:
            yield from map(run, self._names, entries)
            return
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for start in range(0, self.objects, SIDE_BY_SIDE):
                some = slice(start, start + SIDE_BY_SIDE)
                yield from pool.map(run, self._names[some], entries[some])

    def owners(self, partition: int) -> Partition:
        """The object that holds each row of `read(partition)`: whom an answer is for."""
        return np.repeat(np.arange(self.objects), _sizes(self._entries(partition)))

    def _run(self, name: bytes, entry: Any, partition: int) -> Rows:
        first, last, check = entry.tolist()
        return _read(self.store, name.decode(), (first, last), check, partition, self.dtype)

    @cached_property
    def _names(self) -> list[bytes]:
        data = self._read_index(0, self.objects * self.name_bytes)
        return np.frombuffer(data, f"S{self.name_bytes}").tolist()

    def _entries(self, partition: int) -> npt.NDArray[Any]:
        """Of each object, where its run of a partition lies."""
        start = self._start_of(partition)
        return np.frombuffer(self._read_index(start, self._start_of(partition + 1)), _ENTRY)

    def _start_of(self, partition: int) -> int:
        return self.objects * (self.name_bytes + partition * _ENTRY.itemsize)

    def _read_index(self, start: int, end: int) -> bytes:
        return self.store.read_range(self.index, start, end) if end > start else b""


def _sizes(entries: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Rows of runs."""
    return (entries["last"] - entries["first"]).astype(np.int64)
