"""C4: every record is a document, as published."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus.helpers import SAMPLES, documents_of, is_conserved, needs_samples, write_jsonl

from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.recipe import C4
from llama_core.errors import InputError


def source(*urls: object) -> C4:
    return C4(kind="c4", urls=[str(url) for url in urls])


def test_nothing_is_dropped(tmp_path: Path, ingested: Callable[..., Artifact]) -> None:
    texts = ["Hi.", "\n{ code }\n", "lorem ipsum", "A page. " * 10_000]
    records = [
        {"text": text, "timestamp": "2019-04-25T12:57:54Z", "url": f"https://a.example/{i}"}
        for i, text in enumerate(texts)
    ]
    write_jsonl(tmp_path / "c4-train.00000-of-01024.json.gz", records)
    artifact = ingested(source(tmp_path / "c4-train.*.json.gz"))
    found = documents_of(artifact)
    assert [d.text for d in found] == texts and artifact.counts["raw"] == 4
    assert (found[1].url, found[1].date) == ("https://a.example/1", "2019-04-25T12:57:54Z")
    assert {d.license for d in found} == {"ODC-BY-1.0"} and json.loads(found[0].meta) == {"offset": 0}


def test_another_format_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "c4.tfrecord").write_bytes(b"")
    with pytest.raises(InputError, match="none of the formats"):
        ingest.raw_files("c4", source(tmp_path / "c4.tfrecord"))


@needs_samples
def test_real_files_give_every_record(ingested: Callable[..., Artifact]) -> None:
    """There are 1,000 and three times 10 records, as SOURCES.md says."""
    artifact = ingested(source(SAMPLES / "c4" / "*.jsonl", SAMPLES / "c4" / "*.json.gz"))
    counts = {s.name.rsplit("-", 1)[0]: s.counts["documents"] for s in artifact.shards}
    assert counts.pop("c4_en_train_first1000-jsonl") == 1000
    assert set(counts.values()) <= {10} and artifact.counts["raw"] == 1000 + 10 * len(counts)
    assert is_conserved(artifact.counts) and artifact.counts["documents"] == artifact.counts["raw"]
    assert all(d.url.startswith("http") and d.text for d in documents_of(artifact))
