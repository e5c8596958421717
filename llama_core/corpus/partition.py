"""Keys grouped through the store: what every global step of the corpus is made of.

A map shard writes its rows as runs, one for each partition of the key, into one object. A reduce shard
reads its run out of every object. Keys move, never text; memory holds one partition. A reduce shard may
answer: a row for each row that it read, in that order, partitioned by the map shard that asked.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from llama_core.errors import DamagedError
from llama_core.step import OpenShard, Shard
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
    """Publish `rows` as the object `<shard>/<name>.runs`, in n runs, each in the order of the rows."""
    order = _in_runs(partition)
    bounds = np.searchsorted(partition[order], np.arange(n + 1))
    with out.publish(f"{out.name}/{name}.runs") as file:
        digests = []
        for first, last in pairwise(bounds):
            run = rows[order[first:last]].view(np.uint8).data  # not a copy of it, as bytes are
            digests.append(xxhash.xxh3_64_intdigest(run))
            if len(run):
                file.write(run)
    out.facts[f"{name}.runs"] = {"bounds": bounds.tolist(), "digests": [f"{d:016x}" for d in digests]}


def as_asked(answers: Rows, partition: Partition) -> Rows:
    """Answers to the rows that were published with `partition`, in the order of those rows.

    `answers`: of one map shard, partition by partition, as `Runs.read` gives them.
    """
    back = np.empty_like(answers)
    back[_in_runs(partition)] = answers
    return back


def _in_runs(partition: Partition) -> Partition:
    """The order of rows in runs. A stable sort of 16-bit numbers is linear in numpy."""
    few = not len(partition) or partition.max() < 1 << 16
    return np.argsort(partition.astype(np.uint16) if few else partition, kind="stable")


@dataclass
class Runs:
    """The runs of one kind that the shards of a phase have written, for the reduce shards to read."""

    store: Store
    dtype: np.dtype[Any]
    names: list[str]  # of the shards
    objects: list[str]
    bounds: npt.NDArray[np.int64]  # (shards, partitions + 1), in rows
    digests: npt.NDArray[np.uint64]  # (shards, partitions)

    @classmethod
    def of(cls, store: Store, shards: Iterable[Shard], name: str, dtype: Any) -> "Runs":
        """`store`: the step's folder; `shards`: committed, with an object `<name>.runs` each."""
        names, objects, bounds, digests = [], [], [], []
        for shard in shards:  # there may be hundreds of thousands: nothing else of them is kept
            facts = shard.facts[f"{name}.runs"]
            names.append(shard.name)
            objects.append(shard.object(f"/{name}.runs").name)
            bounds.append(np.array(facts["bounds"], np.int64))
            digests.append(np.array([int(d, 16) for d in facts["digests"]], np.uint64))
        whole = np.array(bounds, np.int64), np.array(digests, np.uint64)
        return cls(store, np.dtype(dtype), names, objects, *whole)

    @property
    def total(self) -> int:
        """Rows of all partitions."""
        return int(self.bounds[:, -1].sum()) if self.objects else 0

    def count(self, partition: int) -> int:
        """Rows of a partition."""
        return int(self._counts(partition).sum())

    def read(self, partition: int) -> Rows:
        """The rows of a partition, shard by shard. Raises DamagedError."""
        whole = np.empty(self.count(partition), self.dtype)
        at = 0
        for rows in self._each(partition):
            whole[at : at + len(rows)] = rows
            at += len(rows)
        return whole

    def _each(self, partition: int) -> Iterator[Rows]:
        """The runs of a partition, in order. Over a network, several are asked for side by side."""
        read, shards = partial(self.read_one, partition=partition), range(len(self.objects))
        if self.store.is_local:
            yield from map(read, shards)
            return
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for start in shards[::SIDE_BY_SIDE]:
                yield from pool.map(read, shards[start : start + SIDE_BY_SIDE])

    def owners(self, partition: int) -> Partition:
        """The shard that has written each row of `read(partition)`: whom an answer is for."""
        return np.repeat(np.arange(len(self.objects)), self._counts(partition))

    def read_one(self, shard: int, partition: int) -> Rows:
        """The rows of a partition that the `shard`-th shard has written. Raises DamagedError."""
        first, last = self.bounds[shard, partition : partition + 2]
        if first == last:
            return np.empty(0, self.dtype)
        size = self.dtype.itemsize
        name = self.objects[shard]
        data = self.store.read_range(name, int(first) * size, int(last) * size)
        if xxhash.xxh3_64_intdigest(data) != int(self.digests[shard, partition]):
            raise DamagedError(
                f"{self.store.url_of(name)} is damaged in its run {partition}: "
                f"delete {self.store.url} to make this step again"
            )
        return np.frombuffer(data, self.dtype)

    def _counts(self, partition: int) -> Partition:
        if not self.objects:
            return np.zeros(0, np.int64)
        return self.bounds[:, partition + 1] - self.bounds[:, partition]
