"""Finds rows of the corpus's objects by a document's id. Only the columns that are asked for are read."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from llama_core.artifact import Artifact, Shard
from llama_core.corpus.table import read_groups

THREADS = 8  # shards that are read side by side
AT_ONCE = 64  # shards that are read ahead of the caller, at most

T = TypeVar("T")


@dataclass(frozen=True)
class RowAddress:
    """The place of a row: an object of a shard, and the row's number in it."""

    artifact: Artifact
    shard: Shard
    ending: str
    """How the object's name ends."""
    row: int
    """Counted from 0."""


def find_id(artifact: Artifact, shards: Sequence[Shard], ending: str, document_id: str) -> RowAddress | None:
    """Return the place of a document in these shards, or None. Of their objects, only the ids are read."""

    def row_in(shard: Shard) -> RowAddress | None:
        before = 0
        for batch in batches(artifact, shard, ending, ["id"]):
            row = pc.index(batch.column("id"), document_id).as_py()
            if row >= 0:
                return RowAddress(artifact, shard, ending, before + row)
            before += batch.num_rows
        return None

    return next(filter(None, side_by_side(row_in, shards)), None)


def read_row(place: RowAddress, columns: list[str]) -> dict[str, Any]:
    """Return these columns of one row."""
    before = 0
    for batch in batches(place.artifact, place.shard, place.ending, columns):
        if place.row < before + batch.num_rows:
            return batch.slice(place.row - before, 1).to_pylist()[0]
        before += batch.num_rows
    raise AssertionError("a place is in its object")


def batches(artifact: Artifact, shard: Shard, ending: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield columns of the object of a shard that ends in `ending`, a row group at a time.

    Yields nothing where the shard has no such object. Its digest is not checked. Raises DamagedError.
    """
    for entry in shard.objects:
        if entry.name.endswith(ending):
            yield from read_groups(artifact.store, entry, columns, checked=False)


def side_by_side(work: Callable[[Shard], T], shards: Iterable[Shard]) -> Generator[T]:
    """Yield what `work` returns for each shard, in order, while threads work on the next ones.

    When the caller stops, no further shard is begun.
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for shard in shards:
                waiting.append(pool.submit(work, shard))
                if len(waiting) == AT_ONCE:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
