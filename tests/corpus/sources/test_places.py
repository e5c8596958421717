"""Where a document lies in its raw file: what is said of each format is found there."""

import bz2
import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import py7zr
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus import warcs
from corpus.dumps import PROSE, page, wiki
from corpus.helpers import documents_of, write_jsonl
from corpus.papers import BUNDLE, packed, tar
from corpus.sources.projects import CODE, MIT, github, pack

from llama_core.artifact import Artifact
from llama_core.corpus.document import Document
from llama_core.corpus.recipe import Arxiv, Books, CommonCrawl, Files, Source, StackExchange, Wikipedia
from llama_core.corpus.sources.places import take_place

TEXT = "A text that is long enough to be kept by the source, and says little. " * 40
FILE, UNPACKED = "bytes into the file as it lies", "bytes into the file, decompressed"

# The document, the lines about its place, the offset.
Placed = Callable[[Source], tuple[Document, dict[str, str], int]]


@pytest.fixture
def placed(ingested: Callable[..., Artifact]) -> Placed:
    def last(source: Source) -> tuple[Document, dict[str, str], int]:
        artifact = ingested(source)
        document, url = documents_of(artifact)[-1], artifact.shards[-1].facts["url"]
        meta = json.loads(document.meta)
        offset = meta["offset"]
        lines = take_place(source.kind, url, meta)
        assert not {"offset", "offset_in", "member", "segment"} & set(meta), "said once"
        return document, lines, offset

    return last


def test_a_line_of_jsonl(tmp_path: Path, placed: Placed) -> None:
    records = [{"text": TEXT}, {"text": TEXT + "2"}]
    plain, gz = (write_jsonl(tmp_path / name, records) for name in ("a.jsonl", "b.jsonl.gz"))
    line = json.dumps(records[1]).encode()
    _, lines, at = placed(Files(kind="files", urls=[str(plain)]))
    assert lines == {"offset": f"{at:,} {FILE}"} and plain.read_bytes()[at:].startswith(line)
    _, lines, at = placed(Files(kind="files", urls=[str(gz)]))
    assert lines == {"offset": f"{at:,} {UNPACKED}"}
    assert gzip.decompress(gz.read_bytes())[at:].startswith(line)


def test_a_row_of_parquet(tmp_path: Path, placed: Placed) -> None:
    pq.write_table(pa.table({"text": [TEXT, TEXT, TEXT]}), tmp_path / "a.parquet")
    assert placed(Files(kind="files", urls=[f"{tmp_path}/a.parquet"]))[1] == {
        "offset": "2 rows into the file"
    }


def test_a_book_in_a_zip(tmp_path: Path, placed: Placed) -> None:
    path = pack(tmp_path / "a.zip", {"1.txt": TEXT, "2.txt": TEXT})
    _, lines, at = placed(Books(kind="books", urls=[str(path)]))
    assert lines == {"offset": f"{at:,} {FILE}"}
    assert path.read_bytes()[at:].startswith(b"PK\3\4") and path.read_bytes()[at + 30 :].startswith(b"2.txt")


def test_a_source_file_in_a_tar_and_in_a_checkout(tmp_path: Path, placed: Placed) -> None:
    path = pack(tmp_path / "a.tar.gz", {"p/LICENSE": MIT, "p/a.py": CODE})
    _, lines, at = placed(github(path))
    assert lines == {"offset": f"{at:,} {UNPACKED}"}
    assert gzip.decompress(path.read_bytes())[at:].startswith(b"p/a.py\0")
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "LICENSE").write_text(MIT)
    (tmp_path / "checkout" / "a.py").write_text(CODE)
    subprocess.run(["git", "init", "-q", tmp_path / "checkout"], check=True)
    assert placed(github(tmp_path / "checkout"))[1] == {}, "its path says it"


def test_a_page_of_a_crawl(tmp_path: Path, placed: Placed) -> None:
    pages = [warcs.page(i, f"T\n{TEXT}{i}") for i in range(3)]
    (tmp_path / "a.warc.wet.gz").write_bytes(warcs.members(warcs.info(), *pages))
    _, lines, at = placed(CommonCrawl(kind="commoncrawl", urls=[f"{tmp_path}/a.warc.wet.gz"]))
    assert lines == {"offset": f"{at:,} {FILE}"}
    assert gzip.decompress((tmp_path / "a.warc.wet.gz").read_bytes()[at:]) == pages[2]
    whole = b"".join((warcs.info(), *pages))
    (tmp_path / "b.warc.wet.gz").write_bytes(gzip.compress(whole))
    _, lines, at = placed(CommonCrawl(kind="commoncrawl", urls=[f"{tmp_path}/b.warc.wet.gz"]))
    assert lines == {"offset": f"{at:,} {UNPACKED}"} and whole[at:].startswith(pages[2])


def test_an_article_and_a_question(tmp_path: Path, placed: Placed) -> None:
    dump = wiki(page(1, "Apfel", PROSE), page(2, "Birne", PROSE))
    (tmp_path / "dewiki-1.xml.bz2").write_bytes(bz2.compress(dump))
    _, lines, at = placed(Wikipedia(kind="wikipedia", urls=[f"{tmp_path}/dewiki-1.xml.bz2"]))
    assert lines == {"offset": f"{at:,} {UNPACKED}"} and dump[at:].startswith(b"<page>")
    row = f'<row Id="1" PostTypeId="1" Score="1" Title="Why" Body="{TEXT}"/>'
    with py7zr.SevenZipFile(tmp_path / "beer.stackexchange.com.7z", "w") as archive:
        archive.writestr(f"<posts>{row}</posts>", "Posts.xml")
    _, lines, at = placed(StackExchange(kind="stackexchange", urls=[f"{tmp_path}/*.7z"]))
    assert lines == {"offset": "7 bytes into the Posts.xml of the archive, decompressed"} and at == 7


def test_a_paper_in_a_tar_and_alone(tmp_path: Path, placed: Placed) -> None:
    bundle = packed(tar(BUNDLE))
    whole = tar({"1911/1911.00001.pdf": b"%PDF", "1911/1911.02782.gz": bundle})
    (tmp_path / "a.tar").write_bytes(whole)
    _, lines, at = placed(Arxiv(kind="arxiv", urls=[f"{tmp_path}/a.tar"]))
    assert lines["member"] == "1911/1911.02782.gz of the tar"
    assert lines["offset"] == f"{at:,} bytes into the tar, decompressed"
    assert whole[at:].startswith(b"1911/1911.02782.gz\0")
    (tmp_path / "1911.02782.tar.gz").write_bytes(bundle)
    alone = placed(Arxiv(kind="arxiv", urls=[f"{tmp_path}/1911.02782.tar.gz"]))[1]
    assert alone == {"offset": f"0 {UNPACKED}"}
