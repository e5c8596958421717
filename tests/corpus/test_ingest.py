"""Ingest: every record is counted once, and what cannot be read ends in quarantine."""

import gzip
import json
import random
import shutil
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from corpus.helpers import documents_of, is_conserved, write_jsonl

from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.recipe import Files
from llama_core.errors import DamagedError, InputError
from llama_core.step import Step
from llama_core.store import Store

TEXT = "The quick brown fox jumps over the lazy dog. " * 8


def files(*urls: object, **fields: object) -> Files:
    return Files(kind="files", urls=[str(u) for u in urls], **fields)


def test_every_broken_record_is_quarantined_by_its_reason_and_the_next_one_is_read(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    lines = [
        json.dumps({"text": TEXT + "first"}).encode(),
        b'{"text": "\xff\xfe"}',
        b'{"text": "cut of',
        b'{"title": "no text"}',
        b"[1, 2]",
        b"[" * 100_000,
        json.dumps({"text": TEXT + "\0"}).encode(),
        b'{"text": "\\ud800 alone"}',
        b'{"text": "' + b"x" * 70_000 + b'"}',
        b"",
        json.dumps({"text": "short"}).encode(),
        json.dumps({"text": TEXT + "last"}).encode(),
    ]
    (tmp_path / "web.jsonl").write_bytes(b"\n".join(lines))
    artifact = ingested(files(tmp_path / "web.jsonl", max_record_bytes=65_536))
    assert artifact.counts == {
        "raw": 11,
        "members": 2,
        "documents": 2,
        "bytes": 2 * len(TEXT) + 9,
        "dropped.too_short": 1,
        "quarantined.invalid_utf8": 1,
        "quarantined.lone_surrogate": 1,
        "quarantined.no_text": 2,
        "quarantined.not_json": 1,
        "quarantined.nul_byte": 1,
        "quarantined.too_long": 2,
    }
    assert [d.text[len(TEXT) :] for d in documents_of(artifact)] == ["first", "last"]
    table = pq.read_table(pa.BufferReader(artifact.read(artifact.shards[0].object("quarantine.parquet"))))
    assert Counter(table["error"].to_pylist())["too_long"] == 2
    assert table["offset"].to_pylist()[0] == len(lines[0]) + 1


@pytest.mark.parametrize("ending", ["jsonl.gz", "jsonl.zst"])
def test_a_cut_stream_gives_what_can_be_read_and_one_entry_in_quarantine(
    tmp_path: Path, ingested: Callable[..., Artifact], ending: str
) -> None:
    letters = random.Random(1)
    records = [{"text": TEXT + "".join(letters.choices("abcdefgh ", k=400))} for _ in range(300)]
    data = "".join(json.dumps(r) + "\n" for r in records).encode()
    packed = (
        gzip.compress(data) if ending.endswith("gz") else zstandard.ZstdCompressor(level=1).compress(data)
    )
    (tmp_path / f"cut.{ending}").write_bytes(packed[: len(packed) * 2 // 3])
    (tmp_path / f"whole.{ending}").write_bytes(packed)
    (tmp_path / f"two.{ending}").write_bytes(packed + packed)
    (tmp_path / f"noise.{ending}").write_bytes(b"this was never compressed")
    by_name = {s.name.split("-")[0]: s.counts for s in ingested(files(tmp_path / f"*.{ending}")).shards}
    assert by_name["whole"]["documents"] == 300 and by_name["two"]["documents"] == 600
    assert by_name["noise"] == {"raw": 1, "quarantined.damaged_stream": 1}
    assert by_name["cut"]["quarantined.truncated_stream"] == 1
    assert 0 < by_name["cut"]["documents"] < 300
    assert all(is_conserved(counts) for counts in by_name.values())


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_line_of_any_length_is_never_held_in_memory(
    tmp_path: Path, ingested: Callable[..., Artifact], ending: str
) -> None:
    path = tmp_path / f"bomb.jsonl.{ending}"
    good = json.dumps({"text": TEXT}).encode()
    with gzip.open(path, "wb", 1) if ending == "gz" else zstandard.open(path, "wb") as file:
        file.write(good + b"\n")
        for _ in range(256):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + good + b"\n")
    tracemalloc.start()
    artifact = ingested(files(path, max_record_bytes=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert artifact.counts["documents"] == 2 and artifact.counts["quarantined.too_long"] == 1
    assert peak < 100 << 20


def test_parquet_and_text_are_read_and_their_other_fields_are_kept(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    rows = {
        "text": [TEXT, None, TEXT + "b"],
        "url": ["https://a.example", "https://b.example", None],
        "language": ["en", "en", "de"],
        "score": [1.5, 2.5, 3.5],
    }
    pq.write_table(pa.table(rows), tmp_path / "a.parquet", row_group_size=2)
    (tmp_path / "b.txt").write_text(TEXT)
    (tmp_path / "c.md").write_bytes(b"\xff" + TEXT.encode())
    artifact = ingested(files(*tmp_path.glob("[abc].*"), license="CC0-1.0"))
    found = {d.url.rsplit("/", 1)[-1]: d for d in documents_of(artifact)}
    assert set(found) == {"a.example", "a.parquet#2", "b.txt#0"}
    assert found["a.example"].language == "en" and json.loads(found["a.example"].meta) == {
        "score": 1.5,
        "offset": 0,
    }
    assert found["b.txt#0"].license == "CC0-1.0"
    assert artifact.counts["quarantined.no_text"] == artifact.counts["quarantined.invalid_utf8"] == 1


def test_a_damaged_parquet_file_does_not_stop_the_run(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    texts = [f"{TEXT} {i} {i * 7919 % 104729}" for i in range(2000)]
    pq.write_table(
        pa.table({"text": texts}), tmp_path / "a.parquet", row_group_size=500, use_dictionary=False
    )
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[len(data) // 3 : len(data) // 3 + 200] = b"\0" * 200
    (tmp_path / "a.parquet").write_bytes(data)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and nothing else")
    artifact = ingested(files(tmp_path / "*.parquet"))
    assert artifact.counts["quarantined.damaged_parquet"] >= 2
    assert 1000 <= artifact.counts["documents"] < 2000
    assert is_conserved(artifact.counts)


def test_the_fields_of_c4_become_the_url_and_the_date(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    record = {"text": TEXT, "url": "https://x.example/p", "timestamp": "2019-04-25T12:57:54Z"}
    write_jsonl(tmp_path / "c4-train.00000.json.gz", [record])
    document = documents_of(ingested(files(tmp_path / "c4-train.*.json.gz")))[0]
    assert (document.url, document.date) == (record["url"], record["timestamp"])
    assert json.loads(document.meta) == {"offset": 0}


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        ([], "corpus.sources.web.urls is empty"),
        (["{tmp}/none.jsonl"], "there is no file at"),
        (["{tmp}/none-*.jsonl"], "there is no file at"),
        (["{tmp}/image.png"], "none of the formats"),
        (["{tmp}/folder.jsonl"], "is a folder"),
    ],
)
def test_a_source_that_is_not_there_says_which_key_to_set(tmp_path: Path, urls: list[str], says: str) -> None:
    (tmp_path / "image.png").write_bytes(b"png")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(InputError, match=r"corpus\.sources\.web\.urls") as error:
        ingest.raw_files("web", files(*(u.format(tmp=tmp_path) for u in urls)))
    assert says in str(error.value)


def test_input_that_changed_after_it_was_planned_is_not_taken_for_the_old(
    tmp_path: Path, store: Store
) -> None:
    source = files(write_jsonl(tmp_path / "a.jsonl", [{"text": TEXT}]))
    [raw] = ingest.raw_files("web", source)
    write_jsonl(tmp_path / "a.jsonl", [{"text": TEXT}, {"text": TEXT}])
    step = Step(store, "ingest", 1, {}, {raw.name: raw.digest})
    with pytest.raises(InputError, match="has changed"):
        ingest.ingest_shard(step, "web", source, raw)


def test_ingest_gives_the_same_bytes_again_and_an_id_to_each_record(
    tmp_path: Path, ingested: Callable[..., Artifact], store: Store
) -> None:
    records = [{"text": f"{TEXT} {i % 7}", "url": "https://same.example"} for i in range(9000)]
    source = files(write_jsonl(tmp_path / "a.jsonl.gz", records))
    first = ingested(source)
    assert len({d.id for d in documents_of(first)}) == 9000
    shutil.rmtree(store.path())
    assert ingested(source).shards[0].digest == first.shards[0].digest


def test_damage_to_stored_documents_is_seen_before_any_is_used(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    artifact = ingested(files(write_jsonl(tmp_path / "a.jsonl", [{"text": TEXT}] * 5)))
    path = Path(artifact.store.path(artifact.shards[0].object("documents.parquet").name))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedError):
        documents_of(artifact)
