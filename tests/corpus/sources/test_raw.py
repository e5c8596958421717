"""Raw files outside the store: known without being read; a fault of the network is not damage of the data."""

import functools
import gzip
import hashlib
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from corpus import warcs
from corpus.helpers import write_jsonl
from corpus.papers import BUNDLE, tar
from fsspec.registry import _registry

from llama_core import file_system
from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.recipe import Arxiv, Books, CommonCrawl, Files
from llama_core.errors import InputError, StoreError

TEXT = "A text that is long enough to be kept by the source, and says little. " * 8


class _Handler(SimpleHTTPRequestHandler):
    """Serves the files of a folder, in ranges too, as the servers of public data do."""

    requests: list[str] = []
    cut: int | None = None  # the connection is closed after so many bytes of a file ...
    cuts = 0  # ... for so many answers
    streams = False  # answers have no length and no ranges, and come in pieces

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self.requests.append(self.path)
        self._answer(True)

    def _answer(self, with_body: bool) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        if self.streams:
            self.send_response(200)
            self.end_headers()
            piece = max(1000, len(data) // 200)
            for at in range(0, len(data) if with_body else 0, piece):
                self.wfile.write(data[at : at + piece])
                time.sleep(0.001)
            return
        start, end = 0, len(data)
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        if wanted and with_body:
            first, _, last = wanted.partition("-")
            start, end = int(first), min(len(data), int(last) + 1 if last else len(data))
        self.send_response(206 if wanted and with_body else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{len(data)}-{sum(data)}"')
        self.send_header("Content-Length", str(end - start))
        if wanted and with_body:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.end_headers()
        if with_body:
            is_cut = path.name != "paths.gz" and _Handler.cuts > 0
            _Handler.cuts -= is_cut
            self.wfile.write(data[start:end][: self.cut if is_cut else None])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    _Handler.requests, _Handler.cut, _Handler.cuts, _Handler.streams = [], None, 0, False
    handler = functools.partial(_Handler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def crawl(tmp_path: Path, server: str) -> CommonCrawl:
    """A crawl of two WET files on a server, and its list."""
    folder = tmp_path / "crawl-data" / "X"
    folder.mkdir(parents=True)
    for name in "ab":
        pages = [warcs.page(i, f"T\n{TEXT}{name}{i}") for i in range(50)]
        (folder / f"{name}.warc.wet.gz").write_bytes(warcs.members(warcs.info(), *pages))
    paths = "".join(f"crawl-data/X/{name}.warc.wet.gz\n" for name in "ab")
    (folder / "paths.gz").write_bytes(gzip.compress(paths.encode()))
    return CommonCrawl(kind="commoncrawl", urls=[f"list+{server}/crawl-data/X/paths.gz"])


def test_a_crawl_is_read_over_http_by_its_published_list(
    crawl: CommonCrawl, ingested: Callable[..., Artifact]
) -> None:
    artifact = ingested(crawl)
    assert artifact.counts["documents"] == 100 and artifact.counts["non_content.warcinfo"] == 2
    assert len(artifact.shards) == 2 and not any(k.startswith("quarantined") for k in artifact.counts)


def test_no_file_is_downloaded_to_be_known(crawl: CommonCrawl, server: str) -> None:
    raws = ingest.raw_files("web", crawl)
    assert len(raws) == 2 and set(_Handler.requests) == {"/crawl-data/X/paths.gz"}
    alone = CommonCrawl(kind="commoncrawl", urls=[raws[0].url])
    (known,) = ingest.raw_files("web", alone)
    assert known.url == raws[0].url and not any(p.endswith(".wet.gz") for p in _Handler.requests)


def test_a_connection_that_breaks_now_and_then_changes_nothing(
    crawl: CommonCrawl, ingested: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_system, "LONGEST_WAIT", 0.01)
    _Handler.cut, _Handler.cuts = 1000, 3
    artifact = ingested(crawl)
    assert artifact.counts["documents"] == 100 and _Handler.cuts == 0


def test_a_server_without_lengths_and_ranges_gives_whole_files(
    server: str, tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    _Handler.streams = True
    (tmp_path / "1.txt").write_text(TEXT * 100)
    artifact = ingested(Books(kind="books", urls=[f"{server}/1.txt"]))
    assert artifact.counts["bytes"] == len(TEXT * 100)
    (tmp_path / "a.zip").write_bytes(b"PK\5\6" + bytes(18))
    with pytest.raises(InputError, match=r"a\.zip is read in parts"):
        ingested(Books(kind="books", urls=[f"{server}/a.zip"]))


def test_a_file_that_is_read_to_its_end_is_not_fetched_again_for_its_checksum(
    server: str, tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl.gz", [{"text": f"{TEXT} {i}"} for i in range(2000)])
    source = Files(kind="files", urls=[f"list+{server}/sums"])
    (tmp_path / "sums").write_text(f"{hashlib.sha1(path.read_bytes()).hexdigest()}  a.jsonl.gz\n")
    assert ingested(source).counts["documents"] == 2000
    (tmp_path / "sums").write_text(f"{'0' * 40}  a.jsonl.gz\n")
    with pytest.raises(InputError, match=rf"{server}/a.jsonl.gz has the sha1 .* its list says {'0' * 40}"):
        ingested(source)
    assert _Handler.requests.count("/a.jsonl.gz") == 2, "once each time"


def test_a_server_without_ranges_gives_what_a_reader_has_left_once_more(
    server: str, tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    (tmp_path / "1911.02782.tar").write_bytes(tar(BUNDLE) + bytes(5 << 20) + b"the end")
    whole = (tmp_path / "1911.02782.tar").read_bytes()
    source = Arxiv(kind="arxiv", urls=[f"list+{server}/sums"], license="arXiv")
    (tmp_path / "sums").write_text(f"{hashlib.md5(whole).hexdigest()}  1911.02782.tar\n")
    _Handler.streams = True
    assert ingested(source).counts["documents"] == 1
    (tmp_path / "1911.02782.tar").write_bytes(whole[:-1] + b"D")
    with pytest.raises(InputError, match="1911.02782.tar has the md5"):
        ingested(source, "damaged")


def test_a_connection_that_stays_broken_is_an_error_and_no_damaged_record(
    crawl: CommonCrawl, ingested: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_system, "LONGEST_WAIT", 0.01)
    _Handler.cut, _Handler.cuts = 1000, 1000
    with pytest.raises(StoreError, match=r"cannot read http.*wet\.gz"):
        ingested(crawl)


def test_a_file_that_is_not_there_is_a_clear_error(server: str, tmp_path: Path) -> None:
    for url in (f"{server}/a.wet", f"list+{server}/paths.gz", str(tmp_path / "a.wet")):
        with pytest.raises(InputError, match=r"corpus\.sources\.web\.urls: .*"):
            ingest.raw_files("web", CommonCrawl(kind="commoncrawl", urls=[url]))


@pytest.mark.parametrize(
    ("protocol", "package", "to_install"),
    [
        ("gs", "gcsfs", "gcsfs"),
        ("abfs", "adlfs", "adlfs"),
        ("hf", "huggingface_hub", "'llama-pretrain[corpus]'"),
    ],
)
def test_a_url_whose_package_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, protocol: str, package: str, to_install: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(_registry, protocol, raising=False)
    message = rf"\.web\.urls: .*{protocol}://.*{package}.*: pip install {re.escape(to_install)}$"
    with pytest.raises(InputError, match=message):
        ingest.raw_files("web", Files(kind="files", urls=[f"{protocol}://a/b.jsonl"]))


def test_a_file_that_changes_between_plan_and_reading_is_an_error(
    tmp_path: Path, ingested: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": TEXT}])
    source = Files(kind="files", urls=[str(path)])
    raws = ingest.raw_files("web", source)
    monkeypatch.setattr(ingest, "raw_files", lambda *_: raws)
    write_jsonl(path, [{"text": TEXT + "new"}])
    with pytest.raises(InputError, match="has changed since this run planned it"):
        ingested(source)


def test_two_files_of_one_name_are_two_shards_and_a_file_named_twice_is_one(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write_jsonl(tmp_path / folder / "a.jsonl", [{"text": TEXT}])
    urls = [f"{tmp_path}/*/a.jsonl", f"{tmp_path}/x/a.jsonl"]
    raws = ingest.raw_files("web", Files(kind="files", urls=urls))
    assert len(raws) == 2 == len({found.name for found in raws})
