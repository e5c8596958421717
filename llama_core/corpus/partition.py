"""Keys grouped through the store: what every global step of the corpus is made of.

A map shard writes its rows as runs, one for each partition of the key, into one object; or piece by piece,
into several. A reduce shard reads its run out of every object. Keys move, never text; memory holds a piece
or a partition. A reduce shard may answer: a row for each row that it read, in that order, partitioned by the
object that asked.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice, pairwise, starmap
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import xxhash

from llama_core.artifact import Shard
from llama_core.errors import DamagedError
from llama_core.step import OpenShard, Step
from llama_core.store import Store

Table = npt.NDArray[Any]  # (n,) of a structured or plain dtype
Partition = npt.NDArray[np.int64]  # (n,): the partition of each row
T = TypeVar("T")
R = TypeVar("R")

FORMAT = 2  # of the objects below; scratch shards that a later attempt uses again have it in their names
SIDE_BY_SIDE = 16  # runs that are read at the same time over a network
BLOCK = 4096  # objects whose runs are indexed together

# An entry of a table or an index says where a run is: its first row, the row after its last one, their xxh3.
_ENTRY = np.dtype([("first", "<u8"), ("last", "<u8"), ("digest", "<u8")])
_DIGEST_BYTES = 8
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # an odd constant of splitmix64


def partition_of(keys: npt.NDArray[np.uint64], n: int) -> Partition:
    """Return the partition of each key, by its high bits, so that partitions are in the order of the keys."""
    return ((keys >> np.uint64(32)) * np.uint64(n) >> np.uint64(32)).astype(np.int64)


def scattered(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return keys (uint64) for numbers that are not spread over all 64 bits, such as those of rows."""
    keys = numbers * _MIX
    keys ^= keys >> np.uint64(32)
    return keys * _MIX


