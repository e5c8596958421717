"""7z archives: read as py7zr reads them, and refused before they cost memory or time."""

import io
import lzma
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import py7zr
import pytest
from corpus.dumps import sevenzip
from corpus.helpers import SAMPLES, needs_samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llama_core.corpus.formats import sevenzip_directory
from llama_core.corpus.formats.sevenzip import SevenZip
from llama_core.corpus.formats.sevenzip_directory import SevenZipMember

MEMBERS = {"a.txt": b"alpha " * 5000, "folder/b.txt": bytes(range(256)) * 300, "empty": b"", "c.xml": b"<c/>"}
FILTERS: dict[str, list[dict[str, Any]]] = {
    "LZMA2": [{"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "LZMA": [{"id": py7zr.FILTER_LZMA}],
    "BZip2": [{"id": py7zr.FILTER_BZIP2}],
    "Deflate": [{"id": py7zr.FILTER_DEFLATE}],
    "copy": [{"id": py7zr.FILTER_COPY}],
    "x86 and LZMA2": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "delta and LZMA2": [{"id": py7zr.FILTER_DELTA}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
}


def everything(
    packed: bytes, wanted: Callable[[SevenZipMember], bool] = lambda member: True
) -> dict[str, bytes | str]:
    """Return the bytes of each member, or the error that they end in."""
    found: dict[str, bytes | str] = {}
    for member, pieces in SevenZip(io.BytesIO(packed)).read(wanted):
        taken = [*pieces]
        errors = [piece for piece in taken if isinstance(piece, str)]
        assert not errors or errors == taken[-1:]
        found[member.name] = errors[0] if errors else b"".join(p for p in taken if isinstance(p, bytes))
    return found


@pytest.mark.parametrize("method", FILTERS)
@pytest.mark.parametrize("packed_directory", [True, False])
def test_members_read_as_they_were_written(method: str, packed_directory: bool) -> None:
    packed = sevenzip(MEMBERS, packed_directory, filters=FILTERS[method])
    assert everything(packed) == MEMBERS
    assert everything(packed, lambda member: member.name == "c.xml") == {"c.xml": b"<c/>"}


@given(
    members=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(max_size=300), max_size=6)
)
@settings(deadline=None, max_examples=40)
def test_any_members_read_as_py7zr_reads_them(members: dict[str, bytes]) -> None:
    packed = sevenzip(members, filters=FILTERS["LZMA2"])
    assert everything(packed) == members
    with py7zr.SevenZipFile(io.BytesIO(packed)) as archive:
        listed = {(m.filename, m.uncompressed or 0, m.crc32) for m in archive.list()}
    ours = {(m.name, m.size, m.crc if m.size else None) for m, _ in SevenZip(io.BytesIO(packed)).members()}
    assert {(name, size, crc if size else None) for name, size, crc in listed} == ours


def test_a_stream_is_decompressed_once_however_many_members_lie_in_it() -> None:
    packed = sevenzip({f"{i}.xml": b"x" * 20_000 for i in range(300)}, filters=FILTERS["LZMA2"])
    start = time.process_time()
    assert len(everything(packed)) == 300
    assert time.process_time() - start < 2


def test_a_byte_that_changed_in_a_stream_is_noticed() -> None:
    for method in FILTERS:
        packed = bytearray(sevenzip(MEMBERS, filters=FILTERS[method]))
        packed[60] ^= 0xFF
        errors = [found for found in everything(bytes(packed)).values() if isinstance(found, str)]
        assert errors, method
        assert set(errors) <= {"damaged_stream", "wrong_checksum", "truncated_stream"}


def test_a_changed_directory_is_damaged() -> None:
    packed = bytearray(sevenzip(MEMBERS, packed_directory=False))
    packed[-3] ^= 0xFF
    assert SevenZip(io.BytesIO(bytes(packed))).error == "damaged_archive"


# --- directories made by hand


def number(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else b"\xff" + struct.pack("<Q", value)


def archive(directory: bytes, streams: bytes = b"") -> bytes:
    start = struct.pack("<QQI", len(streams), len(directory), zlib.crc32(directory))
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<I", zlib.crc32(start)) + start + streams + directory


def stream_info(packed: int, size: int, coder: bytes) -> bytes:
    return (
        b"\x06" + number(0) + b"\x01\x09" + number(packed) + b"\x00"
        + b"\x07\x0b\x01\x00\x01" + coder + b"\x0c" + number(size) + b"\x00\x00"
    )  # fmt: skip


def one_file(packed: bytes, size: int, coder: bytes, name: str = "Posts.xml") -> bytes:
    """Return an archive of one member, packed by one coder, that claims to have `size` bytes."""
    names = b"\x00" + name.encode("utf-16-le") + b"\0\0"
    files = b"\x05\x01\x11" + number(len(names)) + names + b"\x00"
    return archive(b"\x01\x04" + stream_info(len(packed), size, coder) + files + b"\x00", packed)


def lzma2(properties: int) -> bytes:
    return b"\x21\x21\x01" + bytes([properties])


def raw_lzma2(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}])


def test_the_archives_made_by_hand_are_sound() -> None:
    assert everything(one_file(raw_lzma2(b"hello"), 5, lzma2(8))) == {"Posts.xml": b"hello"}


@pytest.mark.parametrize(
    ("packed", "refusal"),
    [
        (one_file(raw_lzma2(b"x"), 1, lzma2(40)), "too_much_memory"),  # a dictionary of 4 GB
        (one_file(raw_lzma2(b"x"), 1, lzma2(41)), "damaged_stream"),
        (one_file(raw_lzma2(b"x"), 1 << 40, lzma2(8)), "compression_bomb"),
        (one_file(b"x", 1, b"\x23\x03\x01\x01\x05\x5d\xff\xff\xff\xff"), "too_much_memory"),  # LZMA, 4 GB
        (one_file(b"x", 1, b"\x23\x03\x04\x01\x05\x06\x00\x00\x10\x00"), "unsupported_method"),  # PPMd
        (one_file(b"x", 1, b"\x04\x06\xf1\x07\x01"), "encrypted"),
        (one_file(b"x", 1, b"\x02\x7f\x7f"), "unsupported_method"),
        (one_file(raw_lzma2(b"x"), 1, lzma2(8), "../x"), "unsafe_path"),
        (one_file(raw_lzma2(b"x"), 1, lzma2(8), ""), "unsafe_path"),
    ],
)
def test_a_stream_that_asks_for_too_much_or_cannot_be_read_is_refused(packed: bytes, refusal: str) -> None:
    assert [error for _, error in SevenZip(io.BytesIO(packed)).members()] == [refusal]
    assert everything(packed) == {}


def test_a_member_never_holds_more_than_its_directory_says() -> None:
    packed = one_file(raw_lzma2(bytes(64 << 20)), 1000, lzma2(8))
    tracemalloc.start()
    assert everything(packed) == {"Posts.xml": bytes(1000)}
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


def test_a_stream_of_gigabytes_comes_in_pieces() -> None:
    packed = one_file(raw_lzma2(bytes(64 << 20)), 64 << 20, lzma2(8))
    tracemalloc.start()
    size = sum(len(p) for _, pieces in SevenZip(io.BytesIO(packed)).read(lambda m: True) for p in pieces)
    assert size == 64 << 20 and tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("directory", "error"),
    [
        (b"\x01\x05" + number(1 << 40), "too_many_members"),
        (b"\x01\x05" + number(90_000), "damaged_archive"),
        (b"\x01\x04\x06" + number(0) + number(1 << 62), "too_many_members"),
        (b"\x17" + stream_info(10, 1 << 40, lzma2(8)), "too_many_members"),  # a directory of a terabyte
        (b"\x17" + stream_info(10, 1000, b"\x04\x06\xf1\x07\x01"), "encrypted"),
        (b"\x01\x05\x01\x11" + number(1 << 60), "damaged_archive"),
        (b"\x01" + b"\x02" * 1000, "damaged_archive"),
        (b"\x01\x04\x07\x0b\x01\x00\x7f", "damaged_archive"),
        (b"", ""),
    ],
)
def test_a_directory_is_refused_before_anything_is_made_of_its_counts(directory: bytes, error: str) -> None:
    tracemalloc.start()
    start = time.process_time()
    assert SevenZip(io.BytesIO(archive(directory, b"0123456789"))).error == error
    assert time.process_time() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_a_directory_packed_in_itself_does_not_go_on_for_ever() -> None:
    inner = b"\x17" + stream_info(0, 0, b"\x01\x00")
    assert SevenZip(io.BytesIO(archive(inner))).error == "damaged_archive"


