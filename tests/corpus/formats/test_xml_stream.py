"""Records of large XML files: found wherever the stream is cut, each byte accounted for."""

import tracemalloc
from collections.abc import Iterator

import pytest
from corpus.helpers import cut
from hypothesis import given
from hypothesis import strategies as st

from llama_core.corpus.formats.xml_stream import Elements, Record, parse


def records(pieces: list[bytes], limit: int = 1000) -> list[Record]:
    return [*Elements(iter(pieces), "root", rb"<r>", rb"</r>", limit)]


PARTS = st.sampled_from(
    [b"<r>", b"</r>", b"a", b"<root>", b"</root>", b" ", b"\n", b"<", b"r>", b"\xff", b"</"]
)


@given(
    parts=st.lists(PARTS, max_size=30),
    sizes=st.lists(st.integers(0, 7), max_size=30),
    limit=st.integers(3, 40),
)
def test_records_do_not_depend_on_how_the_stream_was_cut(
    parts: list[bytes], sizes: list[int], limit: int
) -> None:
    data = b"".join(parts)
    assert records(cut(data, sizes), limit) == records([data], limit)


@given(bodies=st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"<", b"")), max_size=8))
def test_a_sound_file_gives_its_records_at_their_offsets(bodies: list[bytes]) -> None:
    data = b"<root>\n" + b"\n".join(b"<r>" + body + b"</r>" for body in bodies) + b"</root>"
    found = records([data])
    assert [r for _, r in found] == [b"<r>" + body + b"</r>" for body in bodies]
    for offset, record in found:
        assert isinstance(record, bytes) and data[offset : offset + len(record)] == record


@given(count=st.integers(1, 6), at=st.integers(0, 200))
def test_a_cut_file_says_so_and_keeps_what_came_before(count: int, at: int) -> None:
    data = b"<root>" + b"".join(b"<r>%d</r>" % i for i in range(count)) + b"</root>"
    at = min(at, len(data) - 1)
    found = [r for _, r in records([data[:at]])]
    assert found[-1] in ("truncated", "not_a_dump")
    assert found[:-1] == [b"<r>%d</r>" % i for i in range(len(found) - 1)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"<root><r>1<r>2</r></root>", ["unclosed", b"<r>2</r>"]),
        (b"<root><r>1</r>junk<r>2</r></root>", [b"<r>1</r>", "stray_bytes", b"<r>2</r>"]),
        (b"<root><r>1</r></root>junk", [b"<r>1</r>", "stray_bytes"]),
        (b"<root><r>1</r></root><root><r>2</r></root>", [b"<r>1</r>", "stray_bytes", b"<r>2</r>"]),
        (b"<root><r>" + b"1" * 2000 + b"</r><r>2</r></root>", ["too_long", b"<r>2</r>"]),
        (b"<root><r>" + b"1" * 2000, ["too_long"]),
        (b"<root/>", []),
        (b"", ["not_a_dump"]),
    ],
)
def test_each_fault_has_its_name_and_costs_one_record(data: bytes, expected: list[bytes | str]) -> None:
    assert [r for _, r in records([data])] == expected


def test_a_fault_of_the_stream_comes_last_with_the_record_that_it_cut() -> None:
    pieces: Iterator[bytes | str] = iter([b"<root><r>1</r><r>2", "damaged_stream"])
    assert [*Elements(pieces, "root", rb"<r>", rb"</r>", 100)] == [(6, b"<r>1</r>"), (14, "damaged_stream")]


def test_a_record_longer_than_the_limit_is_never_held() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"<root><r>"
        for _ in range(50):
            yield b"1" * (1 << 20)
        yield b"</r><r>2</r></root>"

    tracemalloc.start()
    found = [r for _, r in Elements(pieces(), "root", rb"<r>", rb"</r>", 1 << 20)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == ["too_long", b"<r>2</r>"] and peak < 20 << 20


def test_utf_16_reads_as_utf_8_does() -> None:
    text = "<root><r>äöü 😀</r><r>2</r></root>"
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        data = mark + text.encode(encoding)
        assert records([data]) == records([text.encode()])
        assert records(cut(data, [1, 2, 30, 1, 1]))[0][1] == "<r>äöü 😀</r>".encode()
        assert records([data[:-1]])[-1][1] == "truncated"
    lone = text.replace("2", "\ud83d").encode("utf-16", "surrogatepass")
    assert parse(records([lone])[1][1]) == "invalid_utf8"  # type: ignore[arg-type]


@given(data=st.binary(max_size=200))
def test_noise_never_raises(data: bytes) -> None:
    records([data])
    parse(data)


def test_entities_do_not_expand_in_a_record() -> None:
    assert parse(b"<r><!DOCTYPE r [<!ENTITY a 'x'>]>&a;</r>") == "not_xml"
    assert parse(b"<r>&a;</r>") == "not_xml"
