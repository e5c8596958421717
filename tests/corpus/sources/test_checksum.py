"""What a list states of a file's bytes is compared with them, whatever its reader leaves unread."""

import hashlib
import io
import json
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import py7zr
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus.helpers import write_jsonl
from corpus.sources.projects import CODE, MIT, pack

from llama_core.artifact import Artifact
from llama_core.corpus.recipe import Arxiv, Books, Files, GitHub, StackExchange
from llama_core.errors import InputError

TEXT = "A text that is long enough to be kept by the source, and says little. " * 40


def sums(kind: str, path: Path, digest: str) -> str:
    return f"{digest}  {path.name}\n"


def dumpstatus(kind: str, path: Path, digest: str) -> str:
    file = {"size": path.stat().st_size, kind: digest}
    return json.dumps({"jobs": {"dump": {"status": "done", "files": {path.name: file}}}})


def files_xml(kind: str, path: Path, digest: str) -> str:
    size = path.stat().st_size
    fields = f"<size>{size}</size><{kind}>{digest.upper()}</{kind}>"
    return f'<files><file name="{path.name}">{fields}</file></files>'


def manifest(kind: str, path: Path, digest: str) -> str:
    fields = f"<{kind}sum>{digest}</{kind}sum><size>{path.stat().st_size}</size>"
    name = f"<filename>{path.parent.name}/{path.name}</filename>"
    return f"<arXivSRC><file><content_md5sum>0</content_md5sum>{name}{fields}</file></arXivSRC>"


def damage(path: Path, at: int) -> None:
    """Put another letter in the place of one, which only the checksum shows."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("listing", "kind"),
    [
        (sums, "md5"),
        (sums, "sha1"),
        (sums, "sha256"),
        (dumpstatus, "sha1"),
        (files_xml, "sha1"),
        (files_xml, "md5"),
        (manifest, "md5"),
    ],
)
def test_a_damaged_file_of_the_right_size_is_an_error_that_names_both_sums(
    tmp_path: Path, ingested: Callable[..., Artifact], listing: Callable[..., str], kind: str
) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    path = write_jsonl(folder / "a.jsonl", [{"text": TEXT}])
    stated = hashlib.new(kind, path.read_bytes()).hexdigest()
    (folder / "list").write_text(listing(kind, path, stated))
    source = Files(kind="files", urls=[f"list+{folder}/list"])
    assert ingested(source, "right").counts["documents"] == 1
    damage(path, 50)
    found = hashlib.new(kind, path.read_bytes()).hexdigest()
    with pytest.raises(InputError, match=f"{path} has the {kind} {found}, its list says (?i:{stated})"):
        ingested(source, "damaged")


def zipped(folder: Path) -> Path:
    """A text between pictures, which no reader of books takes."""
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for name in ("1.jpg", "1.txt", "2.jpg"):
            archive.writestr(name, TEXT)
    return folder / "a.zip"


def project(folder: Path) -> Path:
    """An archive that is read twice."""
    return pack(folder / "a.zip", {"p/1.jpg": TEXT, "p/LICENSE": MIT, "p/a.py": CODE})


def tarred(folder: Path) -> Path:
    """A paper and, after the end of its archive, what nobody reads."""
    with tarfile.open(folder / "a.tar", "w") as archive:
        info = tarfile.TarInfo("main.tex")
        data = rf"\documentclass{{article}}\begin{{document}}{TEXT}\end{{document}}".encode()
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    (folder / "a.tar").write_bytes((folder / "a.tar").read_bytes() + bytes(1 << 20) + b"the end")
    return folder / "a.tar"


def sevenzip(folder: Path) -> Path:
    posts = f'<posts><row Id="1" PostTypeId="1" Score="1" Title="Why" Body="{TEXT}"/></posts>'
    for number, (name, data) in enumerate({"A.xml": TEXT, "Posts.xml": posts, "Votes.xml": TEXT}.items()):
        with py7zr.SevenZipFile(folder / "a.7z", "a" if number else "w") as archive:
            archive.writestr(data, name)
    return folder / "a.7z"


def table(folder: Path) -> Path:
    pq.write_table(pa.table({"text": [TEXT] * 9}), folder / "a.parquet", row_group_size=3)
    return folder / "a.parquet"


@pytest.mark.parametrize(
    ("make", "kind", "model", "at"),
    [
        (zipped, "books", Books, 100),
        (zipped, "books", Books, -400),
        (project, "github", GitHub, 60),
        (tarred, "arxiv", Arxiv, -1),
        (sevenzip, "stackexchange", StackExchange, 40),
        (table, "files", Files, None),
    ],
)
def test_what_a_reader_leaves_unread_or_reads_in_another_order_is_compared_too(
    tmp_path: Path,
    ingested: Callable[..., Artifact],
    make: Callable[[Path], Path],
    kind: str,
    model: Callable[..., Any],
    at: int | None,
) -> None:
    path = make(tmp_path)
    (tmp_path / "list").write_text(sums("sha1", path, hashlib.sha1(path.read_bytes()).hexdigest()))
    source = model(kind=kind, urls=[f"list+{tmp_path}/list"])
    right = ingested(source, "right").counts
    assert right["documents"] > 0 and not any(name.startswith("quarantined") for name in right)
    if at is not None:
        damage(path, at)
        with pytest.raises(InputError, match=f"{path} has the sha1"):
            ingested(source, "damaged")


def test_what_is_left_unread_is_never_held_in_memory(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    path = zipped(tmp_path)
    whole = bytes(256 << 20) + path.read_bytes()
    path.write_bytes(whole)
    (tmp_path / "list").write_text(sums("sha1", path, hashlib.sha1(whole).hexdigest()))
    del whole
    tracemalloc.start()
    artifact = ingested(Books(kind="books", urls=[f"list+{tmp_path}/list"]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert artifact.counts["documents"] == 1 and peak < 50 << 20
