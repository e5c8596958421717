"""An HTTP response as an archive holds it: its head, and its payload without the encodings of transfer."""

import io
import re
import zlib
from dataclasses import dataclass

import brotli

from llama_core.corpus.formats.streams import GZIP, chunks
from llama_core.corpus.formats.warc import parse_headers

_MAX_MEMBERS = 100  # members of a gzip stream that are read; servers send one
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})")
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
    status = _STATUS.match(block)
    if not status:
        return None
    end, gap = len(block), 0
    for empty_line in (b"\r\n\r\n", b"\n\n"):
        at = block.find(empty_line)
        if 0 <= at < end:
            end, gap = at, len(empty_line)
    return Response(int(status[1]), parse_headers(block[:end]), block[end + gap :])


def decode_payload(response: Response, limit: int, is_cut: bool) -> bytes | str:
    """Return the payload without its encodings of transfer, or the name of what is wrong with it.

    `limit`: how many bytes may come out. `is_cut`: the archive says that it holds only a part. The length
    that the head states is not checked: older crawls took encodings off and left the length as it was.
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
    """Tell whether the payload is HTML or XML already, because the crawler took off what the head states."""
    return data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def _join_chunks(data: bytes, is_cut: bool) -> bytes | str:
    """Take the chunked transfer encoding off, if it is there."""
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
    """Take the content encoding `name` off, if it is there."""
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
    """Return the decompressed data, until it is over `limit`, and whether the stream came to its end."""
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
    """Do for zstd what `_inflate` does for gzip and deflate."""
    parts: list[bytes] = []
    size = 0
    for piece in chunks(io.BytesIO(data), ".zst"):
        if isinstance(piece, str) or size > limit:
            return b"".join(parts), False
        parts.append(piece)
        size += len(piece)
    return b"".join(parts), True
