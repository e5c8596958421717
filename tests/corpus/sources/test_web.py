"""A web server that fails: what may pass is asked again, what cannot pass is said as the server says it."""

import gzip
import hashlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from corpus import warcs
from corpus.dumps import page, wiki
from corpus.helpers import write_jsonl

from llama_core import file_system
from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.recipe import C4, CommonCrawl, Dataset, Files, Source, Wikipedia
from llama_core.errors import InputError, LlamaError, StoreError
from llama_core.evaluate import planned
from llama_core.store import Store

TEXT = "A text that is long enough to be kept by the source, and says little. " * 8


class Server(BaseHTTPRequestHandler):
    """Serves files in ranges, and answers as `fault` says; it counts what is asked, by method."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[Counter[str]] = Counter()
    fault: ClassVar[Callable[["Server"], bool]]
    ranges = True
    encoding = ""  # what the server calls the compression of its files

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def fail(self, status: int, **headers: str) -> bool:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": "0"}).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        return True

    def hang_up(self) -> bool:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True
        return True

    def _answer(self) -> None:
        Server.asked[self.command] += 1
        if Server.fault(self):
            return
        data = self.files.get(self.path)
        if data is None:
            self.fail(404)
            return
        start, end = 0, len(data)
        if self.ranges and (wanted := self.headers.get("Range", "").removeprefix("bytes=")):
            first, _, last = wanted.partition("-")
            start, end = int(first), min(len(data), int(last) + 1 if last else len(data))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("ETag", f'"{len(data)}"')
        if self.encoding and self.path.endswith((".gz", ".zst")):
            self.send_header("Content-Encoding", self.encoding)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[start:end])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that is all right until a test says what it does; its clients have little patience."""
    monkeypatch.setattr(Server, "fault", lambda self: False, raising=False)
    monkeypatch.setattr(Server, "ranges", True)
    monkeypatch.setattr(file_system, "LONGEST_WAIT", 0.01)
    Server.files, Server.asked = {}, Counter()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def sources(server: str, tmp_path: Path) -> dict[str, Source]:
    """Sources of four kinds, one of them a published list, one read in more than one range."""
    pages = [warcs.page(i, f"T\n{TEXT}{i}") for i in range(30)]
    rows = [{"text": f"{TEXT} {i}"} for i in range(300)]
    packed = write_jsonl(tmp_path / "a.jsonl.gz", rows).read_bytes()
    Server.files |= {
        "/X/paths": b"a.warc.wet.gz\nb.warc.wet.gz\n",
        "/X/a.warc.wet.gz": warcs.members(warcs.info(), *pages[:15]),
        "/X/b.warc.wet.gz": warcs.members(warcs.info(), *pages[15:]),
        "/c4/a.json.gz": packed,
        "/files/a.jsonl": write_jsonl(tmp_path / "a.jsonl", [{"text": TEXT + "x" * 6_000_000}]).read_bytes(),
        "/wiki/enwiki-20220601-pages-articles.xml": wiki(*(page(i + 1, f"P{i}", TEXT) for i in range(5))),
    }
    return {
        "web": CommonCrawl(kind="commoncrawl", urls=[f"list+{server}/X/paths"]),
        "c4": C4(kind="c4", urls=[f"{server}/c4/a.json.gz"]),
        "files": Files(kind="files", urls=[f"{server}/files/a.jsonl"]),
        "wiki": Wikipedia(kind="wikipedia", urls=[f"{server}/wiki/enwiki-20220601-pages-articles.xml"]),
    }


def digests(sources: dict[str, Source], ingested: Callable[..., Artifact]) -> dict[str, list[str]]:
    """The digests of all that is ingested, made anew."""
    made = {name: ingested(source, name) for name, source in sources.items()}
    for artifact in made.values():
        artifact.store.delete(artifact.store.list())
    return {name: [shard.digest for shard in artifact.shards] for name, artifact in made.items()}


def in_turn(*faults: Callable[[Server], bool]) -> Callable[[Server], bool]:
    """A fault that comes with each request in turn; between them the server is all right."""
    lock, count = threading.Lock(), [0]

    def fault(self: Server) -> bool:
        with lock:
            count[0] += 1
            n = count[0]
        return faults[n % len(faults)](self)

    return fault


def fine(_: Server) -> bool:
    return False


