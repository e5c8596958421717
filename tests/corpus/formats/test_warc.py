"""WARC and WET records: every readable one is read, what is lost is said, memory stays bounded."""

import base64
import gzip
import hashlib
import io
import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import pytest
import zstandard
from corpus import warcs
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus.formats.warc import Gap, Record, records

TYPES = frozenset({"conversion", "response"})
LIMIT = 1 << 16
TEXTS = [f"Title {i}\n" + f"Line {i} of the text, and what it says.\n" * (i * i % 23 + 1) for i in range(40)]
PAGES = [warcs.page(i, text, warcs.OLD if i % 2 else warcs.NEW) for i, text in enumerate(TEXTS)]


def read(data: bytes, limit: int = LIMIT) -> list[Record]:
    return [r for r in records(io.BytesIO(data), limit, TYPES) if isinstance(r, Record)]


@cache
def trained_dictionary() -> bytes:
    return zstandard.train_dictionary(4000, PAGES * 9).as_bytes()


def zstd_with_dictionary(parts: list[bytes], is_packed: bool) -> bytes:
    """Frames of records behind one that holds their dictionary, as ArchiveTeam publishes them."""
    words = trained_dictionary()
    packer = zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(words))
    words = zstandard.compress(words) if is_packed else words
    head = b"\x5d\x2a\x4d\x18" + len(words).to_bytes(4, "little")
    return head + words + b"".join(map(packer.compress, parts))


def skipped(data: bytes) -> int:
    return sum(r.size for r in records(io.BytesIO(data), LIMIT, TYPES) if isinstance(r, Gap))


def texts(found: list[Record]) -> list[str]:
    return [r.body.decode() for r in found if r.body and not r.error]


def errors(found: list[Record]) -> list[str]:
    return [r.error for r in found if r.error]


PACKINGS: dict[str, Callable[[list[bytes]], bytes]] = {
    "plain": b"".join,
    "a member a record": lambda parts: warcs.members(*parts),
    "one member": lambda parts: gzip.compress(b"".join(parts), mtime=0),
    "zstd": lambda parts: zstandard.compress(b"".join(parts)),
    "zstd with a dictionary": lambda parts: zstd_with_dictionary(parts, is_packed=False),
    "zstd with a packed dictionary": lambda parts: zstd_with_dictionary(parts, is_packed=True),
    "members of 1000 bytes": lambda parts: warcs.members(*pieces(b"".join(parts), 1000)),
}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("packing", PACKINGS)
def test_every_record_is_read_however_the_file_is_packed(packing: str) -> None:
    found = read(PACKINGS[packing]([warcs.info(), *PAGES]))
    assert texts(found) == TEXTS and not errors(found)
    assert [r.headers["warc-target-uri"] for r in found[1:] if r.headers] == [
        f"https://site{i}.example/a" for i in range(40)
    ]


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_line_ends_of_either_kind_are_read(newline: bytes) -> None:
    body = b"A text.\n\nOf two paragraphs."
    head = [b"WARC/1.0", b"WARC-Type: conversion", b"Content-Length: %d" % len(body), b"", body, b"", b""]
    assert [r.body for r in read(newline.join(head) * 3)] == [body] * 3


def test_a_record_can_be_read_again_from_where_it_is_said_to_lie() -> None:
    for packing in ("plain", "a member a record"):
        data = PACKINGS[packing]([warcs.info(), *PAGES])
        for record in read(data)[1:]:
            assert record.file_offset is not None
            assert read(data[record.file_offset :])[0].body == record.body


def test_the_offset_is_in_the_decompressed_stream() -> None:
    whole = b"".join([warcs.info(), *PAGES])
    for packing in PACKINGS.values():
        for record in read(packing([warcs.info(), *PAGES])):
            assert whole[record.offset :].startswith(b"WARC/1.0\r\n")


@cache
def ends_of_records(packing: str) -> list[int]:
    return [len(PACKINGS[packing](PAGES[: i + 1])) for i in range(len(PAGES))]


