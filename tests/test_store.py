"""The store publishes whole objects or nothing, wherever it lies."""

import errno
import multiprocessing
import os
import pickle
import re
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from fsspec.registry import _registry
from s3fs import S3File

from llama_core import file_system
from llama_core.errors import DamagedError, StoreError
from llama_core.objects import Object
from llama_core.protocols import s3
from llama_core.store import Store


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(params=["file", "memory", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    if request.param == "file":
        yield Store(str(tmp_path / "store"))
    elif request.param == "memory":
        yield Store(f"memory://{tmp_path.name}")
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3_server"))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testaccess")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testsecretkey")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        bucket = f"bucket-{abs(hash(tmp_path.name)) % 10**8}"
        store = Store(f"s3://{bucket}/prefix")
        store.fs.mkdir(bucket)
        yield store


def test_an_object_is_read_back_with_its_size_and_digest(any_store: Store) -> None:
    data = os.urandom(100_000)
    entry = any_store.publish_bytes("a/b.bin", data)
    assert (entry.name, entry.size) == ("a/b.bin", len(data))
    assert any_store.read("a/b.bin", expect=entry) == data
    assert any_store.read_range("a/b.bin", 10, 20) == data[10:20]
    assert any_store.list() == ["a/b.bin"]
    assert any_store.sizes() == {"a/b.bin": len(data)}
    with any_store.checked("a/b.bin", entry) as file:
        assert file.read() == data


def test_an_object_larger_than_one_part_is_published_whole(any_store: Store) -> None:
    piece = os.urandom(1 << 20)
    with any_store.publish("large.bin") as file:
        for _ in range(40):
            file.write(piece)
    assert any_store.sizes()["large.bin"] == 40 << 20
    assert file.object is not None
    with any_store.checked("large.bin", file.object) as whole:
        assert whole.read(len(piece) + 1)[:-1] == piece and whole.seek(0, 2) == 40 << 20


@pytest.mark.parametrize("megabytes", [0, 1, 40])
def test_a_write_that_fails_leaves_no_object(any_store: Store, megabytes: int) -> None:
    with pytest.raises(RuntimeError, match="halfway"), any_store.publish("half.bin") as file:
        file.write(b"x" * (megabytes << 20))
        raise RuntimeError("halfway")
    assert any_store.list() == []
    assert not any_store.exists("half.bin")


def test_of_two_creators_of_a_name_one_wins(any_store: Store) -> None:
    assert any_store.create("commit.json", b"first")
    assert not any_store.create("commit.json", b"second")
    assert any_store.read("commit.json") == b"first"


def test_the_server_itself_refuses_the_second_of_two_conditional_writes(
    any_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any_store.create("commit.json", b"first")
    monkeypatch.setattr(Store, "exists", lambda self, name: False)  # both looked before either wrote
    assert not any_store.create("commit.json", b"second")
    assert any_store.read("commit.json") == b"first"


def test_damaged_bytes_are_named(any_store: Store) -> None:
    entry = any_store.publish_bytes("a.bin", b"right")
    any_store.publish_bytes("a.bin", b"wrong")
    with pytest.raises(DamagedError, match="a.bin is damaged"):
        any_store.read("a.bin", expect=entry)
    with pytest.raises(DamagedError, match="a.bin is damaged"), any_store.checked("a.bin", entry):
        pytest.fail("damaged bytes were given")
    with pytest.raises(DamagedError):
        any_store.read("a.bin", expect=Object("a.bin", 3, entry.sha256))


def test_a_name_that_is_not_there_is_file_not_found(any_store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        any_store.read("nothing")
    assert any_store.list("nothing") == []
    any_store.delete(["nothing"])


NO_NAMES = [
    "../x",
    "a/../../x",
    "..",
    ".",
    "a/./x",
    "/etc/x",
    "a//x",
    "a/",
    "a\\..\\x",
    "a\nx",
    "a\0x",
    "\x7f",
    "a\u2028x",
    "\ud800",
    "x" * 256,
    "x/" * 600 + "x",
]


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_what_could_lead_out_of_the_store_is_no_name(any_store: Store, name: str) -> None:
    store = any_store.at("inside")
    any_store.publish_bytes("x", b"outside")
    uses = [
        lambda: store.read(name),
        lambda: store.read_many([name]),
        lambda: store.open(name),
        lambda: store.publish_bytes(name, b""),
        lambda: store.create(name, b""),
        lambda: store.delete([name]),
        lambda: store.exists(name),
        lambda: store.size(name),
        lambda: store.sizes(name),
        lambda: store.at(name),
    ]
    for use in uses:
        with pytest.raises(StoreError, match="cannot be the name of an object"):
            use()
    assert any_store.sizes() == {"x": 7}


def test_a_name_may_have_what_people_call_things(any_store: Store) -> None:
    for name in ("a b/ü [1] %20#?", "..x", "~", "x..", "C:x", "日本/*"):
        any_store.publish_bytes(name, name.encode())
        assert any_store.read(name) == name.encode() and name in any_store.list()


def test_many_objects_are_deleted_and_nothing_else(any_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llama_core.store.MANY", 3)
    names = [f"a[{n}]/x*" for n in range(7)]
    for name in (*names, "a1/x", "a/x"):
        any_store.publish_bytes(name, b"1")
    any_store.delete(name for name in (*names, "gone"))
    assert any_store.list() == ["a/x", "a1/x"]


def test_what_is_empty_is_damaged_and_not_a_failure_of_the_store(any_store: Store) -> None:
    entry = any_store.publish_bytes("full.json", b"{}")
    assert any_store.read_json("full.json") == {} and any_store.read_many(["full.json"]) == [b"{}"]
    empty = any_store.publish_bytes("full.json", b"")
    assert any_store.read("full.json", expect=empty) == any_store.read("full.json") == b""
    assert any_store.read_many(["full.json"]) == [b""]
    for read in (lambda: any_store.read_json("full.json"), lambda: any_store.read("full.json", expect=entry)):
        with pytest.raises(DamagedError, match=r"full\.json is damaged"):
            read()
    any_store.delete(["full.json"])
    for read in (lambda: any_store.read_json("full.json"), lambda: any_store.read("full.json", expect=entry)):
        with pytest.raises(FileNotFoundError):
            read()


def test_nothing_is_written_or_deleted_through_a_link(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_bytes(b"theirs")
    store.publish_bytes("a/b/c", b"ours")
    os.symlink(outside, store.path("a/link"))
    os.symlink(outside / "x", store.path("a/file"))
    os.symlink(outside / "gone", store.path("a/dangling"))
    for seen in (store.at("a"), store.at("a").at("link"), pickle.loads(pickle.dumps(store.at("a/link")))):
        prefix = "" if seen.url.endswith("link") else "link/"
        for write in (
            lambda s=seen, p=prefix: s.publish_bytes(f"{p}x", b""),
            lambda s=seen, p=prefix: s.create(f"{p}new", b""),
            lambda s=seen, p=prefix: s.delete([f"{p}x"]),
            lambda s=seen, p=prefix: s.publish_bytes(f"{p}new/x", b""),
        ):
            with pytest.raises(StoreError, match="is a symbolic link inside the store"):
                write()
    with pytest.raises(StoreError, match="is a symbolic link"):
        store.create("a/dangling", b"new")
    store.publish_bytes("a/file", b"new")  # takes the place of the link
    store.delete(["a/dangling"])
    assert not os.path.islink(store.path("a/file")) and not os.path.lexists(store.path("a/dangling"))
    assert {p.name: p.read_bytes() for p in outside.iterdir()} == {"x": b"theirs"}


def test_the_stores_own_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    os.symlink(tmp_path / "disk", tmp_path / "store")
    store = Store(str(tmp_path / "store"))
    store.check()
    entry = store.at("a").publish_bytes("b", b"1")
    store.at("a").delete([entry.name])
    assert store.at("a").create("c", b"1") and (tmp_path / "disk" / "a" / "c").read_bytes() == b"1"


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket", "/dev/zero", "loop", "through a link"])
def test_only_regular_files_are_read(store: Store, kind: str, tmp_path: Path) -> None:
    entry = store.publish_bytes("x", b"data")
    path = store.path("x")
    os.rename(path, tmp_path / "moved")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        os.mkdir(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
    else:
        os.symlink({"loop": "x", "through a link": str(tmp_path / "moved")}.get(kind, kind), path)
    if kind == "through a link":
        assert store.read("x", expect=entry) == store.read_many(["x"])[0] == b"data"
        return

    def checked() -> None:
        with store.checked("x", entry):
            pass

    uses = (store.read, store.open, store.size, store.read_json, lambda n: store.read_many([n]))
    for use in (*uses, lambda n: store.read(n, expect=entry), lambda n: store.read_range(n, 0, 4)):
        with pytest.raises(StoreError, match=r"expected|Too many levels"):
            use("x")
    with pytest.raises(StoreError, match=r"expected|Too many levels"):
        checked()


def test_a_file_that_is_larger_than_it_may_be_is_not_read(store: Store) -> None:
    entry = store.publish_bytes("x.json", b"{}")
    with open(store.path("x.json"), "r+b") as file:
        file.truncate(1 << 40)
    for read in (lambda: store.read("x.json", expect=entry), lambda: store.read_json("x.json")):
        with pytest.raises(DamagedError, match="x.json is damaged"):
            read()
    with pytest.raises(DamagedError, match="only .* of its .* bytes were ever written"):
        store.size("x.json")
    with pytest.raises(DamagedError, match="x.json is damaged"), store.checked("x.json", entry):
        pytest.fail("it was given")


def _write_for_ever(url: str) -> None:
    with Store(url).publish("killed.bin") as file:
        while True:
            file.write(b"x" * (1 << 16))
            time.sleep(0.01)


def test_kill_9_inside_an_object_publishes_nothing(store: Store) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_write_for_ever, args=(store.url,))
    process.start()
    assert process.pid
    folder = store.path()
    deadline = time.monotonic() + 30
    while not (os.path.isdir(folder) and any(".tmp-" in n for n in os.listdir(folder))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert store.list() == []


def test_a_full_disk_is_one_clear_error(store: Store) -> None:
    with (
        pytest.raises(StoreError, match="no space is left"),
        store.publish("x.bin") as file,
        open("/dev/full", "wb", buffering=0) as always_full,
    ):
        file._raw = always_full
        file.write(b"x")
    assert store.list() == []


class S3Fault(BaseHTTPRequestHandler):
    """Counts requests by method, and answers as `fault` says: with an error, not at all, or with half."""

    fault = ""
    asked: Counter[str]

    def answer(self) -> None:
        if self.headers.get("Expect"):  # a body is sent to who wants it
            self.send_response_only(100)
            self.end_headers()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked[self.command] += 1
        if self.fault == "hangs up":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        half = self.fault == "breaks off" and self.asked["GET"] < 3
        self.send_response(503 if self.fault == "overloaded" else 200)
        self.send_header("Content-Length", "0" if self.fault == "overloaded" else "8")
        self.end_headers()
        if self.fault == "breaks off":
            self.wfile.write(b"half" if half else b"all of it"[:8])
            self.close_connection = True

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def faulty_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store on an S3 server with the fault that the test names; each request is tried three times."""
    S3Fault.fault, S3Fault.asked = request.param, Counter()
    with ThreadingHTTPServer(("127.0.0.1", 0), S3Fault) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testaccess")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testsecretkey")
        store = Store("s3://faulty/x")
        monkeypatch.setattr(store.fs, "retries", 3)
        yield store
        server.shutdown()


@pytest.mark.parametrize("faulty_store", ["overloaded", "hangs up"], indirect=True)
def test_a_request_that_fails_is_tried_again_by_one_policy_alone(faulty_store: Store) -> None:
    with pytest.raises(StoreError, match="cannot read a.json"):
        faulty_store.read("a.json")
    # aiohttp by itself asks again for what may be asked twice, where the server has closed the connection.
    tries = 6 if S3Fault.fault == "hangs up" else 3
    assert S3Fault.asked == {"GET": tries}
    with pytest.raises(StoreError, match="cannot publish b.json"):
        faulty_store.publish_bytes("b.json", b"b")
    assert S3Fault.asked["PUT"] == tries and not S3Fault.asked["POST"], "a small object is one request"


def test_an_upload_that_a_dead_gateway_has_left_locked_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    locked = OSError(errno.EREMOTEIO, "This multipart completion is already in progress")  # Ceph's words
    answers: list[OSError] = [locked, locked]
    monkeypatch.setattr(file_system, "LONGEST_WAIT", 0.0)

    def complete() -> None:
        if answers:
            raise answers.pop()

    file_system.complete_upload(complete, lambda: False)
    assert not answers
    answers = [OSError(errno.EREMOTEIO, "another error"), locked]
    with pytest.raises(OSError, match="another error"):
        file_system.complete_upload(complete, lambda: False)
    monkeypatch.setattr(file_system, "LOCKED_SECONDS", -1.0)
    answers = [locked]
    with pytest.raises(OSError, match="in progress"):
        file_system.complete_upload(complete, lambda: False)


def test_an_upload_is_complete_if_only_the_answer_was_lost(
    any_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = S3File.commit

    def as_after_a_lost_answer(self: S3File) -> None:
        commit(self)
        commit(self)

    data = os.urandom(20 << 20)
    with monkeypatch.context() as patch:
        patch.setattr(S3File, "commit", as_after_a_lost_answer)
        entry = any_store.publish_bytes("large.bin", data)
    assert any_store.read("large.bin", expect=entry) == data
    if any_store.is_s3:
        any_store.fs.retries = 2  # this server makes an error of its own of an upload that it does not know
        with pytest.raises(StoreError, match="cannot publish"), any_store.publish("gone.bin") as file:
            file.write(data)
            any_store.fs.clear_multipart_uploads("/".join(any_store.path().split("/")[:1]))
        assert any_store.list() == ["large.bin"]


@pytest.mark.parametrize("faulty_store", ["breaks off"], indirect=True)
def test_an_answer_that_breaks_off_is_asked_for_again(faulty_store: Store) -> None:
    assert faulty_store.read("a.bin") == b"all of i"
    assert S3Fault.asked == {"GET": 3}


def test_a_server_that_is_away_is_asked_as_often_as_the_policy_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Exception] = []
    policy = s3._may_pass
    monkeypatch.setattr(s3, "_may_pass", lambda error: (asked.append(error), policy(error))[1])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testaccess")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testsecretkey")
    store = Store("s3://away/x")
    store.fs.retries = 3
    with pytest.raises(StoreError, match="cannot read a.json"):
        store.read("a.json")
    assert len(set(map(id, asked))) == 3


def test_a_missing_bucket_says_what_to_do(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testaccess")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testsecretkey")
    with pytest.raises(StoreError, match="create it first"):
        Store("s3://there-is-no-such-bucket/x").check()


@pytest.mark.parametrize(
    ("protocol", "package", "to_install"),
    [
        ("gs", "gcsfs", "gcsfs"),
        ("abfs", "adlfs", "adlfs"),
        ("hf", "huggingface_hub", "'llama-pretrain[corpus]'"),
    ],
)
def test_a_store_whose_package_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, protocol: str, package: str, to_install: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(_registry, protocol, raising=False)
    with pytest.raises(
        StoreError, match=rf"{protocol}://a.*{package}.*: pip install {re.escape(to_install)}$"
    ):
        Store(f"{protocol}://a/b").check()


def test_a_url_with_credentials_is_refused() -> None:
    with pytest.raises(StoreError, match="environment") as caught:
        Store("ftp://user:hunter2@host/path")
    assert "hunter2" not in str(caught.value)


def test_a_folder_may_have_any_name(tmp_path) -> None:
    store = Store(str(tmp_path / "a b ü%20 [1]"))
    store.publish_bytes("x", b"1")
    assert (tmp_path / "a b ü%20 [1]" / "x").read_bytes() == b"1"
    assert Store(store.url).read("x") == b"1"
    assert Store(store.url).read_many(["x", "x"]) == [b"1", b"1"]
