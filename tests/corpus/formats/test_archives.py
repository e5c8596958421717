"""Tar and zip as streams: what was packed comes out, and a cut anywhere is one fault after whole members."""

import bz2
import gzip
import io
import tarfile
import zipfile

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus.formats.archives import ENDINGS, open_archive
from llama_core.corpus.formats.member import Member

LIMIT = 10_000
NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/\\:", exclude_categories=["Cc"]), min_size=1
)
FILES = st.dictionaries(
    st.lists(NAMES.filter(lambda n: n not in (".", "..")), min_size=1, max_size=40).map("/".join),
    st.binary(max_size=1500),
    max_size=8,
)


def pack(form: str, files: dict[str, bytes], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    packed = io.BytesIO()
    if form == ".zip":
        with zipfile.ZipFile(packed, "w") as archive:
            for number, (name, data) in enumerate(files.items()):
                archive.writestr(zipfile.ZipInfo(name), data, [0, 8, 12][number % 3])
        return packed.getvalue()
    with tarfile.open(fileobj=packed, mode="w", format=tar_format) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    compress = {"gz": gzip.compress, "tgz": gzip.compress, "zst": zstandard.compress, "bz2": bz2.compress}
    return compress.get(form.rsplit(".", 1)[1], bytes)(packed.getvalue())


def members(form: str, data: bytes, limit: int = LIMIT) -> list[tuple[Member, bytes]]:
    return list(open_archive(io.BytesIO(data), f"a{form}", limit))


@settings(deadline=None, max_examples=40)
@given(
    files=FILES,
    form=st.sampled_from(ENDINGS),
    tar_format=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_what_was_packed_comes_out(files: dict[str, bytes], form: str, tar_format: int) -> None:
    found = members(form, pack(form, files, tar_format))
    assert [(m.name, data) for m, data in found] == list(files.items())
    assert {(m.kind, m.error) for m, _ in found} <= {("file", "")}


@settings(deadline=None, max_examples=60)
@given(files=FILES.filter(bool), form=st.sampled_from([".zip", ".tar", ".tar.gz"]), data=st.data())
def test_a_cut_anywhere_is_one_fault_after_whole_members(
    files: dict[str, bytes], form: str, data: st.DataObject
) -> None:
    packed = pack(form, files)
    whole = packed
    if form == ".tar":  # what stands after its first block of zeros is padding
        whole = packed.rstrip(b"\0")
        whole += bytes(-len(whole) % 512)
    cut = packed[: data.draw(st.integers(0, len(whole) - (form != ".tar")))]
    *before, (last, content) = members(form, cut)
    assert last.error.startswith("truncated") and not content
    assert [(m.name, d) for m, d in before] == list(files.items())[: len(before)]
    assert not [m for m, _ in before if m.error]


@pytest.mark.parametrize("form", [".zip", ".tar", ".tar.gz", ".tar.zst"])
def test_a_member_over_the_limit_is_named_and_the_next_is_read(form: str) -> None:
    files = {"a": b"1", "b": bytes(LIMIT + 1), "c": b"3"}
    found = members(form, pack(form, files))
    assert [(m.name, m.error, d) for m, d in found] == [
        ("a", "", b"1"),
        ("b", "too_long", b""),
        ("c", "", b"3"),
    ]


def test_content_that_is_not_wanted_is_not_unpacked() -> None:
    for form in (".zip", ".tar"):
        data = pack(form, {"a": b"1", "b": bytes(LIMIT + 1)})
        found = list(open_archive(io.BytesIO(data), f"a{form}", LIMIT, wanted=lambda name: False))
        assert [(m.error, d) for m, d in found] == [("", b""), ("", b"")]


def test_a_zip_that_states_a_size_too_small_does_not_get_past_the_limit() -> None:
    data = bytearray(pack(".zip", {"x": b"", "b": bytes(LIMIT * 100)}))
    for at, size_at in (
        (data.index(b"PK\3\4", 4), 22),
        (data.index(b"PK\1\2", data.index(b"PK\1\2") + 1), 24),
    ):
        data[at + size_at : at + size_at + 4] = (5).to_bytes(4, "little")
    [_, (member, content)] = members(".zip", bytes(data))
    assert (member.error, content) == ("too_long", b"")


def test_a_zip_behind_a_program_and_one_with_a_comment_are_read() -> None:
    packed = pack(".zip", {"a": b"1"})
    [(member, content)] = members(".zip", b"#!/bin/sh\nexit\n" + packed)
    assert (member.name, content) == ("a", b"1")
    archive = open_archive(io.BytesIO(packed[:-2] + b"\x04\x00PK\5\6"), "a.zip", LIMIT)
    assert [content for _, content in archive] == [b"1"]
    assert archive.comment == "PK\5\6"


def test_a_large_zip_of_64_bits_is_read() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive, archive.open("a", "w", force_zip64=True) as file:
        file.write(b"1")
    assert [(m.name, d) for m, d in members(".zip", packed.getvalue())] == [("a", b"1")]


@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\nexit\n"])
def test_a_zip_of_more_members_than_16_bits_count_is_read(
    before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # in the place of 65,535
    files = dict.fromkeys("abc", b"1")
    packed = pack(".zip", files)
    assert b"PK\6\6" in packed, "it has the record of 64 bits"
    assert [(m.name, m.error, data) for m, data in members(".zip", before + packed)] == [
        (name, "", b"1") for name in "abc"
    ]


@pytest.mark.parametrize("form", ENDINGS)
@pytest.mark.parametrize("data", [b"", b"this was never an archive" * 99])
def test_what_was_never_an_archive_has_faults_and_no_members(form: str, data: bytes) -> None:
    found = members(form, data)
    assert 1 <= len(found) <= 2
    assert all(m.error and not m.name and not content for m, content in found)