@settings(deadline=None)
@given(cut=st.floats(0, 1), packing=st.sampled_from(sorted(PACKINGS)))
def test_a_cut_file_gives_the_records_before_the_cut_and_says_that_it_is_cut(
    cut: float, packing: str
) -> None:
    """A cut between two records leaves a shorter, valid file, which no reader can tell from a whole one."""
    data = PACKINGS[packing](PAGES)
    at = int(cut * (len(data) - 1))
    found = read(data[:at])
    good = texts(found)
    assert good == TEXTS[: len(good)] and len(errors(found)) <= 1
    if packing in ("a member a record", "zstd with a dictionary", "zstd with a packed dictionary"):
        ends = ends_of_records(packing)
        assert len(good) == sum(end <= at for end in ends)
        assert bool(errors(found)) == (at not in ends)
    elif packing == "plain":
        ends = [sum(map(len, PAGES[: i + 1])) for i in range(len(PAGES))]
        assert len(good) == sum(end - 4 <= at for end in ends)  # an end of lines may be missing
        assert bool(errors(found)) == (not any(end - 4 <= at <= end for end in ends))
    else:
        assert errors(found)


@settings(deadline=None)
@given(number=st.integers(0, 39), seed=st.integers(0, 1 << 20), size=st.integers(1, 40))
def test_damage_in_one_member_costs_that_record_only(number: int, seed: int, size: int) -> None:
    members = [warcs.members(p) for p in PAGES]
    rng = random.Random(seed)
    damaged = bytearray(members[number])
    at = rng.randrange(len(damaged))
    damaged[at : at + size] = rng.randbytes(len(damaged[at : at + size]))
    found = read(b"".join([*members[:number], bytes(damaged), *members[number + 1 :]]))
    rest = TEXTS[:number] + TEXTS[number + 1 :]
    assert (texts(found) == rest and errors(found)) or texts(found) == TEXTS


@pytest.mark.parametrize("junk", [b"\x1f\x8b\x08 no gzip", b"\xff" * 5000, bytes(range(256)) * 999])
def test_what_may_have_been_a_member_is_an_error_and_is_gone_over(junk: bytes) -> None:
    members = [warcs.members(p) for p in PAGES]
    for at in (0, 3, 40):
        found = read(b"".join([*members[:at], junk, *members[at:]]))
        assert texts(found) == TEXTS
        assert errors(found) == ["damaged_stream"], at


@pytest.mark.parametrize(
    "padding",
    [b"\0" * 70_000, b"\r\n", b"\n\n \t", b"junk" * 100_000, b"\xef\xbb\xbf", b"\xff\0WARC/", b"x\x1f"],
)
def test_padding_between_members_is_no_damage(padding: bytes) -> None:
    data = padding.join(warcs.members(p) for p in PAGES[:5])
    assert texts(read(data)) == TEXTS[:5] and not errors(read(data))
    assert skipped(data) == 4 * len(padding)


GAPS = [
    b"\0",
    b"\0" * 3000,
    b"\xef\xbb\xbf",
    b"-- end --\r\n",
    b"junk\0" * 20_000,
    b" ",
    b"<html>\n\nWARC\n",
]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: repr(gap[:12]))
def test_bytes_between_records_are_skipped_up_to_the_next_and_counted(packing: str, gap: bytes) -> None:
    """They stand behind the two line ends of a record; with each record its own member, inside the member."""
    found = read(data := PACKINGS[packing]([page + gap for page in PAGES]))
    assert texts(found) == TEXTS and not errors(found)
    assert skipped(data) == len(PAGES) * len(gap)
    assert skipped(PACKINGS[packing](PAGES)) == 0


@pytest.mark.parametrize("packing", PACKINGS)
def test_bytes_before_the_first_record_and_before_line_ends_are_skipped(packing: str) -> None:
    found = read(data := PACKINGS[packing]([b"\xef\xbb\xbf" + PAGES[0], *PAGES[1:]]))
    assert texts(found) == TEXTS and not errors(found) and skipped(data) == 3
    padded = [page.removesuffix(b"\r\n\r\n") + b"\0\0\r\n\r\n" for page in PAGES]
    found = read(data := PACKINGS[packing](padded))
    assert texts(found) == TEXTS and not errors(found)
    assert skipped(data) == 6 * len(PAGES)  # with the line ends after them


