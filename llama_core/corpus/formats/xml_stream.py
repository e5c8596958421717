"""The records of a large XML file, one at a time: byte ranges first, each then parsed on its own.

Memory is bounded by one record, every record has its byte offset, and a broken one costs only itself. A
record holds no DTD, so no entity but XML's own five can expand, whatever the file declares.
"""

import codecs
import re
from collections.abc import Iterator
from xml.etree import ElementTree

HEAD_BYTES = 1 << 20  # what stands before the first record is kept up to here
_TOKEN_BYTES = 64  # no opening and no closing is longer: what the end of a piece may cut
_PIECE = 1 << 20
_MAX_TAGS = 100_000  # of a record: bounds the memory of its tree

Record = tuple[int, bytes | str]  # byte offset; the record's bytes, or the error's name


class Elements:
    """The records of a file, in order. `head`: what stands before the first, known when that is yielded.

    `opening` and `closing` are patterns. A record that runs into the next one is `unclosed`, other bytes
    between two are `stray_bytes`, a longer one than `limit` is `too_long`; without an end of the element
    `root` the file is `truncated`. An error of the stream comes last, with the record that it cut. UTF-16
    is read as well, by its byte order mark; offsets are then those of the same file in UTF-8.
    """

    def __init__(self, chunks: Iterator[bytes | str], root: str, opening: bytes, closing: bytes, limit: int):
        self.head = b""
        self._chunks, self._limit = chunks, limit
        self._opening = re.compile(opening)
        self._tokens = re.compile(b"(?P<open>" + opening + b")|" + closing)
        name = root.encode()
        self._root = re.compile(rb"<" + name + rb"\b")
        self._end = re.compile(rb"</" + name + rb"\s*>|<" + name + rb"\s*/>")
        self._gap = re.compile(rb"(?:\s|</" + name + rb"\s*>)*")

    def __iter__(self) -> Iterator[Record]:
        held, base = b"", 0  # bytes not done with, and the offset of the first
        scanned = 0  # in `held` no token begins before
        record: int | None = None  # offset of the record that is open
        seen = too_long = stray = False
        failure = ""
        for piece in _as_utf8(_pieces(self._chunks)):
            if isinstance(piece, str):
                failure = piece
                break
            held += piece
            at = 0  # held[:at] is done with
            while found := (self._opening if record is None else self._tokens).search(held, scanned):
                if record is None:
                    gap = held[at : found.start()]
                    if not seen:
                        self.head = (self.head + gap)[:HEAD_BYTES]
                    elif stray or not self._gap.fullmatch(gap):
                        yield base + at, "stray_bytes"
                    record, at, scanned = base + found.start(), found.start(), found.end()
                    seen, too_long, stray = True, False, False
                    continue
                cut = found["open"] is not None
                end = found.start() if cut else found.end()
                if too_long or end - at > self._limit:
                    yield record, "too_long"
                else:
                    yield record, "unclosed" if cut else held[at:end]
                record, at, scanned = None, end, end
            scanned = max(scanned, len(held) - _TOKEN_BYTES)
            if record is not None and len(held) - at > self._limit:
                too_long, at = True, scanned
            elif record is None and len(held) - at > HEAD_BYTES:
                if not seen:
                    self.head = (self.head + held[at:scanned])[:HEAD_BYTES]
                else:
                    stray = True
                at = scanned
            held, base, scanned = held[at:], base + at, scanned - at
        if not seen:
            self.head = (self.head + held)[:HEAD_BYTES]
        if record is not None:
            yield record, failure or ("too_long" if too_long else "truncated")
        elif failure:
            yield base + len(held), failure
        elif not seen and not self._root.search(self.head):
            yield 0, "not_a_dump"
        elif not self._end.search(held if seen else self.head):
            yield base + len(held), "truncated"
        elif seen and (stray or not self._gap.fullmatch(held)):
            yield base, "stray_bytes"


def parse(data: bytes) -> ElementTree.Element | str:
    """The element, or the error's name."""
    if data.count(b"<") > _MAX_TAGS:
        return "too_many_elements"
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError):
        pass
    if b"\0" in data:
        return "nul_byte"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "invalid_utf8"
    return "not_xml"


def _as_utf8(pieces: Iterator[bytes | str]) -> Iterator[bytes | str]:
    """UTF-16 recoded. A half of a surrogate pair becomes bytes that are no UTF-8: its record is refused."""
    first = next(pieces, b"")
    order = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
    name = order.get(first[:2]) if isinstance(first, bytes) else None
    if name is None or not isinstance(first, bytes):
        yield first
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(name)("surrogatepass")
    yield decoder.decode(first[2:]).encode("utf-8", "surrogatepass")
    for piece in pieces:
        if isinstance(piece, str):
            yield piece
            return
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        yield "truncated"


def _pieces(chunks: Iterator[bytes | str]) -> Iterator[bytes | str]:
    """The same bytes in larger pieces, so that a long record is not copied for each small chunk."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        if isinstance(chunk, str):
            yield b"".join(held)
            yield chunk
            return
        held.append(chunk)
        size += len(chunk)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)
