"""An HTTP response as an archive holds it: its head, and its payload without the encodings of transfer."""

import io
import re
import zlib
from dataclasses import dataclass

import brotli

from llama_core.corpus.formats.streams import GZIP, chunks
from llama_core.corpus.formats.warc import parse_headers

_MAX_MEMBERS = 100  # of a gzip stream: servers send one
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})")
_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_CHUNK = re.compile(rb"\s*([0-9a-fA-F]{1,16})[^\n]*\n")


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: dict[str, str]
    payload: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str:
        found = _CHARSET.search(self.headers.get("content-type", ""))
        return found[1] if found else ""


def parse_response(block: bytes) -> Response | None:
    """Nothing where the block is no HTTP response."""
    status = _STATUS.match(block)
    if not status:
        return None
    ends = [(at, len(e)) for e in (b"\r\n\r\n", b"\n\n") if (at := block.find(e)) >= 0]
    end, gap = min(ends, default=(len(block), 0))
    return Response(int(status[1]), parse_headers(block[:end]), block[end + gap :])


def decode_payload(response: Response, limit: int, is_cut: bool) -> bytes | str:
    """The payload as its server meant it, or the name of what is wrong with it.

    `limit`: bytes that may come out. `is_cut`: the archive says that it holds only a part. The length that
    the head states is not checked: older crawls stored it as it was before they took encodings off.
    """
    data: bytes | str = response.payload
    if "chunked" in response.headers.get("transfer-encoding", "").lower():
        data = _join_chunks(response.payload, is_cut)
    for name in reversed(response.headers.get("content-encoding", "").lower().split(",")):
        if isinstance(data, str):
            return data
        data = _decode(name.strip(), data, limit, is_cut)
    return data


def _is_markup(data: bytes) -> bool:
    """Whether the encoding was taken off before it was stored, though the head still states it."""
    return data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def _join_chunks(data: bytes, is_cut: bool) -> bytes | str:
    parts: list[bytes] = []
    at = 0
    if _is_markup(data) or not _CHUNK.match(data):
        return data
    while head := _CHUNK.match(data, at):
        size = int(head[1], 16)
        if not size:
            return b"".join(parts)
        at = head.end() + size
        parts.append(data[head.end() : at])
    return b"".join(parts) if is_cut else "damaged_payload"


def _decode(name: str, data: bytes, limit: int, is_cut: bool) -> bytes | str:
    if not data or name in ("", "identity", "none", "utf-8"):
        return data
    if name != "br" and _is_markup(data):
        return data
    try:
        if name in ("gzip", "x-gzip", "deflate"):
            out, is_whole = _inflate(name, data, limit)
        elif name == "br":
            decompressor = brotli.Decompressor()
            out = decompressor.process(data, output_buffer_limit=limit + 1)
            is_whole = decompressor.is_finished()
        elif name == "zstd":
            out, is_whole = _unzstd(data, limit)
        else:
            return "unknown_encoding"
    except (zlib.error, brotli.error):
        return data if _is_markup(data) else "damaged_payload"
    if len(out) > limit:
        return "too_long"
    return out if is_whole or is_cut else "damaged_payload"


def _inflate(name: str, data: bytes, limit: int) -> tuple[bytes, bool]:
    """What comes out, some more than `limit` bytes at most, and whether it is whole."""
    bits = 31
    if name == "deflate":  # with the header of zlib, or without: servers do both
        bits = 15 if data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0 else -15
    parts: list[bytes] = []
    size = 0
    for _ in range(_MAX_MEMBERS):
        member = zlib.decompressobj(wbits=bits)
        parts.append(member.decompress(data, limit + 1 - size))
        size += len(parts[-1])
        data = member.unused_data
        if not member.eof or size > limit or bits != 31 or not data.startswith(GZIP):
            return b"".join(parts), member.eof
    return b"".join(parts), False


def _unzstd(data: bytes, limit: int) -> tuple[bytes, bool]:
    """As `_inflate`."""
    parts: list[bytes] = []
    size = 0
    for piece in chunks(io.BytesIO(data), ".zst"):
        if isinstance(piece, str) or size > limit:
            return b"".join(parts), False
        parts.append(piece)
        size += len(piece)
    return b"".join(parts), True
