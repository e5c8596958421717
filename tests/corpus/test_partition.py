"""Runs: what map shards write by partition, reduce shards read; answers come back in the order of asking."""

import pickle
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus.partition import (
    Runs,
    as_asked,
    partition_of,
    partitions_for,
    publish_runs,
    read_run,
    rows_in,
    scattered,
)
from llama_core.errors import DamagedError
from llama_core.step import Shard, Step
from llama_core.store import Object, Store

ROW = np.dtype([("key", "<u8"), ("value", "<i4")])


def rows_of(keys: list[int], shard: int) -> np.ndarray:
    rows = np.zeros(len(keys), ROW)
    rows["key"], rows["value"] = keys, shard * 1000 + np.arange(len(keys))
    return rows


def written(store: Store, shards: list[list[int]], n: int) -> tuple[Step, Runs]:
    step = Step(store, "some", 1, {"shards": shards, "n": n})
    for number, keys in enumerate(shards):
        with step.shard(f"map{number}") as out:
            rows = rows_of(keys, number)
            publish_runs(out, "rows", rows, partition_of(rows["key"], n), n)
    found = step.committed_shards([f"map{number}" for number in range(len(shards))])
    return step, Runs.of(step, found, "rows", ROW)


keys = st.lists(st.integers(0, (1 << 64) - 1), max_size=20)


def test_of_many_shards_little_is_kept_in_memory(store: Store) -> None:
    n_shards, n = 2000, 128

    def shards() -> Iterator[Shard]:
        for i in range(n_shards):
            facts = {
                "bounds": [700 * j for j in range(n + 1)],
                "digests": [f"{i + j:016x}" for j in range(n)],
            }
            name = f"map{i:06}"
            objects = (Object(f"a-1/{name}/rows.0.runs", 1, "0" * 64),)
            yield Shard(name, "0" * 64, objects, {}, {"rows.runs": [facts]})

    tracemalloc.start()
    runs = Runs.of(Step(store, "some", 1, {}), shards(), "rows", ROW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert runs.total == n_shards * 700 * n
    assert peak < n_shards * 3 * (8 * 2 * n), f"{peak // n_shards} bytes a shard"


def test_a_run_is_copied_once_to_be_published(store: Store) -> None:
    rows = np.zeros(40_000, [("value", "<u8", (32,))])
    with Step(store, "some", 1, {}).shard("map") as out:
        tracemalloc.start()
        publish_runs(out, "rows", rows, np.zeros(len(rows), np.int64), 1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1.5 * rows.nbytes


@settings(deadline=None)
@given(shards=st.lists(keys, max_size=4), n=st.integers(1, 5))
def test_every_row_is_read_once_in_the_partition_of_its_key(shards: list[list[int]], n: int) -> None:
    _, runs = written(Store("memory://partition/rows"), shards, n)
    assert runs.total == sum(map(len, shards)) == sum(runs.count(p) for p in range(n))
    seen = []
    for partition in range(n):
        rows, owners = runs.read(partition), runs.owners(partition)
        assert (partition_of(rows["key"], n) == partition).all()
        assert (rows["value"] // 1000 == owners).all()
        assert (np.diff(rows["value"]) > 0).all()  # shard by shard, in the order they were written
        seen += rows["value"].tolist()
    assert sorted(seen) == sorted(v for s, ks in enumerate(shards) for v in rows_of(ks, s)["value"].tolist())


@settings(deadline=None)
@given(shards=st.lists(keys, min_size=1, max_size=4), n=st.integers(1, 5))
def test_answers_come_back_in_the_order_of_the_rows_that_asked(shards: list[list[int]], n: int) -> None:
    step, runs = written(Store("memory://partition/answers"), shards, n)
    for partition in range(n):
        with step.shard(f"reduce{partition}") as out:
            answers = runs.read(partition)["key"] ^ np.uint64(5)
            publish_runs(out, "answers", answers, runs.owners(partition), len(shards))
    found = step.committed_shards([f"reduce{partition}" for partition in range(n)])
    replies = Runs.of(step, found, "answers", np.uint64)
    for number, asked in enumerate(shards):
        own = np.array(asked, np.uint64)
        assert as_asked(replies.read(number), partition_of(own, n)).tolist() == (own ^ np.uint64(5)).tolist()


def test_a_shard_written_in_pieces_is_read_as_its_rows_in_order(store: Store) -> None:
    step = Step(store, "some", 1, {})
    pieces = [rows_of([1 << 63, 2], 0), rows_of([], 1), rows_of([3, 1, 1 << 63], 2)]
    with step.shard("map") as out:
        for rows in pieces:
            publish_runs(out, "rows", rows, partition_of(rows["key"], 2), 2)
    [shard] = step.committed_shards(["map"])
    runs = Runs.of(step, [shard], "rows", ROW)
    assert runs.total == rows_in(shard, "rows") == 5
    assert runs.read(0)["value"].tolist() == [1, 2000, 2001] and runs.read(1)["value"].tolist() == [0, 2002]
    assert runs.owners(0).tolist() == [0, 2, 2]  # an answer is for a piece
    assert [len(rows) for rows in runs.each(1)] == [1, 0, 1]
    for number, rows in enumerate(pieces):
        own = [read_run(step.folder, shard, "rows", number, partition, ROW) for partition in range(2)]
        assert sorted(v for run in own for v in run["value"].tolist()) == rows["value"].tolist()


def test_what_a_worker_is_given_of_many_runs_is_small(store: Store) -> None:
    _, runs = written(store, [[key << 40 for key in range(50)] for _ in range(100)], 64)
    assert len(pickle.dumps(runs)) < 1000


def test_partitions_are_in_the_order_of_the_keys_and_of_like_size() -> None:
    numbers = scattered(np.arange(100_000, dtype=np.uint64))
    assert len(np.unique(numbers)) == len(numbers)
    sizes = np.bincount(partition_of(numbers, 7))
    assert len(sizes) == 7 and sizes.min() > 0.95 * sizes.max()
    assert (np.diff(partition_of(np.sort(numbers), 7)) >= 0).all()


def test_partitions_hold_no_more_than_they_may() -> None:
    assert [partitions_for(n, 100) for n in (0, 1, 100, 101, 1000)] == [1, 1, 1, 2, 10]


def test_a_damaged_run_is_named(store: Store) -> None:
    step, runs = written(store, [[1, 2, 1 << 63]], 2)
    [path] = Path(step.folder.path()).rglob("rows.0.runs")
    with path.open("r+b") as file:
        file.seek(3)
        file.write(b"\xff")
    assert len(runs.read(1)) == 1
    with pytest.raises(DamagedError, match=r"rows\.0\.runs is damaged in its run 0"):
        runs.read(0)