def test_a_server_that_fails_one_request_in_five_gives_the_same_bytes(
    sources: dict[str, Source], ingested: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = digests(sources, ingested)
    assert all(whole.values())
    for fail in (lambda self: self.fail(503), Server.hang_up):
        monkeypatch.setattr(Server, "fault", in_turn(fail, fine, fine, fine, fine))
        assert digests(sources, ingested) == whole


def test_a_server_that_gives_no_ranges_and_breaks_off_gives_the_same_bytes(
    server: str,
    sources: dict[str, Source],
    ingested: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = digests(sources, ingested)
    monkeypatch.setattr(Server, "ranges", False)
    assert digests(sources, ingested) == whole

    def break_off(self: Server) -> bool:
        data = self.files.get(self.path, b"")
        if self.command == "HEAD" or len(data) < 1000:
            return False
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        return self.hang_up()

    monkeypatch.setattr(Server, "fault", in_turn(break_off, fine, fine))
    assert digests(sources, ingested) == whole
    for path, data in Server.files.items():
        with fsspec.open(f"{server}{path}", "rb") as file:
            assert file.read() == data == Store(server).read(path[1:])


@pytest.mark.parametrize(("ending", "encoding"), [("gz", "gzip"), ("gz", "x-gzip"), ("zst", "zstd")])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_packed_file_stays_packed_whatever_its_server_calls_the_compression(
    server: str,
    ingested: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ending: str,
    encoding: str,
    ranges: bool,
) -> None:
    rows = [{"text": f"{TEXT} {i}"} for i in range(300)]
    plain = write_jsonl(tmp_path / "a.jsonl", rows).read_bytes()
    packed = gzip.compress(plain) if ending == "gz" else zstandard.compress(plain)
    checksum = f"{hashlib.sha256(packed).hexdigest()}  a.jsonl.{ending}\n"
    Server.files |= {f"/a.jsonl.{ending}": packed, "/SHA256SUMS": checksum.encode()}
    monkeypatch.setattr(Server, "ranges", ranges)
    monkeypatch.setattr(Server, "encoding", encoding)
    with fsspec.open(f"{server}/a.jsonl.{ending}", "rb") as file:
        assert file.read() == packed
    for url in (f"{server}/a.jsonl.{ending}", f"list+{server}/SHA256SUMS"):
        counts = ingested(Files(kind="files", urls=[url]), "web").counts
        assert counts["documents"] == counts["raw"] == 300


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda self: self.fail(503), r"the server answers 503 Service Unavailable \(4 times\)"),
        (lambda self: self.fail(520), r"the server answers 520 \(4 times\)"),
        (Server.hang_up, r"ServerDisconnectedError Server disconnected \(4 times\)"),
        (lambda self: bool(time.sleep(0.3)) or self.hang_up(), "the server does not answer in time"),
        (lambda self: self.fail(503, Retry_After="86400"), r"answers 503 Service Unavailable"),
    ],
)
def test_a_server_that_stays_away_is_a_clear_error_within_the_bound(
    server: str, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Server], bool], said: str
) -> None:
    monkeypatch.setattr(file_system, "RETRIES", 4)
    monkeypatch.setattr(file_system, "PATIENCE", 0.3)
    monkeypatch.setattr(file_system, "READ_SECONDS", 0.05)
    monkeypatch.setattr(Server, "fault", fault)
    fsspec.filesystem("http").clear_instance_cache()
    begun = time.monotonic()
    for source in (
        Files(kind="files", urls=[f"{server}/a.jsonl"]),
        Files(kind="files", urls=[f"{server}/*.jsonl"]),
        Files(kind="files", urls=[f"list+{server}/sums"]),
    ):
        with pytest.raises(StoreError, match=rf"^corpus\.sources\.web\.urls: cannot read {server}/.*{said}"):
            ingest.raw_files("web", source)
    with pytest.raises(StoreError, match=said):
        Store(server).exists("a.jsonl")
    with pytest.raises(StoreError, match=said):
        planned.check(server, ["arc_easy"])
    assert time.monotonic() - begun < 8