def test_a_record_is_found_again_by_its_own_digest_where_no_line_ends_follow_it() -> None:
    body = TEXTS[3].encode()
    for digest in (
        base64.b32encode(hashlib.sha1(body).digest()).decode(),
        hashlib.sha1(body).hexdigest(),
    ):
        record = warcs.record(
            "conversion", body, "text/plain", "http://a/", WARC_Block_Digest=f"sha1:{digest}"
        )
        cut = record.removesuffix(b"\r\n\r\n") + b"no line ends"
        assert texts(read(cut + PAGES[4])) == [TEXTS[3], TEXTS[4]]
        wrong = cut.replace(digest[:8].encode(), b"A" * 8)
        assert errors(read(wrong + PAGES[4])) == ["wrong_length"]
        too_small = record.replace(b"Content-Length: %d" % len(body), b"Content-Length: 8")
        too_small = too_small.replace(b"Title 3\n", b"Title 3\n\n\n")  # which looks like the end of a record
        assert errors(read(too_small + PAGES[4])) == ["wrong_length"]


def test_a_gap_of_many_bytes_takes_no_memory() -> None:
    gap = 64 << 20
    tracemalloc.start()
    found = [*records(Filled(PAGES[0], gap, PAGES[1]), LIMIT, TYPES)]  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [r.size for r in found if isinstance(r, Gap)] == [gap] and len(found) == 3
    assert peak < 16 << 20


class Filled:
    """A file of `start`, `gap` zero bytes and `end`."""

    def __init__(self, start: bytes, gap: int, end: bytes):
        self.start, self.left, self.end = start, gap, end

    def read(self, size: int) -> bytes:
        if self.start:
            piece, self.start = self.start, b""
        elif self.left:
            piece = bytes(min(size, self.left))
            self.left -= len(piece)
        else:
            piece, self.end = self.end, b""
        return piece


def test_a_wrong_checksum_in_the_trailer_is_damage() -> None:
    member = bytearray(warcs.members(PAGES[3]))
    member[-6] ^= 1
    found = read(warcs.members(PAGES[0]) + bytes(member) + warcs.members(PAGES[1]))
    assert texts(found) == TEXTS[:2] and errors(found) == ["damaged_stream"]


def test_damage_in_a_single_member_keeps_the_records_before_it() -> None:
    data = bytearray(gzip.compress(b"".join(PAGES), mtime=0))
    packed = zlib.compressobj(wbits=31)
    first = b"".join(PAGES[:20])
    head = packed.compress(first) + packed.flush(zlib.Z_FULL_FLUSH)
    data = bytearray(head + packed.compress(b"".join(PAGES[20:])) + packed.flush())
    data[len(head) : len(head) + 4] = b"\xff\xff\xff\xff"
    found = read(bytes(data))
    assert texts(found) == TEXTS[:20] and errors(found) == ["damaged_stream"]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("wrong", ["too small", "too large", "huge", "not a number", "missing"])
def test_a_wrong_content_length_costs_that_record_only(packing: str, wrong: str) -> None:
    size = len(TEXTS[5].encode())
    stated = {
        "too small": size - 9,
        "too large": size + 20,
        "huge": 10**12,
        "not a number": "1e3",
        "missing": "",
    }
    bad = PAGES[5].replace(b"Content-Length: %d" % size, f"Content-Length: {stated[wrong]}".encode())
    assert bad != PAGES[5]
    found = read(PACKINGS[packing]([*PAGES[:5], bad, *PAGES[6:]]))
    assert texts(found) == TEXTS[:5] + TEXTS[6:]
    expected = {"too small": "wrong_length", "too large": "wrong_length", "huge": "wrong_length"}
    alone = (
        {"too large": "truncated_record", "huge": "truncated_record"}
        if packing.startswith("a member")
        else {}
    )
    assert errors(found) == [(expected | alone).get(wrong, "bad_header")]


