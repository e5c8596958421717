"""HTTP responses as archives hold them."""

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from llama_core.corpus.formats.http_response import decode_payload, parse_response

PAGE = b"<html><p>" + b"A page, which is long enough to be packed. " * 20
ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:]),
    "deflate": zlib.compress,
    "Deflate": lambda data: zlib.compress(data)[2:-4],  # without the header of zlib, as some servers send it
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
}


def decode(payload: bytes, *head: str, limit: int = 10_000, is_cut: bool = False) -> bytes | str:
    response = parse_response("\r\n".join(("HTTP/1.1 200 OK", *head, "", "")).encode() + payload)
    assert response is not None
    return decode_payload(response, limit, is_cut)


def chunked(data: bytes, size: int) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x;a=b\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoded_page_is_decoded(name: str) -> None:
    assert decode(ENCODERS[name](PAGE), f"Content-Encoding: {name}") == PAGE
    assert decode(PAGE, f"Content-Encoding: {name}") == PAGE, "it was taken off before it was stored"


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_cut_page_is_an_error_unless_the_archive_says_that_it_cut_it(name: str) -> None:
    packed = ENCODERS[name](PAGE * 9)
    packed = packed[: len(packed) * 2 // 3]
    assert decode(packed, f"Content-Encoding: {name}") == "damaged_payload"
    part = decode(packed, f"Content-Encoding: {name}", is_cut=True)
    assert isinstance(part, bytes) and (PAGE * 9).startswith(part)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_page_that_grows_over_the_limit_is_an_error(name: str) -> None:
    bomb = ENCODERS[name](b"<" + b"\0" * 20_000_000)
    assert decode(bomb, f"Content-Encoding: {name}") == "too_long"


def test_encodings_are_taken_off_in_turn() -> None:
    packed = gzip.compress(brotli.compress(PAGE))
    assert decode(packed, "Content-Encoding: br, gzip") == PAGE
    assert decode(chunked(packed, 99), "Content-Encoding: br, gzip", "Transfer-Encoding: chunked") == PAGE


@given(data=st.binary(min_size=1, max_size=300).filter(lambda b: b[:1] != b"<"), size=st.integers(1, 99))
def test_chunks_are_joined(data: bytes, size: int) -> None:
    assert decode(chunked(data, size), "Transfer-Encoding: chunked") == data


def test_chunks_that_stop_early_are_an_error_unless_the_archive_cut_them() -> None:
    cut = chunked(PAGE[9:], 100)[:400]
    assert decode(cut, "Transfer-Encoding: chunked") == "damaged_payload"
    assert decode(cut, "Transfer-Encoding: chunked", is_cut=True)


def test_chunks_that_no_head_states_are_joined_if_they_are_whole() -> None:
    assert decode(chunked(PAGE, 99)) == PAGE
    for data in (chunked(PAGE, 99)[:400], b"add this: " + PAGE, b"12\r\n" + PAGE):
        assert decode(data) == data


def test_the_head_is_read_whatever_its_line_ends() -> None:
    for newline in (b"\r\n", b"\n"):
        block = newline.join(
            [b"HTTP/1.0 404 Not Found", b"CONTENT-TYPE: Text/HTML; Charset='Latin-1'", b"", b"x"]
        )
        response = parse_response(block)
        assert response is not None and (response.status, response.payload) == (404, b"x")
        assert (response.media_type, response.charset) == ("text/html", "Latin-1")
    assert parse_response(b"<html>") is None


@pytest.mark.parametrize("stated", ["gzip", "deflate", "br", "zstd"])
def test_an_encoding_that_is_another_than_stated_or_is_none_is_known_by_its_bytes(stated: str) -> None:
    for name in ("gzip", "deflate", "zstd"):
        assert decode(ENCODERS[name](PAGE), f'Content-Encoding: "{stated}"') == PAGE, name
    assert decode(b"Words, and " + PAGE, f"Content-Encoding: {stated}") == b"Words, and " + PAGE
    assert decode(bytes(range(256)) * 9, f"Content-Encoding: {stated}") == "damaged_payload"


def test_an_encoding_of_transfer_may_be_a_compression() -> None:
    assert decode(chunked(gzip.compress(PAGE), 99), "Transfer-Encoding: gzip, chunked") == PAGE


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1  200 OK\r\nA: b\r\n\r\n", b"http/2 200\r\nA: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\r\n\n", b"HTTP/1.1 200 OK\r\nA:\r\n b\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n",
    ],
)  # fmt: skip
def test_heads_that_are_written_in_other_ways_are_read(head: bytes) -> None:
    response = parse_response(head + b"x")
    assert response is not None
    assert (response.status, response.headers["a"], response.payload) == (200, "b", b"x")


@pytest.mark.parametrize("head", [b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n", b"SSH-2.0\r\n\r\n"])
def test_what_has_no_status_is_no_response(head: bytes) -> None:
    assert parse_response(head) is None


@pytest.mark.timeout(30)
def test_a_payload_of_very_many_members_ends() -> None:
    assert decode(gzip.compress(b"") * 200_000, "Content-Encoding: gzip") == "damaged_payload"