def test_nobody_listening_and_no_such_host_are_clear_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_system, "RETRIES", 2)
    monkeypatch.setattr(file_system, "LONGEST_WAIT", 0.01)
    for url in ("http://127.0.0.1:9/a.jsonl", "http://nowhere.invalid/a.jsonl"):
        with pytest.raises(
            StoreError, match=rf"cannot read {url}: .*[Cc]annot connect to host .*\(2 times\)"
        ):
            ingest.raw_files("web", Files(kind="files", urls=[url]))


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_not_there_is_said_to_be_missing_at_once(
    server: str, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(Server, "fault", lambda self: self.fail(status))
    with pytest.raises(InputError, match=f"there is no file at {server}/a.jsonl$"):
        ingest.raw_files("web", Files(kind="files", urls=[f"{server}/a.jsonl"]))
    assert Server.asked == {"HEAD": 1, "GET": 1} and not Store(server).exists("a.jsonl")


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "access is denied"), (403, "access is denied"), (451, "answers 451 Unavailable For Legal")],
)
def test_a_server_that_refuses_is_not_asked_again(
    server: str, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    monkeypatch.setattr(Server, "fault", lambda self: self.fail(status))
    with pytest.raises(StoreError, match=f"{server}/a.jsonl: .*{said}"):
        ingest.raw_files("web", Files(kind="files", urls=[f"{server}/a.jsonl"]))
    assert Server.asked == {"HEAD": 1, "GET": 1}


@pytest.mark.parametrize("status", [204, 304, 302])  # 302 without a place
def test_an_answer_without_a_file_is_an_error_and_no_empty_file(
    status: int,
    sources: dict[str, Source],
    monkeypatch: pytest.MonkeyPatch,
    ingested: Callable[..., Artifact],
) -> None:
    monkeypatch.setattr(Server, "fault", lambda self: self.fail(status, Location=""))
    with pytest.raises(StoreError, match=f"the server answers {status}"):
        ingested(sources["files"], "files")


def test_an_answer_that_is_no_http_is_an_error_of_one_line(
    server: str, monkeypatch: pytest.MonkeyPatch, ingested: Callable[..., Artifact]
) -> None:
    def another_protocol(self: Server) -> bool:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        return self.hang_up()

    monkeypatch.setattr(Server, "fault", another_protocol)
    with pytest.raises(StoreError, match=r"^.*SSH-2.0-OpenSSH_9.2.*\Z"):
        ingested(Files(kind="files", urls=[f"{server}/a.jsonl"]), "files")


@pytest.mark.parametrize("first", [0, 1])  # the whole file's beginning, a part that is shifted
def test_another_part_of_a_file_than_was_asked_for_is_an_error(
    first: int, sources: dict[str, Source], monkeypatch: pytest.MonkeyPatch, ingested: Callable[..., Artifact]
) -> None:
    def another(self: Server) -> bool:
        start, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        if start == "0":
            return False
        size, data = int(end) + 1 - int(start), self.files[self.path]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + size - 1}/{len(data)}")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(data[first : first + size])
        return True

    Server.files["/files/a.jsonl"] *= 2  # which is more than one part
    monkeypatch.setattr(Server, "fault", another)
    with pytest.raises(StoreError, match=f"gives that from {first} on"):
        ingested(sources["files"], "files")