def partitions_for(n_bytes: int, partition_bytes: int) -> int:
    """Return how many partitions of `partition_bytes` hold `n_bytes` of rows; at least one."""
    return max(1, -(-n_bytes // partition_bytes))


def is_in(keys: Table, ordered: Table) -> npt.NDArray[np.bool_]:
    """Tell for each key whether it is among the sorted keys `ordered`: bool, of the shape of `keys`."""
    if not len(ordered):
        return np.zeros(len(keys), bool)
    at = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    return ordered[at] == keys


def publish_runs(out: OpenShard, name: str, rows: Table, partition: Partition, n: int) -> None:
    """Publish `rows` as n runs, one a partition, in the next object that the shard has under `name`.

    A run keeps the order of the rows. After the runs comes a table of them, for `read_run` and `Runs.of`.
    """
    order = _in_runs(partition)
    bounds = np.searchsorted(partition[order], np.arange(n + 1))
    table = np.empty(n, _ENTRY)
    table["first"], table["last"] = bounds[:-1], bounds[1:]
    pieces = out.facts.setdefault(_fact(name), [])
    with out.publish(f"{out.name}/{name}.{len(pieces)}.runs") as file:
        for entry, (first, last) in zip(table, pairwise(bounds), strict=True):
            run = rows[order[first:last]].view(np.uint8).data  # `tobytes` would copy it
            entry["digest"] = xxhash.xxh3_64_intdigest(run)
            if len(run):
                file.write(run)
        file.write(data := table.tobytes())
    check = xxhash.xxh3_64_hexdigest(data)
    pieces.append({"rows": len(rows), "row_bytes": rows.dtype.itemsize, "runs": n, "table": check})


def rows_in(shard: Shard, name: str) -> int:
    """Return how many rows a shard has published under a name."""
    return sum(piece["rows"] for piece in shard.facts[_fact(name)])


def read_run(store: Store, shard: Shard, name: str, number: int, partition: int, dtype: Any) -> Table:
    """Return the run of a partition from the `number`-th object that a shard has published under `name`.

    Raises DamagedError.
    """
    piece = shard.facts[_fact(name)][number]
    whole = _object(shard, name, number)
    start = piece["rows"] * piece["row_bytes"] + partition * _ENTRY.itemsize
    data = store.read_range(whole, start, start + _ENTRY.itemsize)
    if len(data) != _ENTRY.itemsize:
        raise _damaged(store, whole)
    entry = np.frombuffer(data, _ENTRY)[0]
    if entry["last"] > piece["rows"]:
        raise _damaged(store, whole)
    return _read(store, whole, entry, np.dtype(dtype))


def _read(store: Store, name: str, entry: Any, dtype: np.dtype[Any]) -> Table:
    """Read the run of an entry. A wrong entry is noticed too: its rows do not have its digest."""
    first, last, check = entry.tolist()
    data = store.read_range(name, first * dtype.itemsize, last * dtype.itemsize) if last > first else b""
    if xxhash.xxh3_64_intdigest(data) != check:
        raise _damaged(store, name)
    return np.frombuffer(data, dtype)


def _read_table(store: Store, name: str, piece: dict[str, Any]) -> npt.NDArray[Any]:
    start = piece["rows"] * piece["row_bytes"]
    data = store.read_range(name, start, start + piece["runs"] * _ENTRY.itemsize) if piece["runs"] else b""
    if xxhash.xxh3_64_hexdigest(data) != piece["table"]:
        raise _damaged(store, name)
    return np.frombuffer(data, _ENTRY)


def _damaged(store: Store, name: str) -> DamagedError:
    return DamagedError(f"{store.url_of(name)} is damaged: delete {store.url} to make this step again")


def _object(shard: Shard, name: str, number: int) -> str:
    return shard.object(f"/{name}.{number}.runs").name


def _fact(name: str) -> str:
    return f"{name}.runs"


def as_asked(answers: Table, partition: Partition) -> Table:
    """Return the answers to the rows that were published with `partition`, in the order of those rows.

    `answers` are those to one object, one partition after another, as `Runs.read` returns them.
    """
    back = np.empty_like(answers)
    back[_in_runs(partition)] = answers
    return back


def _in_runs(partition: Partition) -> Partition:
    """Return the order of the rows in their runs."""
    is_small = not len(partition) or partition.max() < 1 << 16
    numbers = partition.astype(np.uint16) if is_small else partition  # numpy sorts 16 bits in linear time
    return np.argsort(numbers, kind="stable")


@dataclass(frozen=True)
class _Block:
    """A part of an index: the names of some objects, and then their entries, one partition after another."""

    start: int
    """Its first byte in the index."""
    objects: int
    """How many objects it is about."""
    name_bytes: int
    """The length that each of their names is filled up to."""

    def span_of_names(self) -> tuple[int, int]:
        """Return where the names are in the index: their first byte, and the one after their last."""
        return self.start, self.start + self.objects * self.name_bytes + _DIGEST_BYTES

    def span(self, partition: int) -> tuple[int, int]:
        """Return where the entries for a partition are in the index, in the same way."""
        _, first = self.span_of_names()
        entries = self.objects * _ENTRY.itemsize + _DIGEST_BYTES
        start = first + partition * entries
        return start, start + entries


@dataclass(frozen=True)
class KeyRuns:
    """The runs that the shards of a phase have published under one name, for the reduce shards to read.

    Where each run is stands in an index on the store, in blocks of `BLOCK` objects: their names, and then
    their entries, one partition after another. A reader fetches the parts that it needs. So this object stays
    small, and making it takes the memory of one block, however many runs there are.
    """

    store: Store
    """The step's folder."""
    dtype: np.dtype[Any]
    """What a row is."""
    index: str
    """Name of the object that holds the index."""
    blocks: tuple[_Block, ...]
    total: int
    """Rows of all partitions together."""

    @classmethod
    def of(cls, step: Step, shards: Iterable[Shard], name: str, dtype: Any) -> "KeyRuns":
        """Write the index of the runs that the committed `shards` have under `name`. Raises DamagedError."""
        store, index = step.folder, step.place_of(f"index-{secrets.token_hex(8)}")
        blocks: list[_Block] = []
        total = at = 0
        with store.publish(index) as file:
            for some in _in_blocks(_pieces(shards, name)):
                names = np.array([whole.encode() for whole, _ in some], "S")
                tables = np.array(list(_side_by_side(store, partial(_read_table, store), some)))
                blocks.append(_Block(at, len(some), names.itemsize))
                for part in (names, *tables.T):
                    file.write(data := part.tobytes())
                    file.write(_digest(data))
                    at += len(data) + _DIGEST_BYTES
                total += sum(piece["rows"] for _, piece in some)
        return cls(store, np.dtype(dtype), index, tuple(blocks), total)

    @property
    def objects(self) -> int:
        """How many objects hold the runs."""
        return sum(block.objects for block in self.blocks)

    def count(self, partition: int) -> int:
        """Return how many rows a partition has. Raises DamagedError."""
        return int(_sizes(self._entries(partition)).sum())

    def read(self, partition: int) -> Table:
        """Return the rows of a partition, those of one object after those of another. Raises DamagedError."""
        entries = self._entries(partition)
        whole = np.empty(int(_sizes(entries).sum()), self.dtype)
        at = 0
        for rows in self._each(entries):
            whole[at : at + len(rows)] = rows
            at += len(rows)
        return whole

    def each(self, partition: int) -> Iterator[Table]:
        """Yield the rows of a partition, those of one object at a time, in order. Raises DamagedError."""
        return self._each(self._entries(partition))

    def _each(self, entries: npt.NDArray[Any]) -> Iterator[Table]:
        run = partial(_read, self.store, dtype=self.dtype)
        return _side_by_side(self.store, run, zip(self._names, entries, strict=True))

    def owners(self, partition: int) -> Partition:
        """Return for each row of `read(partition)` the number of its object, which an answer is for."""
        return np.repeat(np.arange(self.objects), _sizes(self._entries(partition)))

    @cached_property
    def _names(self) -> list[str]:
        names: list[bytes] = []
        for block in self.blocks:
            data = self._read_index(*block.span_of_names())
            names += np.frombuffer(data, f"S{block.name_bytes}").tolist()
        return [name.decode() for name in names]

    def _entries(self, partition: int) -> npt.NDArray[Any]:
        """Return the entry of each object for a partition."""
        parts = [np.frombuffer(self._read_index(*b.span(partition)), _ENTRY) for b in self.blocks]
        return np.concatenate([np.empty(0, _ENTRY), *parts])

    def _read_index(self, start: int, end: int) -> bytes:
        data = self.store.read_range(self.index, start, end)
        data, check = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
        if len(data) + len(check) != end - start or _digest(data) != check:
            raise _damaged(self.store, self.index)
        return data


def _pieces(shards: Iterable[Shard], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects that the shards have published under a name, and what their facts say of each."""
    for shard in shards:  # there may be hundreds of thousands, so nothing else of them is kept
        for number, piece in enumerate(shard.facts[_fact(name)]):
            yield _object(shard, name, number), piece


def _in_blocks(items: Iterator[T]) -> Iterator[list[T]]:
    while some := list(islice(items, BLOCK)):
        yield some


def _side_by_side(store: Store, read: Callable[..., R], arguments: Iterable[tuple[Any, ...]]) -> Iterator[R]:
    """Yield what `read` returns for each, in order; over a network, several are read at the same time."""
    if store.is_local:
        yield from starmap(read, arguments)
        return
    arguments = iter(arguments)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        while some := list(islice(arguments, SIDE_BY_SIDE)):
            yield from pool.map(lambda given: read(*given), some)


def _sizes(entries: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return how many rows the run of each entry has."""
    return (entries["last"] - entries["first"]).astype(np.int64)


def _digest(data: bytes) -> bytes:
    return xxhash.xxh3_64_digest(data)