def test_a_record_over_the_limit_is_said_and_gone_over() -> None:
    long = warcs.page(99, "x" * (LIMIT + 1))
    for packing in PACKINGS.values():
        found = read(packing([*PAGES[:3], long, *PAGES[3:]]))
        assert texts(found) == TEXTS and errors(found) == ["too_long"]
    other = warcs.record("request", b"x" * (LIMIT + 1), "application/http")
    assert not errors(read(PAGES[0] + other + PAGES[1])), "a request is not read, whatever its length"


def test_a_record_in_a_record_is_text() -> None:
    nested = warcs.page(9, "A text about WARC:\n\n" + PAGES[1].decode() + "goes on.")
    found = read(b"".join([PAGES[0], nested, PAGES[2]]))
    assert len(found) == 3 and not errors(found)


@pytest.mark.parametrize(
    "data", [b"", gzip.compress(b"", mtime=0), b"\r\n" * 10, b"\0" * 10, gzip.compress(b"", mtime=0) * 3]
)
def test_a_file_without_records_is_said_to_be_empty_or_damaged(data: bytes) -> None:
    assert len(errors(read(data))) == 1 and len(read(data)) == 1


def test_text_that_is_no_warc_is_one_error() -> None:
    assert errors(read(b"<html>\n" * 100_000)) == ["not_warc"]
    assert errors(read(gzip.compress(b"<html>\n" * 100_000))) == ["not_warc"]


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(
            b"WARC/1.0\r\nContent-Length: 60000\r\n\r\n\n", id="lengths that reach over many records"
        ),
        pytest.param(b"WARC/1.0\r\nContent-Length: 999999999\r\n\r\n", id="lengths beyond the limit"),
        pytest.param(b"WARC/1.0\r\nA: b\r\n", id="headers without an end"),
        pytest.param(b"\nWARC/1.0", id="marks alone"),
        pytest.param(b"\n", id="line ends"),
    ],
)
@pytest.mark.timeout(60)
def test_hostile_records_take_time_in_proportion_to_their_bytes(hostile: bytes) -> None:
    data = hostile * (1_000_000 // len(hostile))
    assert sum(1 for _ in records(io.BytesIO(data), LIMIT, TYPES)) <= len(data) // 8
    assert sum(1 for _ in records(io.BytesIO(gzip.compress(data)), LIMIT, TYPES)) <= len(data) // 8
    small = warcs.members(*pieces(data[: len(data) // 20], 3))
    assert sum(1 for _ in records(io.BytesIO(small), LIMIT, TYPES)) <= len(data) // 8


@pytest.mark.timeout(60)
def test_damaged_members_inside_one_another_take_time_in_proportion_to_their_bytes() -> None:
    """Each member begins a record, and goes on over all that follow it as bytes that are not packed."""
    begin = gzip.compress(b"WARC/1.0", mtime=0)[:10] + b"\x00\xff\xff\x00\x00"
    data = b"".join(begin + b"WARC/1.0\r\nA: b\r\n" for _ in range(30_000))
    found = read(data)
    assert 1 <= len(found) <= 30_000 and not texts(found)


def test_a_header_without_fields_hides_no_record() -> None:
    found = read(b"WARC/1.0\r\n\r\n".join(PAGES[:3]))
    assert texts(found) == TEXTS[:3] and errors(found) == ["bad_header"] * 2


def test_a_cut_file_of_zstd_says_that_it_is_cut() -> None:
    frames = [zstandard.compress(page) for page in PAGES[:3]]
    found = read(b"".join(frames)[:-9])
    assert texts(found) == TEXTS[:2] and errors(found) == ["truncated_stream"]
    assert errors(read(zstandard.ZstdCompressor().compress(PAGES[0])[:-9]))


@pytest.mark.parametrize(
    "words", [b"\x37\xa4\x30\xec" + bytes(range(99)), zstandard.compress(bytes(64 << 20))]
)
def test_a_damaged_or_huge_dictionary_is_an_error_at_most(words: bytes) -> None:
    head = b"\x5d\x2a\x4d\x18" + len(words).to_bytes(4, "little") + words
    found = read(head + zstandard.compress(PAGES[0]))
    assert errors(found) == ["damaged_stream"] or texts(found) == TEXTS[:1]
