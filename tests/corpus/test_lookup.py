"""Shards are read side by side, and no more of them than the caller takes."""

import contextlib
from itertools import islice
from threading import Barrier

import pytest

from llama_core.artifact import Shard
from llama_core.corpus.lookup import AT_ONCE, side_by_side

SHARDS = [Shard(f"{number:03}", "", (), {}, {}) for number in range(500)]


def test_shards_are_read_side_by_side_in_order_and_none_waits_for_a_slow_one_before_it() -> None:
    met = Barrier(2, timeout=60)

    def work(shard: Shard) -> str:
        if int(shard.name) in (0, 1, AT_ONCE - 1, AT_ONCE):
            met.wait()  # for another one, which is being read meanwhile
        return shard.name

    assert list(side_by_side(work, SHARDS)) == [shard.name for shard in SHARDS]


def test_no_further_shard_is_begun_where_the_caller_stops() -> None:
    begun = []

    def work(shard: Shard) -> str:
        begun.append(shard.name)
        return shard.name

    with contextlib.closing(side_by_side(work, SHARDS)) as found:
        assert len(list(islice(found, 100))) == 100
    assert len(begun) < 100 + 2 * AT_ONCE


def test_an_error_in_a_shard_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda shard: 1 // (int(shard.name) - 90), SHARDS))
