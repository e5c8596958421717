"""A shard's work stays far under 2 GB of memory, whatever the shard holds.

A record is never held, so its size does not matter once it is larger than what a process may take: the line
is of 2 GB, the other bombs are as small as they can be and still be seen.
"""

import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import py7zr
import pytest
from pipeline import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LIMIT = 300 * 10**6  # some 100 of it are the libraries
LARGE = 320 << 20  # the bytes of a record that would be seen if it were held
PIECE = 64 << 20
MEMBERS = 100_000
TEXT = "The quick brown fox jumps over the lazy dog, and nobody knows what for. " * 8


def measured(*arguments: str) -> list[Any]:
    """What a program of `peaks.py` prints."""
    command = [sys.executable, str(Path(__file__).with_name("peaks.py")), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def packed(first: bytes, filling: bytes, size: int, last: bytes) -> Iterator[bytes]:
    """A gzip stream of one member: `first`, `size` bytes of `filling`, `last`. Made in no time."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
    yield deflate.compress(first)
    piece = filling * (PIECE // len(filling))
    for _ in range(size // len(piece)):
        yield deflate.compress(piece)
    yield deflate.compress(last) + deflate.flush()


def write(path: Path, chunks: Iterator[bytes]) -> Path:
    with path.open("wb") as file:
        file.writelines(chunks)
    return path


def a_line_of_2_gb(folder: Path) -> Path:
    good = json.dumps({"text": TEXT}).encode() + b"\n"
    return write(folder / "a.jsonl.gz", packed(good, b"x", 2 << 30, b"\n" + good))


def a_large_page(folder: Path) -> Path:
    def record(body: bytes, size: int) -> bytes:
        head = "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://a.example/\r\n"
        return f"{head}Content-Length: {size}\r\n\r\n".encode() + body

    end = b"\r\n\r\n"
    good = record(TEXT.encode(), len(TEXT)) + end
    return write(folder / "a.warc.wet.gz", packed(good + record(b"", LARGE), b"x", LARGE, end + good))


def a_large_article(folder: Path) -> Path:
    def page(number: int, text: str) -> str:
        return (
            f"<page><title>A{number}</title><ns>0</ns><id>{number}</id><revision><id>{number}</id>"
            f"<text>{text}</text></revision></page>"
        )

    head = "<mediawiki><siteinfo><dbname>enwiki</dbname></siteinfo>" + page(1, TEXT)
    long, tail = page(2, "\0").split("\0")
    last = tail + page(3, TEXT) + "</mediawiki>"
    return write(
        folder / "enwiki-pages-articles.xml.gz", packed((head + long).encode(), b"x", LARGE, last.encode())
    )


def a_large_post(folder: Path) -> Path:
    row = '<row Id="{}" PostTypeId="1" Score="1" Title="What?" Body="{}" />'
    long, tail = row.format(2, "\0").split("\0")
    head = "<posts>" + row.format(1, TEXT) + long
    return write(
        folder / "a.xml.gz",
        packed(head.encode(), b"x", LARGE, (tail + row.format(3, TEXT) + "</posts>").encode()),
    )


def a_large_archive_7z(folder: Path) -> Path:
    posts, path = folder / "Posts.xml", folder / "a.stackexchange.com.7z"
    with posts.open("wb") as file:
        file.truncate(LARGE)
    with py7zr.SevenZipFile(path, "w", filters=[{"id": py7zr.FILTER_DEFLATE}]) as archive:
        archive.write(posts, posts.name)
    posts.unlink()
    return path


def a_large_paper(folder: Path) -> Path:
    bomb = b"".join(packed(b"\\documentclass{article}", b"x", LARGE, b""))
    good = gzip.compress(
        (r"\documentclass{article}\begin{document}\section{One}" + TEXT + r"\end{document}").encode()
    )
    path = folder / "arXiv_src_2001_001.tar"
    with tarfile.open(path, "w") as bulk:
        for name, data in {"2001/2001.00001.gz": bomb, "2001/2001.00002.gz": good}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            bulk.addfile(info, io.BytesIO(data))
    return path


def a_tar_of_100_000_members(folder: Path) -> Path:
    path = folder / "somebody-tools.tar.gz"
    with gzip.open(path, "wb", 1) as packed_file, tarfile.open(fileobj=packed_file, mode="w|") as archive:
        for i in range(MEMBERS):
            info = tarfile.TarInfo(f"tools/src/module_{i}.py")
            archive.addfile(info, io.BytesIO())
    return path


def a_large_zip(folder: Path) -> Path:
    path = folder / "somebody-tools.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("tools/bomb.py", "w", force_zip64=True) as member:
            for _ in range(LARGE // PIECE):
                member.write(b"x" * PIECE)
        archive.writestr("tools/a.py", "a = 1\n" * 100)
    return path


BOMBS: list[tuple[Callable[[Path], Path], str]] = [
    (a_line_of_2_gb, "files"),
    (a_large_page, "commoncrawl"),
    (a_large_article, "wikipedia"),
    (a_large_post, "stackexchange"),
    (a_large_archive_7z, "stackexchange"),
    (a_large_paper, "arxiv"),
    (a_tar_of_100_000_members, "github"),
    (a_large_zip, "github"),
]


# Pairs are made by the slice, which a small partition does not fill.
@pytest.mark.parametrize(
    ("label", "share"), [("exact", 8), ("shared", 8), ("links", 8), ("large1", 8), ("near", 8), ("pairs", 4)]
)
def test_a_full_partition_of_dedup_takes_less_than_2_gb(label: str, share: int, tmp_path: Path) -> None:
    """By what two small ones take, and how that grows."""
    (less, small, full), (more, larger, _) = (
        measured("partition", label, str(tmp_path / str(n)), str(n)) for n in (2 * share, share)
    )
    whole = more + (full - larger) * max(0, more - less) / (larger - small)
    assert whole < 2e9 and full == 256 << 20, f"{whole / 1e9:.2f} GB for {full >> 20} MB of keys"


@pytest.mark.parametrize(("bomb", "kind"), BOMBS, ids=[bomb.__name__ for bomb, _ in BOMBS])
def test_a_record_that_is_larger_than_memory_is_never_held(
    bomb: Callable[[Path], Path], kind: str, tmp_path: Path
) -> None:
    source = {"kind": kind, "urls": [str(bomb(tmp_path))], "min_chars": 50}
    peak, counts = measured("ingest", json.dumps(source), str(tmp_path / "store"))
    assert peak < LIMIT, f"{peak / 1e9:.2f} GB"
    lost = sum(v for k, v in counts.items() if k.startswith(("non_content.", "dropped.", "quarantined.")))
    assert lost >= 1 and counts["raw"] == counts.get("members", 0) + lost
