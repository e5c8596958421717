"""An HTTP response as an archive holds it: its head, and its payload without the encodings of transfer."""

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import brotli
import zstandard

from llama_core.corpus.formats.payload_type import is_binary
from llama_core.corpus.formats.streams import GZIP, chunks
from llama_core.corpus.formats.warc import parse_headers

_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate", "br": "br", "zstd": "zstd"}
_MAX_MEMBERS = 100  # members of a gzip stream that are read; servers send one
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?!\d)", re.IGNORECASE)
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"""[\s"',;]*([\w!#$&^.+*-]+)\s*/\s*([\w!#$&^.+*-]+)""")
_CHUNK = re.compile(rb"\s*([0-9a-fA-F]{1,16})[^\n]*\n")


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response. `headers` are by lower-case name; `payload` still has its encodings of transfer."""

    status: int
    headers: dict[str, str]
    payload: bytes

    @property
    def media_type(self) -> str:
        """The media type that the head states, such as `text/html`, in lower case; empty if there is none.

        Of several, as in `text/html, text/html`, it is the first.
        """
        return media_type(self.headers.get("content-type", ""))

    @property
    def charset(self) -> str:
        """The encoding that the head states for the text, as it is written there; empty if there is none."""
        found = _CHARSET.search(self.headers.get("content-type", ""))
        return found[1] if found else ""


def media_type(stated: str) -> str:
    """Return the first media type in a field of a head, in lower case and without parameters."""
    found = _MEDIA_TYPE.match(stated)
    return f"{found[1]}/{found[2]}".lower() if found else ""


def parse_response(block: bytes) -> Response | None:
    """Split an HTTP response into its head and its payload. Return None if the block is no HTTP response."""
    at = 0
    while status := _STATUS.match(block, at):
        empty_line = _EMPTY_LINE.search(block, at)
        end, body = empty_line.span() if empty_line else (len(block), len(block))
        if status[1][:1] != b"1" or not empty_line:
            return Response(int(status[1]), parse_headers(block[at:end]), block[body:])
        at = body  # "100 Continue" and its kin: the response follows
    return None


def decode_payload(response: Response, limit: int, is_cut: bool) -> bytes | str:
    """Return the payload without its encodings of transfer, or the name of what is wrong with it.

    `limit`: how many bytes may come out. `is_cut`: the archive says that it holds only a part. The length
    that the head states is not checked: older crawls took encodings off and left the length as it was.
    """
    transfer = response.headers.get("transfer-encoding", "").lower()
    is_chunked = "chunked" in transfer
    data = _join_chunks(response.payload, is_chunked, is_cut)
    names = (response.headers.get("content-encoding", "").lower(), transfer)
    for name in reversed(",".join(names).split(",")):
        if isinstance(data, str):
            return data
        name = name.strip("\"' \t")
        data = data if name == "chunked" else _decode(name, data, limit, is_cut)
    return data


def _is_markup(data: bytes) -> bool:
    """Tell whether the payload is HTML or XML already, because the crawler took off what the head states."""
    return data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def _join_chunks(data: bytes, is_stated: bool, is_cut: bool) -> bytes | str:
    """Take the chunked transfer encoding off, if it is there.

    Where the head does not state it, it is there if each chunk ends where it says, up to the last.
    """
    parts: list[bytes] = []
    at = 0
    if _is_markup(data) or not _CHUNK.match(data):
        return data
    while head := _CHUNK.match(data, at):
        size = int(head[1], 16)
        if not size:
            return b"".join(parts)
        at = head.end() + size
        if not is_stated and data[at : at + 2] != b"\r\n":
            return data
        parts.append(data[head.end() : at])
    if not is_stated:
        return data
    return b"".join(parts) if is_cut else "damaged_payload"


def _decode(name: str, data: bytes, limit: int, is_cut: bool) -> bytes | str:
    """Take the content encoding `name` off, or the one that is there in its stead, if any is."""
    if not data or name in ("", "identity", "none", "utf-8"):
        return data
    if name != "br" and _is_markup(data):
        return data
    if name not in _CODINGS:
        return "unknown_encoding"
    for coding in dict.fromkeys((_CODINGS[name], *_seen(data))):
        try:
            out, is_whole = _taken_off(coding, data, limit)
        except (zlib.error, brotli.error):
            continue
        if len(out) > limit:
            return "too_long"
        if is_whole or (is_cut and is_binary(data)):
            return out
    return "damaged_payload" if is_binary(data) else data


def _seen(data: bytes) -> Iterator[str]:
    """Yield the encoding by whose mark the data begins."""
    if data.startswith(GZIP):
        yield "gzip"
    elif data.startswith(zstandard.FRAME_HEADER):
        yield "zstd"
    elif _is_zlib(data):
        yield "deflate"


def _taken_off(coding: str, data: bytes, limit: int) -> tuple[bytes, bool]:
    """Return the decompressed data, until it is over `limit`, and whether the stream came to its end."""
    if coding == "br":
        decompressor = brotli.Decompressor()
        return decompressor.process(data, output_buffer_limit=limit + 1), decompressor.is_finished()
    return _unzstd(data, limit) if coding == "zstd" else _inflate(coding, data, limit)


def _is_zlib(data: bytes) -> bool:
    return data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0


def _inflate(name: str, data: bytes, limit: int) -> tuple[bytes, bool]:
    """Do it for gzip and deflate."""
    bits = 31
    if name == "deflate":  # with the header of zlib, or without: servers do both
        bits = 15 if _is_zlib(data) else -15
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
    """Do it for zstd."""
    parts: list[bytes] = []
    size = 0
    for piece in chunks(io.BytesIO(data), ".zst"):
        if isinstance(piece, str) or size > limit:
            return b"".join(parts), False
        parts.append(piece)
        size += len(piece)
    return b"".join(parts), True
