"""The kind `dataset`: what the library `datasets` streams, without a network here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus.helpers import documents_of, is_conserved, write_jsonl

from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.recipe import Dataset
from llama_core.errors import InputError

TEXT = "A text that is long enough to be kept by the source, and says little. " * 4


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def source(path: object, **fields: Any) -> Dataset:
    return Dataset(kind="dataset", path=str(path), **fields)


def test_each_data_file_is_a_shard_and_each_row_a_document(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    for i in range(3):
        rows = [{"text": f"{TEXT}{i}-{j}", "url": f"https://a.example/{i}/{j}", "n": j} for j in range(4)]
        write_jsonl(tmp_path / f"part-{i}.jsonl", rows)
    artifact = ingested(source("json", data_files=f"{tmp_path}/*.jsonl", license="CC0-1.0"))
    found = documents_of(artifact)
    assert [s.counts["documents"] for s in artifact.shards] == [4, 4, 4] and is_conserved(artifact.counts)
    assert {d.text for d in found} == {f"{TEXT}{i}-{j}" for i in range(3) for j in range(4)}
    assert {d.license for d in found} == {"CC0-1.0"} and len({d.id for d in found}) == 12
    assert all(
        d.url.startswith("https://a.example/") and set(json.loads(d.meta)) == {"n", "offset"} for d in found
    )


def test_a_folder_of_parquet_is_read_by_split_and_column(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    folder = tmp_path / "folder"  # with nothing else in it: `datasets` takes a `dev` above it for a split too
    folder.mkdir()
    for split, count in {"train": 5, "test": 2}.items():
        rows = {"content": [f"{TEXT}{split} {i}" for i in range(count)], "blob": [b"\0\1"] * count}
        pq.write_table(pa.table(rows), folder / f"{split}-00000-of-00001.parquet")
    artifact = ingested(source(folder, split="test", column="content"))
    assert [d.text for d in documents_of(artifact)] == [f"{TEXT}test 0", f"{TEXT}test 1"]
    metas = [json.loads(d.meta) for d in documents_of(artifact)]
    assert metas == [{"offset": 0}, {"offset": 1}], "what is no text is no field"


def test_rows_that_are_no_documents_end_in_outcomes(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    texts = [TEXT, None, "short", TEXT + "\0", "x" * 5000, TEXT + "last"]
    write_jsonl(tmp_path / "a.jsonl", [{"text": text} for text in texts])
    counts = ingested(source("json", data_files=f"{tmp_path}/a.jsonl", max_record_bytes=4000)).counts
    assert counts["documents"] == 2 and counts["dropped.too_short"] == 1
    assert {k: v for k, v in counts.items() if k.startswith("quarantined")} == {
        "quarantined.no_text": 1, "quarantined.nul_byte": 1, "quarantined.too_long": 1,
    }  # fmt: skip


def test_a_damaged_file_ends_in_quarantine_and_the_others_are_read(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    rows = [{"text": f"{TEXT} {i} {i * 7919 % 104729}"} for i in range(500)]
    for name in "ab":
        path = write_jsonl(tmp_path / f"{name}.jsonl.gz", rows)
    path.write_bytes(path.read_bytes()[:-500])
    (tmp_path / "c.jsonl.gz").write_bytes(b"no gzip")
    artifact = ingested(source("json", data_files=f"{tmp_path}/*.jsonl.gz"))
    by_name = {s.name[0]: s.counts for s in artifact.shards}
    assert by_name["a"]["documents"] == 500
    assert by_name["b"]["quarantined.damaged_file"] == by_name["c"]["quarantined.damaged_file"] == 1
    assert is_conserved(artifact.counts)


def test_a_dataset_is_known_without_being_read(tmp_path: Path, ingested: Callable[..., Artifact]) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": TEXT}])
    cfg = source("json", data_files=str(path))
    first, again = ingest.raw_files("web", cfg), ingest.raw_files("web", cfg)
    assert first == again and first[0].url == f"file://{path}"
    write_jsonl(path, [{"text": TEXT + "new"}])
    assert ingest.raw_files("web", cfg)[0].digest != first[0].digest


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"path": "json", "data_files": "/nowhere/*.json"}, "there is no file at data_files /nowhere"),
        ({"path": "nobody/no-such-dataset"}, "cannot open nobody/no-such-dataset"),
        ({"path": "json", "data_files": "{}", "split": "test"}, "no split 'test': there are train"),
    ],
)
def test_a_wrong_dataset_is_a_clear_error(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": TEXT}])
    fields = fields | ({"data_files": str(path)} if fields.get("data_files") == "{}" else {})
    with pytest.raises(InputError, match=rf"corpus\.sources\.web: .*{message}"):
        ingest.raw_files("web", Dataset(kind="dataset", **fields))


def test_a_wrong_column_is_a_clear_error(tmp_path: Path, ingested: Callable[..., Artifact]) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": TEXT}])
    with pytest.raises(InputError, match="no column `body`: its columns are text"):
        ingested(source("json", data_files=str(path), column="body"))