@given(data=st.binary(max_size=200))
def test_noise_in_a_directory_ends_in_an_error_or_in_members(data: bytes) -> None:
    for directory in (data, b"\x01\x04" + data, b"\x01\x05" + data, b"\x17" + data):
        packed = archive(directory, bytes(50))
        found = SevenZip(io.BytesIO(packed))
        assert found.error in (
            "", "damaged_archive", "too_many_members", "truncated_archive", "encrypted", "unsupported_method",
            "compression_bomb", "too_much_memory", "damaged_stream",
        )  # fmt: skip
        everything(packed)


@given(place=st.integers(0, 2000), value=st.integers(0, 255), method=st.sampled_from([*FILTERS]))
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
def test_a_directory_with_a_changed_byte_and_a_right_checksum_never_raises(
    place: int, value: int, method: str
) -> None:
    packed = sevenzip(MEMBERS, packed_directory=False, filters=FILTERS[method])
    offset, size = struct.unpack("<QQ", packed[12:28])
    directory = bytearray(packed[32 + offset :])
    directory[place % size] = value
    everything(archive(bytes(directory), packed[32 : 32 + offset]))


@needs_samples
def test_a_real_archive_reads_as_py7zr_reads_it() -> None:
    path = SAMPLES / "stackexchange" / "beer.stackexchange.com.7z"
    with path.open("rb") as file:
        ours = [(m.name, m.size, m.crc) for m, error in SevenZip(file).members() if not error]
    with py7zr.SevenZipFile(path) as theirs:
        assert ours == [(m.filename, m.uncompressed, m.crc32) for m in theirs.list()]
    assert len(ours) == 8 and sevenzip_directory.MAX_MEMBERS > 8
