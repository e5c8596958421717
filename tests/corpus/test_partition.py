"""Runs: what map shards write by partition, reduce shards read; answers come back in the order of asking."""

import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus import partition as partition_module
from llama_core.corpus.partition import (
    KeyRuns,
    as_asked,
    partition_of,
    partitions_for,
    publish_runs,
    read_run,
    rows_in,
    scattered,
)
from llama_core.errors import DamagedError
from llama_core.step import Step
from llama_core.store import Store

ROW = np.dtype([("key", "<u8"), ("value", "<i4")])


def rows_of(keys: list[int], shard: int) -> np.ndarray:
    rows = np.zeros(len(keys), ROW)
    rows["key"], rows["value"] = keys, shard * 1000 + np.arange(len(keys))
    return rows


def written(store: Store, shards: list[list[int]], n: int) -> tuple[Step, KeyRuns]:
    step = Step(store, "some", 1, {"shards": shards, "n": n})
    for number, keys in enumerate(shards):
        with step.shard(f"map{number}") as out:
            rows = rows_of(keys, number)
            publish_runs(out, "rows", rows, partition_of(rows["key"], n), n)
    found = step.committed_shards([f"map{number}" for number in range(len(shards))])
    return step, KeyRuns.of(step, found, "rows", ROW)


keys = st.lists(st.integers(0, (1 << 64) - 1), max_size=20)


@pytest.mark.slow
def test_who_makes_the_index_of_many_runs_holds_a_block_of_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_module, "BLOCK", 16)
    n_shards, n = 400, 1000
    step = Step(store, "some", 1, {})
    for number in range(n_shards):
        with step.shard(f"map{number:03}") as out:
            publish_runs(out, "rows", rows_of([number << 55], number), np.zeros(1, np.int64), n)
    names = [f"map{number:03}" for number in range(n_shards)]
    tracemalloc.start()
    runs = KeyRuns.of(step, step.each_committed(names), "rows", ROW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert runs.read(0)["value"].tolist() == [1000 * number for number in range(n_shards)]
    assert runs.total == n_shards and runs.count(1) == 0
    assert runs.owners(0).tolist() == list(range(n_shards))
    assert peak < 5 * 16 * n * 24 < n_shards * n * 24 / 4, f"{peak >> 20} MB"


def test_a_run_is_copied_once_to_be_published(store: Store) -> None:
    rows = np.zeros(40_000, [("value", "<u8", (32,))])
    with Step(store, "some", 1, {}).shard("map") as out:
        tracemalloc.start()
        publish_runs(out, "rows", rows, np.zeros(len(rows), np.int64), 1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1.5 * rows.nbytes


@settings(deadline=None, max_examples=50)
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


@settings(deadline=None, max_examples=50)
@given(shards=st.lists(keys, min_size=1, max_size=4), n=st.integers(1, 5))
def test_answers_come_back_in_the_order_of_the_rows_that_asked(shards: list[list[int]], n: int) -> None:
    step, runs = written(Store("memory://partition/answers"), shards, n)
    for partition in range(n):
        with step.shard(f"reduce{partition}") as out:
            answers = runs.read(partition)["key"] ^ np.uint64(5)
            publish_runs(out, "answers", answers, runs.owners(partition), len(shards))
    found = step.committed_shards([f"reduce{partition}" for partition in range(n)])
    replies = KeyRuns.of(step, found, "answers", np.uint64)
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
    runs = KeyRuns.of(step, [shard], "rows", ROW)
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


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)


def test_a_damaged_run_is_named(store: Store) -> None:
    step, runs = written(store, [[1, 2, 1 << 63]], 2)
    [path] = Path(step.folder.path()).rglob("rows.0.runs")
    damage(path, 3)
    assert len(runs.read(1)) == 1
    with pytest.raises(DamagedError, match=r"rows\.0\.runs is damaged"):
        runs.read(0)


def test_no_damage_to_where_runs_lie_goes_unseen(store: Store) -> None:
    step, runs = written(store, [[1, 2, 1 << 63], [], [5]], 2)
    [path] = Path(step.folder.path()).rglob("index-*")
    whole = path.read_bytes()
    for at in range(len(whole)):
        damage(path, at)
        again = replace(runs)  # what it has read is forgotten
        with pytest.raises(DamagedError, match="index-.* is damaged"):
            for number in range(2):
                again.read(number)
        path.write_bytes(whole)
    for size in (0, 10, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(DamagedError, match="index-.* is damaged"):
            replace(runs).owners(1)
    path.write_bytes(whole)
    assert len(runs.read(0)) + len(runs.read(1)) == 4


def test_no_damage_to_the_table_behind_runs_goes_unseen(store: Store) -> None:
    step, _ = written(store, [[1, 2, 1 << 63]], 2)
    [path] = Path(step.folder.path()).rglob("rows.0.runs")
    [shard] = step.committed_shards(["map0"])
    for at in range(path.stat().st_size):
        damage(path, at)
        with pytest.raises(DamagedError, match=r"rows\.0\.runs is damaged"):
            for number in range(2):
                read_run(step.folder, shard, "rows", 0, number, ROW)
        if at >= 3 * ROW.itemsize:
            with pytest.raises(DamagedError, match=r"rows\.0\.runs is damaged"):
                KeyRuns.of(step, [shard], "rows", ROW)
        damage(path, at)
