"""The project's own objects of Parquet."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llama_core.corpus.table import read_groups, read_table
from llama_core.errors import DamagedError
from llama_core.store import Store


def test_an_object_that_is_no_parquet_or_lacks_a_column_is_damaged_and_named(store: Store) -> None:
    data = io.BytesIO()
    pq.write_table(pa.table({"id": ["a"], "reason": ["b"]}), data)
    for content, said in (
        (b"PAR1 none PAR1", "delete its step's folder"),
        (data.getvalue(), "no column text"),
    ):
        entry = store.publish_bytes("a.parquet", content)
        for checked in (True, False):
            with pytest.raises(DamagedError, match=rf"{store.url}/a\.parquet is damaged: .*{said}"):
                list(read_groups(store, entry, ["id", "text"], checked=checked))
    with pytest.raises(DamagedError, match=r"a\.parquet is damaged"):
        read_table(store, store.publish_bytes("a.parquet", data.getvalue()[:-20]))
