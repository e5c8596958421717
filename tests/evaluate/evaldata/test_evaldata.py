"""The benchmarks' files are fetched from a real web server on this machine, and nothing else is believed."""

import gzip
import hashlib
import io
import json
import socket
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from llama_core import file_system
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.evaldata import download
from llama_core.evaluate.evaldata.__main__ import main
from llama_core.evaluate.evaldata.bring import alone_in
from llama_core.evaluate.evaldata.published import PUBLISHED, Members, Published, Shortened

TEXT = b'{"question": "Is it?", "answer": true}\n' * 1000


class Server(BaseHTTPRequestHandler):
    """Serves files in ranges, notes which, and does first what `fault` says."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[tuple[str, str]]] = []
    fault: ClassVar[Callable[["Server"], bool] | None] = None
    ranges: ClassVar[bool] = True
    sizes: ClassVar[bool] = True

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        wanted = self.headers.get("Range", "") if self.ranges else ""
        Server.asked.append((self.command, wanted))
        if Server.fault and Server.fault(self):
            return
        content = self.files.get(self.path)
        if content is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start, end = 0, len(content)
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(end, int(last) + 1 if last else end)
        self.send_response(206 if wanted else 200)
        if self.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        if self.sizes:
            self.send_header("Content-Length", str(end - start))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[start:end])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(file_system, "RETRIES", 3)
    monkeypatch.setattr(download, "BLOCK", 4096)
    for name, value in {"files": {}, "asked": [], "fault": None, "ranges": True, "sizes": True}.items():
        monkeypatch.setattr(Server, name, value)
    found = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def offered(server: str, content: bytes = TEXT, name: str = "boolq.jsonl") -> Published:
    """A file that the server has, as a list has it."""
    Server.files[f"/{name}"] = content
    return Published(("boolq",), f"{server}/{name}", "MIT", "boolq/dev.jsonl", len(content), sha256(content))


def packed(server: str, content: bytes, *members: Members, name: str = "a.tar.gz") -> Published:
    one = offered(server, content, name)
    wanted = members or (Members("a/", "*.txt", "race"),)
    return replace(one, target=f"downloads/{name}", members=wanted, most=1 << 20)


def tar(*members: tuple[str, bytes], links: dict[str, str] | None = None) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, place in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, place
            archive.addfile(info)
    return file.getvalue()


def zipped(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def files_of(folder: Path) -> list[str]:
    """The files below a folder but for the lock."""
    found = (str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    return sorted(name for name in found if name not in ("manifest.lock.json", ".evaldata.lock"))


def test_a_file_is_fetched_checked_and_not_fetched_again(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = offered(server)
    assert main([str(tmp_path)], [one]) == 0
    assert (tmp_path / "boolq/dev.jsonl").read_bytes() == TEXT
    locked = json.loads((tmp_path / "manifest.lock.json").read_text())
    assert locked["boolq/dev.jsonl"] == {"url": one.url, "size": len(TEXT), "sha256": sha256(TEXT)}
    Server.asked.clear()
    assert main([str(tmp_path)], [one]) == 0
    assert Server.asked == [] and "is there" in capsys.readouterr().out


def test_a_download_that_was_killed_goes_on_where_it_was(server: str, tmp_path: Path) -> None:
    one = offered(server)
    (tmp_path / "boolq").mkdir()
    (tmp_path / "boolq/dev.jsonl.part").write_bytes(TEXT[:30_000])
    assert main([str(tmp_path)], [one]) == 0
    assert (tmp_path / "boolq/dev.jsonl").read_bytes() == TEXT
    starts = [int(wanted.removeprefix("bytes=").partition("-")[0]) for _, wanted in Server.asked if wanted]
    assert min(start for start in starts if start) == 30_000 and files_of(tmp_path) == ["boolq/dev.jsonl"]


@pytest.mark.parametrize("sizes", [True, False])
def test_a_server_without_ranges_is_read_from_the_start(server: str, tmp_path: Path, sizes: bool) -> None:
    one = offered(server)
    Server.ranges, Server.sizes = False, sizes
    (tmp_path / "boolq").mkdir()
    (tmp_path / "boolq/dev.jsonl.part").write_bytes(b"x" * 30_000)
    assert main([str(tmp_path)], [one]) == 0
    assert (tmp_path / "boolq/dev.jsonl").read_bytes() == TEXT


def test_a_connection_that_is_cut_is_made_again(server: str, tmp_path: Path) -> None:
    one, cuts = offered(server), []

    def cut(handler: Server) -> bool:
        """Every third answer ends in its middle."""
        if handler.command == "HEAD" or len(Server.asked) % 3:
            return False
        cuts.append(1)
        handler.send_response(206)
        wanted = handler.headers["Range"].removeprefix("bytes=")
        first, _, last = wanted.partition("-")
        handler.send_header("Content-Range", f"bytes {first}-{last}/{len(TEXT)}")
        handler.send_header("Content-Length", str(int(last) - int(first) + 1))
        handler.end_headers()
        handler.wfile.write(TEXT[int(first) : int(first) + 100])
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True
        return True

    Server.fault = cut
    assert main([str(tmp_path)], [one]) == 0
    assert (tmp_path / "boolq/dev.jsonl").read_bytes() == TEXT and cuts


def test_a_file_with_another_checksum_is_kept_aside_and_never_at_its_place(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = replace(offered(server), sha256="0" * 64)
    assert main([str(tmp_path)], [one]) == 2
    said = capsys.readouterr().err
    assert sha256(TEXT) in said and "0" * 64 in said and "dev.jsonl.differs" in said
    assert files_of(tmp_path) == ["boolq/dev.jsonl.differs"]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"size": 5}, "the list has 5 for it"), ({"url": "http://127.0.0.1:1/x"}, "cannot read")],
)
def test_what_cannot_be_fetched_is_said_and_the_others_are_fetched(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], said: str
) -> None:
    wrong = replace(offered(server), target="piqa/valid.jsonl", benchmarks=("piqa",), **change)
    gone = replace(offered(server), url=f"{server}/gone", target="siqa/dev.jsonl", benchmarks=("siqa",))
    assert main([str(tmp_path)], [wrong, gone, offered(server)]) == 2
    out, err = capsys.readouterr()
    assert f"error: piqa: {wrong.url}"[:12] in err and said in err
    assert "siqa" in err and "is not there: its publisher may have moved it" in err
    assert files_of(tmp_path) == ["boolq/dev.jsonl"] and "Not fetched:" in out


def test_a_server_that_never_ends_is_left(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = replace(offered(server), size=1000, sha256=None)
    Server.ranges, Server.sizes = False, False
    assert main([str(tmp_path)], [one]) == 2
    assert "goes on after 1,000 bytes" in capsys.readouterr().err
    assert files_of(tmp_path) in ([], ["boolq/dev.jsonl.part"])


def test_a_file_of_the_persons_that_differs_is_kept_aside_and_named(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = offered(server)
    (tmp_path / "boolq").mkdir()
    for n in range(2):
        (tmp_path / "boolq/dev.jsonl").write_bytes(b"mine %d" % n)
        assert main([str(tmp_path)], [one]) == 0
        assert "boolq/dev.jsonl: differs from what was published" in capsys.readouterr().out
    assert files_of(tmp_path) == ["boolq/dev.jsonl", "boolq/dev.jsonl.differs", "boolq/dev.jsonl.differs1"]
    assert (tmp_path / "boolq/dev.jsonl.differs").read_bytes() == b"mine 0"
    assert (tmp_path / "boolq/dev.jsonl").read_bytes() == TEXT


def test_a_file_that_differs_stays_until_the_right_one_is_there(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = replace(offered(server), url=f"{server}/gone")
    (tmp_path / "boolq").mkdir()
    (tmp_path / "boolq/dev.jsonl").write_bytes(b"mine")
    assert main([str(tmp_path)], [one]) == 2
    assert (tmp_path / "boolq/dev.jsonl").read_bytes() == b"mine"


def test_two_commands_do_not_work_in_one_folder(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "downloads/.unpacking-killed").mkdir(parents=True)
    with alone_in(tmp_path):
        assert main([str(tmp_path)], [offered(server)]) == 2
    assert "another command is bringing files" in capsys.readouterr().err
    assert not (tmp_path / "downloads/.unpacking-killed").exists()
    assert main([str(tmp_path)], [offered(server)]) == 0


def test_a_checksum_that_nobody_states_is_that_of_the_first_download(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = replace(offered(server), size=None, sha256=None)
    assert main([str(tmp_path)], [one]) == 0
    assert f"nobody states its sha256, and {sha256(TEXT)} counts from now on" in capsys.readouterr().out
    (tmp_path / "boolq/dev.jsonl").unlink()
    Server.files["/boolq.jsonl"] = TEXT + b"another line\n"
    assert main([str(tmp_path)], [one]) == 2
    assert f"and not {sha256(TEXT)}" in capsys.readouterr().err
    assert files_of(tmp_path) == ["boolq/dev.jsonl.differs"]


def test_members_are_unpacked_to_their_places_and_the_archive_goes(server: str, tmp_path: Path) -> None:
    content = tar(("a/1.txt", b"one"), ("a/b/2.txt", b"two"), ("other.txt", b"no"), ("a/c.py", b"no"))
    one = packed(server, content)
    assert main([str(tmp_path)], [one]) == 0
    assert files_of(tmp_path) == ["race/1.txt", "race/b/2.txt"]
    assert (tmp_path / "race/b/2.txt").read_bytes() == b"two"
    Server.asked.clear()
    assert main([str(tmp_path)], [one]) == 0 and Server.asked == []


def test_a_member_that_was_changed_is_named_kept_aside_and_unpacked_again(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = packed(server, zipped(("a/1.txt", b"one"), ("a/2.txt", b"two")), name="a.zip")
    assert main([str(tmp_path)], [one]) == 0
    (tmp_path / "race/2.txt").write_bytes(b"mine")
    assert main([str(tmp_path)], [one]) == 0
    assert "race/2.txt: differs from what is in" in capsys.readouterr().out
    assert files_of(tmp_path) == ["race/1.txt", "race/2.txt", "race/2.txt.differs"]
    assert (tmp_path / "race/2.txt").read_bytes() == b"two"


def test_what_the_list_wants_in_addition_is_unpacked_later_and_what_is_the_same_stays(
    server: str, tmp_path: Path
) -> None:
    content = zipped(("a/1.txt", b"one"), ("b/2.txt", b"two"))
    one = packed(server, content, name="a.zip")
    assert main([str(tmp_path)], [one]) == 0 and files_of(tmp_path) == ["race/1.txt"]
    more = replace(one, members=(*one.members, Members("b/", "*.txt", "math")))
    assert main([str(tmp_path)], [more]) == 0
    Server.files["/moved.zip"] = content
    assert main([str(tmp_path)], [replace(more, url=f"{server}/moved.zip")]) == 0
    assert files_of(tmp_path) == ["math/2.txt", "race/1.txt"], "nothing is kept aside that is the same"


def test_an_archive_that_is_packed_anew_counts_as_long_as_what_is_in_it_stays(
    server: str, tmp_path: Path
) -> None:
    member = Members("a/", "dev.txt", "race", sha256(b"one"))
    one = replace(packed(server, zipped(("a/dev.txt", b"one")), member, name="a.zip"), size=None, sha256=None)
    assert main([str(tmp_path)], [one]) == 0
    (tmp_path / "race/dev.txt").unlink()
    Server.files["/a.zip"] = zipped(("a/dev.txt", b"one"), ("a/readme", b"new"))
    assert main([str(tmp_path)], [one]) == 0
    Server.files["/a.zip"] = zipped(("a/dev.txt", b"two"))
    (tmp_path / "race/dev.txt").unlink()
    assert main([str(tmp_path)], [one]) == 2
    assert "race/dev.txt" not in files_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.tar.gz", tar(("a/ok.txt", b"1"), ("a/../../evil.txt", b"2")), "unsafe path"),
        ("a.tar.gz", tar(("a/../b.txt", b"2")), "unsafe path"),
        ("a.zip", zipped(("a/ok.txt", b"1"), ("a/../../../evil.txt", b"2")), "unsafe path"),
        ("a.tar.gz", tar(("a/ok.txt", b"1"), links={"a/link.txt": "/etc/passwd"}), "it is a link"),
        ("a.zip", zipped(("a/bomb.txt", bytes(4 << 20))), "too long"),
        ("a.tar.gz", tar(("a/bomb.txt", bytes(4 << 20))), "too long"),
        ("a.tar.gz", tar(*((f"a/{n}.txt", bytes(1 << 19)) for n in range(3))), "more than 1,048,576 bytes"),
        ("a.tar.gz", tar(("a/ok.txt", bytes(5000)))[:-30], "is not unpacked"),
        ("a.zip", zipped(("a/ok.txt", b"1"))[:-30], ""),
        ("a.tar.gz", tar(("b/other.txt", b"1")), "has no member a/*.txt"),
        ("a.zip", b"no archive at all", "truncated archive"),
    ],
    ids=[
        "above in tar", "above alone", "above in zip", "link", "bomb in zip", "bomb in tar", "many in tar",
        "cut tar", "cut zip", "other members", "no archive",
    ],  # the archives tell the time
)  # fmt: skip
def test_an_archive_that_is_hostile_or_damaged_leaves_nothing_behind(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, said: str
) -> None:
    folder = tmp_path / "deep" / "folder"
    code = main([str(folder)], [packed(server, content, name=name)])
    err = capsys.readouterr().err
    if said:
        assert code == 2 and said in err, err
        assert not [n for n in files_of(folder) if not n.startswith("downloads/a.")], err
        assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert not list(tmp_path.rglob("evil.txt")) and not list(tmp_path.rglob(".unpacking-*/*"))


def test_of_a_long_list_only_what_is_needed_is_kept(server: str, tmp_path: Path) -> None:
    rows = [{"Question": f"é{n}? ]", "Answer": {"Value": "a"}} for n in range(9)]
    long = [row | {"SearchResults": [{"Description": "x" * 300_000}]} for row in rows]
    whole = json.dumps({"Version": 1, "Data": long, "Split": "dev"}, indent=4, ensure_ascii=False).encode()
    kept = tuple(
        Members("a/", f"{name}.json", "triviaqa", shortened=Shortened("Data", ("Question", "Answer"), first))
        for name, first in (("dev", None), ("train", 3))
    )
    one = packed(server, tar(("a/dev.json", whole), ("a/train.json", whole)), *kept)
    assert main([str(tmp_path)], [one]) == 0
    assert json.loads((tmp_path / "triviaqa/dev.json").read_bytes()) == {"Data": rows}
    assert json.loads((tmp_path / "triviaqa/train.json").read_bytes()) == {"Data": rows[:3]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"Data": [{"a": 1}, {"a": 2}', "is cut, or no JSON"),
        (b'{"Data": [{"a": 1}, {"a": 2}]}', "has 2 values"),
        (b'{"Data": [{"a": 1}, 2, 3]}', "a value that is no object"),
        (b'{"Other": []}', 'it has no "Data"'),
        (b'{"Data": [{"a": "\xff"}]}', "utf-8"),
    ],
)
def test_a_list_that_is_none_is_refused(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    members = Members("a/", "dev.json", "triviaqa", shortened=Shortened("Data", ("a",), 3))
    assert main([str(tmp_path)], [packed(server, tar(("a/dev.json", content)), members)]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "triviaqa").exists()


def test_what_a_person_must_fetch_is_told_with_the_reason_and_unpacked_once_it_is_there(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = tar(("a/1.txt", b"one"))
    one = replace(packed(server, content), by_hand="its publisher wants to know who you are")
    assert main([str(tmp_path)], [one]) == 1
    out = capsys.readouterr().out
    place = tmp_path / "downloads/a.tar.gz"
    assert "its publisher wants to know who you are. Take it from" in out and str(place) in out
    assert Server.asked == []
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"something else")
    assert main([str(tmp_path)], [one]) == 1
    assert f"{place} differs from what was published; its publisher" in capsys.readouterr().out
    place.write_bytes(content)
    assert main([str(tmp_path)], [one]) == 0
    assert (tmp_path / "race/1.txt").read_bytes() == b"one" and place.exists(), "it is the person's"


@pytest.mark.parametrize(
    "to", ["http://example.org/x", "http://127.0.0.1.example.org/x", "file:///etc/passwd"]
)
def test_a_redirect_off_https_is_refused(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str
) -> None:
    one = offered(server)

    def redirect(handler: Server) -> bool:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    Server.fault = redirect
    assert main([str(tmp_path)], [one]) == 2
    said = capsys.readouterr().err
    assert ("only https is asked" if to.startswith("http") else "cannot read") in said
    assert files_of(tmp_path) == []


def test_a_redirect_on_this_machine_is_followed(server: str, tmp_path: Path) -> None:
    one = offered(server)

    def redirect(handler: Server) -> bool:
        if handler.path != "/moved":
            return False
        handler.send_response(302)
        handler.send_header("Location", "/boolq.jsonl")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    Server.fault = redirect
    assert main([str(tmp_path)], [replace(one, url=f"{server}/moved")]) == 0
    assert (tmp_path / "boolq/dev.jsonl").read_bytes() == TEXT


def test_only_the_benchmarks_that_are_named_are_fetched(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = offered(server)
    other = replace(one, benchmarks=("piqa",), target="piqa/valid.jsonl")
    assert main([str(tmp_path), "piqa"], [one, other]) == 0
    assert files_of(tmp_path) == ["piqa/valid.jsonl"]
    assert main([str(tmp_path), "hellaswog"], [one, other]) == 2
    assert "'hellaswog' is none of the benchmarks: boolq, piqa" in capsys.readouterr().err
    assert main(["s3://bucket/x"], [one]) == 2 and main([], [one]) == 2
    assert main([str(tmp_path), "--list"], [one]) == 0 and "licence: MIT" in capsys.readouterr().out


def test_a_damaged_lock_is_named(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.lock.json").write_text('{"../../x": {"url": "u", "size": 1, "sha256": "0"}}')
    assert main([str(tmp_path)], [offered(server)]) == 2
    assert "manifest.lock.json is damaged" in capsys.readouterr().err


def test_a_packed_file_stays_packed(server: str, tmp_path: Path) -> None:
    one = replace(offered(server, gzip.compress(TEXT)), target="humaneval/HumanEval.jsonl.gz")
    assert main([str(tmp_path)], [one]) == 0
    assert gzip.decompress((tmp_path / "humaneval/HumanEval.jsonl.gz").read_bytes()) == TEXT


def test_the_list_is_sound() -> None:
    """Every address is https or for a person, and two files never go to one place."""
    places = [one.target for one in PUBLISHED]
    assert len(set(places)) == len(places)
    for one in PUBLISHED:
        assert one.url.startswith("https://") or one.by_hand, one.url
        assert one.licence and (one.sha256 is None or len(bytes.fromhex(one.sha256)) == 32)
        assert bool(one.members) == one.target.startswith("downloads/"), one.target
        for members in one.members:
            assert "*" not in members.pattern or not (members.sha256 or members.shortened)
    unknown = {one.target for one in PUBLISHED if not one.sha256 and not one.is_known_inside}
    assert unknown == {"winogender/all_sentences.tsv", "winogender/occupations-stats.tsv"}


def test_every_benchmark_finds_its_files_where_the_list_puts_them(tmp_path: Path) -> None:
    from llama_core.evaluate.files import Folder

    for one in PUBLISHED:
        for place in [f"{m.folder}/{m.pattern}".replace("*", "1") for m in one.members] or [one.target]:
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).write_bytes(b"")
    named = {name for one in PUBLISHED for name in one.benchmarks}
    assert named == set(BENCHMARKS)
    for benchmark in BENCHMARKS.values():
        assert all(Folder(str(tmp_path)).names(benchmark).get(role) for role in ("items",)), benchmark.name
