"""Rows of the corpus's objects by a document's id. Of an object, only the columns asked for are read."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llama_core.step import Artifact, Shard

THREADS, AT_ONCE = 8, 64  # shards read side by side, and handed out ahead of the caller

T = TypeVar("T")


@dataclass(frozen=True)
class RowAddress:
    """A row of a Parquet object of a shard."""

    artifact: Artifact
    shard: Shard
    ending: str
    row: int


def find_id(artifact: Artifact, shards: Sequence[Shard], ending: str, document_id: str) -> RowAddress | None:
    """Where a document stands among these shards. Of the objects, only the ids are read."""

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
    """One row of an object, of which one row group is read."""
    before = 0
    for batch in batches(place.artifact, place.shard, place.ending, columns):
        if place.row < before + batch.num_rows:
            return batch.slice(place.row - before, 1).to_pylist()[0]
        before += batch.num_rows
    raise AssertionError("a place is in its object")


def batches(artifact: Artifact, shard: Shard, ending: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a shard's object, if it has it, a row group at a time."""
    for entry in shard.objects:
        if entry.name.endswith(ending):
            with artifact.store.open(entry.name) as file, pq.ParquetFile(file) as parquet:
                for group in range(parquet.num_row_groups):
                    yield parquet.read_row_group(group, columns=columns).combine_chunks().to_batches()[0]


def side_by_side(work: Callable[[Shard], T], shards: Iterable[Shard]) -> Generator[T]:
    """`work` on each shard, some at a time, in order; no further one is begun where the caller stops."""
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
