"""Archives of source code that are damaged, hostile or large."""

import contextlib
import gzip
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus.helpers import is_conserved
from corpus.sources.memory import read_apart
from corpus.sources.projects import CODE, MIT, github, pack, quarantine, texts

from llama_core.artifact import Artifact
from llama_core.corpus.code.repository_license import Licenses


@pytest.mark.parametrize("form", ["a.zip", "a.tar", "a.tar.gz", "a.tar.zst"])
def test_a_truncated_archive_gives_what_is_whole_and_one_entry_in_quarantine(
    tmp_path: Path, ingested: Callable[..., Artifact], form: str
) -> None:
    rng = random.Random(1)
    noise = {f"p/{i}.py": f"{CODE}# {rng.randbytes(40).hex()}\n" * 9 for i in range(500)}
    path = pack(tmp_path / form, {"p/LICENSE": MIT} | noise)
    data = path.read_bytes()
    if form == "a.tar":
        data = data.rstrip(b"\0")  # of its end, which is zeros, and of the last member's last block
        data += bytes(-len(data) % 512)
    for cut in (len(data) // 2, len(data) if form == "a.tar" else len(data) - 1):
        path.write_bytes(data[:cut])
        artifact = ingested(github(path))
        errors = {k: v for k, v in artifact.counts.items() if k.startswith("quarantined")}
        assert sum(errors.values()) == 1, errors
        assert set(errors) <= {"quarantined.truncated_archive", "quarantined.truncated_stream"}
        assert artifact.counts["documents"] >= (100 if cut == len(data) // 2 else 350)
        assert is_conserved(artifact.counts)


def test_a_damaged_member_of_a_zip_is_quarantined_and_the_next_is_read(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    path = pack(tmp_path / "a.zip", {"LICENSE": MIT, "a.py": CODE * 9, "b.py": CODE * 8})
    data = bytearray(path.read_bytes())
    at = data.index(b"a.py") + 30
    data[at] ^= 0xFF
    path.write_bytes(data)
    artifact = ingested(github(path))
    assert list(texts(artifact)) == ["b.py"]
    assert quarantine(artifact)[0]["error"] in ("damaged_member", "wrong_checksum")


def test_a_damaged_header_of_a_tar_is_quarantined_and_the_next_member_is_read(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    path = pack(tmp_path / "a.tar", {"LICENSE": MIT, "a.py": CODE * 9, "b.py": CODE * 8})
    data = bytearray(path.read_bytes())
    data[data.index(b"a.py\0")] ^= 0xFF
    path.write_bytes(data)
    artifact = ingested(github(path))
    assert list(texts(artifact)) == ["b.py"]
    assert artifact.counts["quarantined.damaged_header"] == 1


HOSTILE = [
    "../escape.py",
    "/etc/escape.py",
    "//escape.py",
    "a/../../escape.py",
    "C:/escape.py",
    "..\\escape.py",
]


@pytest.mark.parametrize("form", ["a.zip", "a.tar"])
def test_names_that_leave_the_archive_are_quarantined(
    tmp_path: Path, ingested: Callable[..., Artifact], form: str
) -> None:
    files = {"LICENSE": MIT, "ok.py": CODE, "a/" * 2500 + "long.py": CODE} | dict.fromkeys(HOSTILE, CODE)
    artifact = ingested(github(pack(tmp_path / form, files)))
    assert list(texts(artifact)) == ["ok.py"]
    assert artifact.counts["quarantined.long_name"] == 1
    assert artifact.counts["quarantined.unsafe_path"] == len(HOSTILE)
    assert not list(tmp_path.parent.rglob("escape.py"))


def test_links_and_devices_of_an_archive_are_no_content(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
        for number, kind in enumerate(kinds):
            info = tarfile.TarInfo(f"{number}.py")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("link.py")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
        file.writestr("folder/", "")
    by_form = {s.name[:5]: s.counts for s in ingested(github(tmp_path / "a.*")).shards}
    assert by_form["a-tar"] == {
        "raw": 5,
        "non_content.link": 2,
        "non_content.device": 2,
        "non_content.folder": 1,
    }
    assert by_form["a-zip"] == {"raw": 2, "non_content.link": 1, "non_content.folder": 1}


def test_an_encrypted_member_and_an_unknown_method_are_quarantined(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    path = pack(tmp_path / "a.zip", {"LICENSE": MIT, "a.py": CODE, "b.py": CODE * 2})
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\1\2")
    a, b = (data.index(name, directory) - 46 for name in (b"a.py", b"b.py"))
    data[a + 8] |= 1
    data[b + 10] = 98
    path.write_bytes(data)
    errors = {row["record"].rsplit("#")[-1]: row["error"] for row in quarantine(ingested(github(path)))}
    assert errors == {"a.py": "encrypted", "b.py": "unsupported_method"}


def test_members_that_share_one_content_are_refused_together(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    path = pack(tmp_path / "a.zip", {"LICENSE": MIT, "a.py": "x" * 5_000_000})
    data = path.read_bytes()
    directory = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    entry = data[data.index(b"PK\1\2", directory + 1) : end]
    times = 50
    tail = bytearray(data[end:])
    tail[12:16] = (end - directory + times * len(entry)).to_bytes(4, "little")
    path.write_bytes(data[:end] + entry * times + bytes(tail))
    artifact = ingested(github(path, max_record_bytes=1000))
    assert artifact.counts["quarantined.overlapping_members"] == 1
    assert artifact.counts["raw"] < times


def test_an_archive_of_more_licences_than_fit_in_memory_is_quarantined_as_a_whole(
    tmp_path: Path, ingested: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Licenses, "MAX_FOLDERS", 3)
    path = pack(tmp_path / "a.zip", {f"{i}/LICENSE": MIT for i in range(4)} | {"0/a.py": CODE})
    assert ingested(github(path)).counts == {"raw": 1, "quarantined.too_many_licenses": 1}


def test_a_tar_of_many_members_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """`system/test_memory.py` reads one of a hundred thousand."""
    header = tarfile.TarInfo("p/0000000.py")
    header.size = len(CODE)
    block = header.tobuf(tarfile.USTAR_FORMAT) + CODE.encode().ljust(512, b"\0")
    with gzip.open(tmp_path / "a.tar.gz", "wb", 1) as file:
        for _ in range(200):
            file.write(block * 100)
        file.write(bytes(1024))
    [found], grown = read_apart("github", tmp_path / "a.tar.gz", min_chars=20)
    assert sum(found.values()) == 20_000 and "document" not in found
    assert grown < 40 << 20


def test_a_bomb_of_any_form_is_never_held_in_memory(tmp_path: Path) -> None:
    size = 128 << 20
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("LICENSE", MIT)
        with archive.open("bomb.py", "w", force_zip64=True) as out:
            for _ in range(size >> 20):
                out.write(bytes(1 << 20))
        archive.writestr("nested.zip", bytes(1000))
    info = tarfile.TarInfo("bomb.py")
    info.size = size
    with contextlib.closing(gzip.open(tmp_path / "a.tar.gz", "wb", 1)) as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
        file.write(bytes(1024))
    found, grown = read_apart("github", tmp_path / "a.zip", tmp_path / "a.tar.gz", min_chars=20)
    assert found == [{"file_type": 2, "too_long": 1}, {"too_long": 1}]
    assert grown < 100 << 20
