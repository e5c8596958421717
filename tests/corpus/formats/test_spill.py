"""Rows sorted outside of memory."""

import resource
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_core.corpus.formats.spill import MOST_RUNS, Spill

KEYS = st.tuples(st.integers(-(1 << 62), 1 << 62), st.integers(-3, 3))


@given(
    rows=st.lists(st.tuples(KEYS, st.binary(max_size=40)), max_size=60),
    run_bytes=st.sampled_from([1, 700, 1 << 20]),
)
def test_rows_come_back_by_key_and_else_in_the_order_that_they_were_put_in(
    rows: list[tuple[tuple[int, int], bytes]], run_bytes: int
) -> None:
    with Spill(width=2, run_bytes=run_bytes) as spill:
        for key, data in rows:
            spill.put(key, data)
        assert [*spill] == sorted(rows, key=lambda row: row[0])


def test_nothing_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Spill(width=1, run_bytes=100) as spill:
        for i in range(50):
            spill.put((-i,), b"x" * 50)
        assert any(tmp_path.iterdir())
        rows = iter(spill)
        assert next(rows) == ((-49,), b"x" * 50)
        rows.close()  # type: ignore[attr-defined]
    assert not any(tmp_path.iterdir())


def test_many_runs_are_merged_with_few_files_open() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, limits[1]), limits[1]))
    try:
        with Spill(width=1, run_bytes=1) as spill:  # each row is a run
            for i in range(MOST_RUNS**2 + 70):
                spill.put((i % 7,), str(i).encode())
            found = [*spill]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert found == sorted(
        (((i % 7,), str(i).encode()) for i in range(MOST_RUNS**2 + 70)), key=lambda row: row[0]
    )
