"""Other readers count the same raw records in the real files as we do."""

from pathlib import Path

import pytest
from corpus.helpers import SAMPLES, needs_samples

from benchmarks.samples import files_of, measured

FILES = list(files_of(SAMPLES)) if SAMPLES.is_dir() else []


@needs_samples
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "path"), FILES, ids=[path.name for _, path in FILES])
def test_another_reader_counts_the_same_records_in_every_sample(kind: str, path: Path) -> None:
    row = measured(kind, path)
    assert row["counted"] == str(row["records"])
    assert row["records"] >= row["ours"] + sum(row["left_out"].values())
    assert (row["residues"] or 0) * 100_000 <= max(100_000, row["bytes"])
