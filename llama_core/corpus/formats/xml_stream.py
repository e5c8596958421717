"""The records of a large XML file, one at a time: byte ranges first, each then parsed on its own.

Memory is bounded by one record, every record has its byte offset, and a broken one costs only itself. A
record holds no DTD, so no entity but XML's own five can expand, whatever the file declares.
"""

import codecs
import html
import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.sax.saxutils import unescape

HEAD_BYTES = 1 << 20  # how much is kept of what stands before the first record
_TOKEN_BYTES = 64  # no opening or closing tag is longer, so only so much of one can be cut by a piece's end
_PIECE = 1 << 20
_MAX_TAGS = 100_000  # in a record: bounds the memory of its tree
# What XML 1.0 does not allow, and dumps hold all the same: control characters, U+FFFE and U+FFFF.
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]+|\xef\xbf[\xbe\xbf]")
_HOLE = b"\0" * 16  # so many zero bytes are no characters, but a part of the file that was not written
# A reference to a character, as a number; a pair of surrogates counts as one.
_HIGH = rb"x0*[Dd][89ABab][0-9A-Fa-f]{2}|0*(?:5529[6-9]|55[3-9]\d\d|56[0-2]\d\d|563[01]\d)"
_LOW = rb"x0*[Dd][C-Fc-f][0-9A-Fa-f]{2}|0*(?:563[2-9]\d|56[4-9]\d\d|57[0-2]\d\d|573[0-3]\d|5734[0-3])"
_REFERENCE = re.compile(
    rb"&#(?P<high>" + _HIGH + rb");&#(?P<low>" + _LOW + rb");"
    rb"|&#(?:x0*+(?P<hex>[0-9A-Fa-f]*+)|0*+(?P<decimal>[0-9]*+));"
)
# A pair of surrogates as bytes, which CESU-8 has and UTF-8 does not.
_PAIR = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
_NUMBERED = re.compile(r"&#\w{1,9};")
_ATTRIBUTE = re.compile(r"(?<!\s)\s+(?P<name>[A-Z][a-z]\w*)\s*=\s*(?P<quote>[\"'])")
_ENDS_OF_VALUE = {
    quote: re.compile(rf"{quote}(?=\s+[A-Z][a-z]\w*\s*=\s*[\"']|\s*(?:/?>\s*(?:</\w+>\s*)?)?\Z)")
    for quote in ("'", '"')
}
_FEW_BYTES = 10  # that are not UTF-8, or one in a hundred: a record with more is no text

Record = tuple[int, bytes | str]  # (byte offset, the record's bytes or an error's name)


class Elements:
    """The records of a file, in order, each with its byte offset, or with an error's name in its place.

    `opening` and `closing` are patterns of a record's tags, and `root` is the name of the element around all
    records. `head` is what stands before the first record, known once that is yielded. A record that runs
    into the next one is `unclosed`, one of more than `limit` bytes is `too_long`, and other bytes between
    two records are `stray_bytes`. A file without the end of `root` is `truncated`. An error of the stream
    comes last, with the record that it cut. UTF-16 is read as well, by its byte order mark; offsets are then
    those of the same file in UTF-8. With `keeps_unclosed` a record that runs into the next comes as it is.
    """

    def __init__(
        self,
        chunks: Iterator[bytes | str],
        root: str,
        opening: bytes,
        closing: bytes,
        limit: int,
        keeps_unclosed: bool = False,
    ):
        self.head = b""
        self._keeps_unclosed = keeps_unclosed
        self._chunks, self._limit = chunks, limit
        self._opening = re.compile(opening)
        self._tokens = re.compile(b"(?P<open>" + opening + b")|" + closing)
        name = root.encode()
        self._root = re.compile(rb"<" + name + rb"\b")
        self._end = re.compile(rb"</" + name + rb"\s*>|<" + name + rb"\s*/>")
        self._gap = re.compile(rb"(?:\s|</" + name + rb"\s*>)*")

    def __iter__(self) -> Iterator[Record]:
        """Yield the records of the file. To be called once."""
        held, base = b"", 0  # the bytes that are not done with, and the offset of the first of them
        scanned = 0  # the place in `held` before which no token begins
        record: int | None = None  # the offset of the record that is open
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
                    yield record, "unclosed" if cut and not self._keeps_unclosed else held[at:end]
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
    """Parse the bytes of a record, and return its element or the name of what is wrong with it.

    Characters that XML does not allow are left out, as bytes and as references such as `&#x0E;`.
    """
    if data.count(b"<") > _MAX_TAGS:
        return "too_many_elements"
    if _HOLE in data:
        return "nul_byte"
    for text in (data, _REFERENCE.sub(_allowed, _CONTROLS.sub(b"", data))):
        try:
            return ElementTree.fromstring(text)
        except (ElementTree.ParseError, ValueError):
            if text is data and b"&#" not in data and not _CONTROLS.search(data):
                break
    try:
        data.decode()
    except UnicodeDecodeError:
        return "invalid_utf8"
    return "not_xml"


def loose_attributes(data: bytes) -> dict[str, str] | None:
    """Read the attributes of a record that is no XML: with bare `<`, `&` and quotes, or bytes of no UTF-8.

    Their names are in camel case, as `Id` and `PostTypeId` are. A value ends at a quote behind which another
    attribute or the record's end follows, or else where the record was cut. What is not UTF-8 becomes U+FFFD.
    None if the record is hardly text, or has no attributes.
    """
    text = _REFERENCE.sub(_allowed, _CONTROLS.sub(b"", _PAIR.sub(_joined, data))).decode("utf-8", "replace")
    if _HOLE in data or text.count("\ufffd") > max(_FEW_BYTES, len(text) // 100):
        return None
    found: dict[str, str] = {}
    start = _ATTRIBUTE.search(text)
    while start:
        end = _ENDS_OF_VALUE[start["quote"]].search(text, start.end())
        value = text[start.end() : end.start() if end else len(text)]
        value = _NUMBERED.sub(lambda reference: html.unescape(reference[0]), value)
        found.setdefault(start["name"], unescape(value, {"&quot;": '"', "&apos;": "'"}))
        start = _ATTRIBUTE.match(text, end.end()) if end else None
    return found or None


def _joined(pair: re.Match[bytes]) -> bytes:
    """Return the character that a pair of surrogates stands for."""
    units = pair[0].decode("utf-8", "surrogatepass")
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le").encode()


def _allowed(reference: re.Match[bytes]) -> bytes:
    """Return a reference to a character as it is, or nothing if XML does not allow the character."""
    if reference["high"]:
        high, low = (
            int(found[1:], 16) if found[:1] == b"x" else int(found)
            for found in (reference["high"], reference["low"])
        )
        return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00).encode()
    digits = reference["hex"] or reference["decimal"] or b""
    code = int(digits or b"0", 16 if reference["hex"] else 10) if len(digits) < 9 else -1
    is_allowed = (
        code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0xFFFF < code < 0x110000
    )
    return reference[0] if is_allowed else b""


def _as_utf8(pieces: Iterator[bytes | str]) -> Iterator[bytes | str]:
    """Recode UTF-16. Half a surrogate pair becomes bytes that are not UTF-8, so its record is refused."""
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
    """Join small chunks into larger pieces, so that a long record is not copied for each of them."""
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
