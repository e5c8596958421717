"""FIFOs, sockets, devices, folders and links without end as inputs: refused, and never opened."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from corpus.helpers import left_out, write_jsonl
from pydantic import TypeAdapter

from llama_core.corpus import ingest
from llama_core.corpus.decontaminate import evaluation_sets
from llama_core.corpus.recipe import Files, GitHub, Packages, Source
from llama_core.errors import InputError, LlamaError, StoreError
from llama_core.evaluate.planned import check
from llama_core.store import Store

pytestmark = pytest.mark.timeout(30)

KINDS = {
    "files": "a.jsonl",
    "c4": "a.json.gz",
    "commoncrawl": "a.warc.wet.gz",
    "github": "a.tar.gz",
    "wikipedia": "enwiki-20220601-pages-articles.xml",
    "books": "11.txt",
    "arxiv": "arXiv_src_2301_001.tar",
    "stackexchange": "bread.stackexchange.com.7z",
}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def folder(path: Path) -> None:
    path.mkdir()


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.fixture
def near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose path is short enough for a socket's name."""
    monkeypatch.chdir(tmp_path)
    yield Path()


MAKERS: dict[Callable[[Path], None], str] = {
    fifo: "a FIFO",
    bound: "a FIFO, a socket or a device",
    device: "a FIFO, a socket or a device",
    loop: "symbolic links",
    folder: "is a folder|no Posts|there is no file",
}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused_by_every_kind_of_source_by_name_and_by_glob(
    near: Path, kind: str, make: Callable[[Path], None]
) -> None:
    make(near / KINDS[kind])
    for url in (near.absolute() / KINDS[kind], near.absolute() / "*"):
        source: Any = TypeAdapter(Source).validate_python({"kind": kind, "urls": [str(url)]})
        if kind == "github" and make is folder:
            assert [raw.url for raw in ingest.raw_files("web", source)]  # a checkout
            continue
        with pytest.raises(InputError, match=rf"corpus\.sources\.web\.urls: .*({MAKERS[make]})"):
            ingest.raw_files("web", source)


@pytest.mark.parametrize("make", [fifo, bound, device])
def test_a_list_that_is_no_file_and_one_that_names_what_is_none_are_refused(
    near: Path, make: Callable[[Path], None]
) -> None:
    make(near / "a.jsonl")
    with pytest.raises(InputError, match=r"a\.jsonl is a (FIFO|socket|device)"):
        ingest.raw_files("web", Files(kind="files", urls=[f"list+{near.absolute()}/a.jsonl"]))
    (near / "paths").write_text("a.jsonl\n")
    source = Files(kind="files", urls=[f"list+{near.absolute()}/paths"])
    (raw,) = ingest.raw_files("web", source)
    with pytest.raises(LlamaError, match=r"a\.jsonl is a (FIFO|socket|device)"):
        list(ingest.reader("files").read("web", source, raw))


def test_a_file_that_becomes_a_fifo_before_it_is_read_is_refused(near: Path) -> None:
    path = write_jsonl(near.absolute() / "a.jsonl", [{"text": "a"}])
    source = Files(kind="files", urls=[str(path)])
    (raw,) = ingest.raw_files("web", source)
    path.unlink()
    fifo(path)
    with pytest.raises(InputError, match="a FIFO"):
        list(ingest.reader("files").read("web", source, raw))


def test_in_a_checkout_they_are_counted_and_not_opened(near: Path) -> None:
    root = near.absolute() / "checkout"
    root.mkdir()
    (root / "LICENSE").write_text("MIT License\n\nPermission is hereby granted, free of charge")
    for make in (fifo, bound, device, loop, folder):
        make(root / f"{make.__name__}.py")
    (root / "up").symlink_to(root)
    fifo(root / "COPYING")
    (root / ".git").mkdir()
    fifo(root / ".git" / "config")
    source = GitHub(kind="github", urls=[str(root)])
    (raw,) = ingest.raw_files("code", source)
    counts = left_out(ingest.reader("github").read("code", source, raw))
    assert counts["device"] == 3 and counts["link"] == 3, counts


def test_a_package_whose_file_has_become_a_fifo_is_refused(site: Callable[..., Path]) -> None:
    root = site("honest", {"honest/a.py": "x = 1\n"})
    source = Packages(kind="packages", packages=["honest"])
    (raw,) = ingest.raw_files("code", source)
    (root / "honest/a.py").unlink()
    fifo(root / "honest/a.py")
    with pytest.raises(InputError, match=r"honest/a\.py of honest==1\.0 cannot be read"):
        list(ingest.reader("packages").read("code", source, raw))


@pytest.mark.parametrize("make", [fifo, bound, device, folder])
def test_a_benchmark_that_is_no_file_is_refused(near: Path, make: Callable[[Path], None]) -> None:
    data = near.absolute()
    make(data / "hellaswag_val.jsonl")
    if make is folder:
        check(str(data), ["hellaswag"])
        return
    for call in (lambda: check(str(data), ["hellaswag"]), lambda: evaluation_sets.check(str(data))):
        with pytest.raises(StoreError, match=r"hellaswag_val\.jsonl.* is a (FIFO|socket|device)"):
            call()


def test_a_data_file_of_datasets_that_is_no_file_is_refused(near: Path) -> None:
    fifo(near / "a.jsonl")
    fields = {"kind": "dataset", "path": "json", "data_files": str(near.absolute() / "a.jsonl")}
    with pytest.raises(InputError, match=r"corpus\.sources\.web: .*a\.jsonl"):
        ingest.raw_files("web", TypeAdapter(Source).validate_python(fields))


def test_an_object_of_a_store_that_is_no_file_is_refused(store: Store) -> None:
    store.publish_bytes("a", b"a")
    fifo(Path(store.path()) / "b")
    with pytest.raises(StoreError, match="store/b is a FIFO"):
        store.read("b")