def test_a_server_that_knows_no_head_is_asked_with_get(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Server.files["/a.jsonl"] = b"{}"
    for status in (403, 405, 501):
        monkeypatch.setattr(Server, "fault", lambda self, s=status: self.command == "HEAD" and self.fail(s))
        assert ingest.raw_files("web", Files(kind="files", urls=[f"{server}/a.jsonl"]))


@pytest.mark.parametrize("date", [False, True])
def test_a_server_that_asks_for_a_pause_gets_it(
    server: str, monkeypatch: pytest.MonkeyPatch, date: bool
) -> None:
    Server.files["/a.jsonl"] = b"{}"
    times: list[float] = []
    after = formatdate(time.time() + 2, usegmt=True) if date else "1"

    def once(self: Server) -> bool:
        times.append(time.monotonic())
        return len(times) == 1 and self.fail(429, Retry_After=after)

    monkeypatch.setattr(Server, "fault", once)
    assert ingest.raw_files("web", Files(kind="files", urls=[f"{server}/a.jsonl"]))
    assert 0.9 < times[1] - times[0] < 3


def test_a_redirect_without_end_is_a_clear_error(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "fault", lambda self: self.fail(302, Location=self.path))
    with pytest.raises(StoreError, match=f"{server}/a.jsonl: the server redirects too often"):
        ingest.raw_files("web", Files(kind="files", urls=[f"{server}/a.jsonl"]))


@pytest.mark.parametrize("given", [0, 500])
def test_a_file_that_is_shorter_than_its_server_says_is_an_error_and_no_short_file(
    server: str,
    monkeypatch: pytest.MonkeyPatch,
    ingested: Callable[..., Artifact],
    tmp_path: Path,
    given: int,
) -> None:
    rows = [{"text": TEXT} for _ in range(10)]
    Server.files["/a.jsonl"] = write_jsonl(tmp_path / "a.jsonl", rows).read_bytes()

    def short(self: Server) -> bool:
        if self.command == "HEAD":
            return False
        first = int(self.headers["Range"].removeprefix("bytes=").partition("-")[0])
        data = self.files[self.path][first:given]
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return True

    monkeypatch.setattr(Server, "fault", short)
    with pytest.raises(LlamaError, match=rf"cannot read {server}/a.jsonl: .* come only {given}"):
        ingested(Files(kind="files", urls=[f"{server}/a.jsonl"]))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_is_longer_than_its_server_says_is_an_error_and_no_short_file(
    server: str,
    monkeypatch: pytest.MonkeyPatch,
    ingested: Callable[..., Artifact],
    tmp_path: Path,
    ranges: bool,
) -> None:
    rows = [{"text": TEXT} for _ in range(10)]
    whole = Server.files["/a.jsonl"] = write_jsonl(tmp_path / "a.jsonl", rows).read_bytes()

    def short(self: Server) -> bool:
        if self.command == "GET":
            return False
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        return True

    monkeypatch.setattr(Server, "ranges", ranges)
    monkeypatch.setattr(Server, "fault", short)
    with pytest.raises(
        StoreError, match=rf"a\.jsonl: its server gives it 1,000 bytes, and then {len(whole):,}"
    ):
        ingested(Files(kind="files", urls=[f"{server}/a.jsonl"]))


def test_a_signature_in_a_url_is_not_repeated(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "fault", lambda self: self.fail(403))
    with pytest.raises(StoreError) as caught:
        Store(server).read("a.jsonl?X-Amz-Signature=hunter2")
    assert "access is denied" in str(caught.value) and "hunter2" not in str(caught.value)


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Files:
    """A file on a server that speaks as much of S3's protocol as one file needs."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "testaccess",
        "AWS_SECRET_ACCESS_KEY": "testsecretkey",
    }.items():
        monkeypatch.setenv(name, value)
    rows = [{"text": f"{TEXT} {i}"} for i in range(2_000)]
    Server.files["/bucket/a.jsonl"] = write_jsonl(tmp_path / "a.jsonl", rows).read_bytes()
    fsspec.filesystem("s3").clear_instance_cache()
    return Files(kind="files", urls=["s3://bucket/a.jsonl"])


def test_an_s3_server_that_fails_one_request_in_five_gives_the_same_bytes(
    bucket: Files, ingested: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = digests({"web": bucket}, ingested)
    for fail in (lambda self: self.fail(408), Server.hang_up):
        monkeypatch.setattr(Server, "fault", in_turn(fail, fine, fine, fine, fine))
        assert digests({"web": bucket}, ingested) == whole


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda self: self.fail(404), "there is no file at s3://bucket/a.jsonl"),
        (lambda self: self.fail(403), "cannot read s3://bucket/a.jsonl: access is denied"),
        (lambda self: self.fail(503), "cannot read s3://bucket/a.jsonl: .*Service Unavailable"),
        (Server.hang_up, "cannot read s3://bucket/a.jsonl: .*[Cc]onnection"),
    ],
)
def test_what_an_s3_server_answers_keeps_its_kind(
    bucket: Files, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Server], bool], said: str
) -> None:
    monkeypatch.setattr(file_system, "RETRIES", 2)
    monkeypatch.setattr(Server, "fault", fault)
    with pytest.raises(LlamaError, match=rf"corpus\.sources\.web\.urls: {said}"):
        ingest.raw_files("web", bucket)


@pytest.mark.slow
def test_a_data_file_of_datasets_on_such_a_server_gives_the_same_bytes(
    server: str, ingested: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [{"text": f"{TEXT} {i}"} for i in range(300)]
    Server.files["/a.jsonl"] = write_jsonl(tmp_path / "a.jsonl", rows).read_bytes()
    pq.write_table(pa.table({"text": [f"{TEXT} {i}" for i in range(3000)]}), tmp_path / "a.parquet")
    Server.files["/a.parquet"] = (tmp_path / "a.parquet").read_bytes()
    for kind, file in (("json", "a.jsonl"), ("parquet", "a.parquet")):
        source = Dataset(kind="dataset", path=kind, data_files=f"{server}/{file}")
        monkeypatch.setattr(Server, "fault", fine)
        whole = digests({"web": source}, ingested)
        monkeypatch.setattr(Server, "fault", in_turn(lambda self: self.fail(503), fine, fine, fine, fine))
        assert digests({"web": source}, ingested) == whole
    monkeypatch.setattr(file_system, "RETRIES", 3)
    monkeypatch.setattr(Server, "fault", lambda self: self.fail(503))
    with pytest.raises(StoreError, match=r"corpus\.sources\.web: .*the server answers 503"):
        ingest.raw_files("web", source)
