"""A page's bytes as text: by the encoding that it is in, with only the bytes replaced that are bad in it.

Bytes that are valid UTF-8, or nearly so, are UTF-8, whatever is declared: text in another encoding hardly
ever is. Then what the server and the page declare is tried, and only where nothing that is declared fits, an
encoding is guessed, by the detector of Mozilla's browsers.
"""

import codecs
import re

from resiliparse.parse.encoding import EncodingDetector, map_encoding_to_html5

_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    codecs.BOM_UTF32_BE: "utf-32-be",
}
# What pages say, and what they mean: Python's name of the encoding that has all of its characters.
_WIDER = {
    "gbk": "gb18030", "gb2312": "gb18030", "hz-gb-2312": "hz", "shift_jis": "cp932", "x-sjis": "cp932",
    "euc-jp": "euc_jis_2004", "euc-kr": "cp949", "uhc": "cp949", "big5": "big5hkscs", "euc-tw": "big5hkscs",
    "iso-8859-1": "cp1252", "ascii": "cp1252", "us-ascii": "cp1252", "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874", "iso8859-11": "cp874", "tis-620": "cp874", "windows-874": "cp874",
    "iso-8859-8-i": "iso8859-8", "iso-8859-8-e": "iso8859-8", "x-mac-cyrillic": "mac-cyrillic",
    "macintosh": "mac-roman", "iso-2022-kr": "iso2022-kr", "ibm866": "cp866",
    "unicode": "utf-16", "ucs-2": "utf-16", "iso-10646-ucs-2": "utf-16", "unicodefeff": "utf-16",
    "unicodefffe": "utf-16-be",
}  # fmt: skip
# A page that declares one of these has given its text as bytes of ASCII; a guess would not find it.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf-7", "undefined"})
_SEVEN_BITS = ("iso2022", "iso-2022", "hz")
_META = re.compile(rb"""<meta\b[^>]{0,300}?\bcharset\s*=\s*["']?\s*([\w.:()-]{2,40})""", re.IGNORECASE)
_XML = re.compile(rb"""\s*<\?xml\b[^>]{0,200}?\bencoding\s*=\s*["']([\w.:()-]{2,40})""", re.IGNORECASE)
# Comments and scripts may hold the tags of other pages.
_NO_TAGS = re.compile(rb"<!--(?:[^-]++|-(?!->))*+(?:-->)?|<script\b(?:[^<]++|<(?!/script))*+", re.IGNORECASE)
_HEAD = (
    1 << 16
)  # bytes in which a page may declare its encoding: standards say 1,024, and pages do not keep to it
_MOST_DECLARED = 4
_SAMPLE = 1 << 17  # bytes that a guess looks at
_WIDE_MARKUP = re.compile(rb"(?:[ \t\r\n]\0)*+<\0[!?a-zA-Z]\0")  # that a page in UTF-16 begins with
_FEW = 3  # bad bytes that are no reason to doubt what both the server and the page declare
# Dashes, quotes and dots: the bytes of one in UTF-8 are next to never text in another encoding. So many bad
# bytes for each are no reason to doubt.
_SIGNS = re.compile(r"[\u2010-\u203a]")
_BAD_OF_SIGN = 6
_SURE = 3  # so many good characters for each bad byte are those of UTF-8, whatever is declared
# So many are, where nothing else is known. In text of one byte a character there are next to none,
_UNSURE = 0.5
# but in these there are some by chance.
_EAST_ASIAN = frozenset({"gb18030", "cp932", "euc_jis_2004", "cp949", "big5hkscs"})
_OTHER_SCRIPTS = _EAST_ASIAN | {
    "cp1251", "koi8-r", "koi8-u", "iso8859-5", "cp866", "cp855", "mac-cyrillic", "cp1253", "iso8859-7",
    "cp1255", "iso8859-8", "cp862", "cp1256", "iso8859-6", "cp874",
}  # fmt: skip
# What else may be guessed. Pages in the encodings of DOS and the Macintosh say so.
_LATIN = frozenset(
    {"cp1250", "iso8859-2", "iso8859-16", "cp1254", "cp1257", "iso8859-4", "iso8859-13", "iso8859-15"}
)
_SHARE = 0.02  # of the characters beyond ASCII: so many bad ones may be among them in a declared encoding
# Shares of letters beyond ASCII: the languages of Latin-1 alone have fewer than the first, no language in
# Latin letters has more than the second.
_FEW_ACCENTS, _MANY_ACCENTS = 0.02, 0.3
_REPLACED = "\ufffd"
_UNDEFINED = re.compile(rb"[\x80-\x9f]")
# Dashes, quotes and signs in cp1252: a page with no other bytes beyond ASCII is too short to guess from.
_ASCII_AND_SIGNS = (
    bytes(range(128)) + b"\x80\x82\x84\x85\x86\x87\x89\x8b" + bytes(range(0x91, 0x9A)) + b"\x9b"
)
_NO_LETTERS = bytes(b for b in range(256) if not (b < 128 and chr(b).isalpha()))
_PLAIN_TEXT = re.compile(rb"<(?:script|style)\b.*?</(?:script|style)\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
# Encodings of one letter form each, told apart by whether the bytes are used that only the second has.
_TWINS = {
    "iso8859-1": "cp1252", "iso8859-2": "cp1250", "iso8859-7": "cp1253", "iso8859-8": "cp1255",
    "iso8859-9": "cp1254", "iso8859-15": "cp1252", "iso8859-16": "cp1250", "iso8859-4": "cp1257",
    "iso8859-13": "cp1257",
}  # fmt: skip


def decode(data: bytes, charset: str) -> str:
    """Return the text of a page.

    `charset`: the encoding that its server declares, empty if it declares none.
    """
    for bom, name in _BOMS.items():
        if data.startswith(bom):
            return data[len(bom) :].decode(name, "replace")
    has_bom = data.startswith(codecs.BOM_UTF8)
    data = data.removeprefix(codecs.BOM_UTF8)
    header = _codec(charset)
    if wide := _wide(data, header):
        return data.decode(wide, "replace")
    if (b"\x1b" in data or b"~{" in data) and (seven_bits := _seven_bits(data, header)):
        return data.decode(seven_bits, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3 and error.reason == "unexpected end of data":
            return data.decode("utf-8", "replace")  # the page is cut
    pages = [_codec(label) for label in _declared(data)]
    text = data.decode("utf-8", "replace")
    good, bad = _beyond_ascii(text)
    bad -= data.count(_REPLACED.encode())  # those that the page itself shows
    is_declared = has_bom or [header, *pages[:1]] == ["utf-8", "utf-8"]
    if good > _SURE * bad or (is_declared and bad <= _FEW):
        return text
    if _BAD_OF_SIGN * len(_SIGNS.findall(text)) >= bad:
        return text
    names = dict.fromkeys((header, *pages))
    stated = [name for name in names if not name.startswith(("utf-", *_SEVEN_BITS))]
    name = _best([name for name in stated if name and _fits(data, name)])
    if name in ("", "cp1252"):
        guess = _guess(data)
        name = guess if not name or _is_of_other_script(data, guess) else name
        is_utf8 = good > bad if name in _EAST_ASIAN else good > _UNSURE * bad
    else:
        is_utf8 = good > bad and name not in _EAST_ASIAN
    if is_utf8:
        return text
    return data.decode(name, _EURO_OR_REPLACED if name == "gb18030" else "replace")


def _euro_or_replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """Read the byte 0x80 of GBK as browsers do; all other bad bytes are replaced."""
    assert isinstance(error, UnicodeDecodeError)
    is_euro = error.object[error.start] == 0x80
    return ("€", error.start + 1) if is_euro else codecs.replace_errors(error)


_EURO_OR_REPLACED = "llama_core.euro_or_replaced"
codecs.register_error(_EURO_OR_REPLACED, _euro_or_replaced)


def _seven_bits(data: bytes, header: str) -> str:
    """Return the encoding in which a page of ASCII bytes, some of them escapes, stands for other letters."""
    for name in (header, *map(_codec, _declared(data))):
        if name.startswith(_SEVEN_BITS):
            return name
    return "iso2022-jp-ext" if b"\x1b$" in data and data.isascii() else ""


def _declared(data: bytes) -> list[str]:
    """Return the encodings that a page itself declares, as they are written there. Some declare several."""
    head = data[:_HEAD]
    xml = _XML.match(head)
    found = _META.findall(_NO_TAGS.sub(b"", head))
    return [label.decode() for label in ([xml[1]] if xml else []) + found[:_MOST_DECLARED]]


def _codec(declared: str) -> str:
    """Return Python's name of a declared encoding, or nothing where no such encoding is known."""
    label = declared.strip("\"' \t").lower()
    if not label or not label.isascii():
        return ""
    html5 = (map_encoding_to_html5(label, fallback_utf8=False) or "").lower()
    for name in (_WIDER.get(label), html5, label):
        try:
            if name and codecs.lookup(name).name not in _NO_CHARSETS:
                bytes(4).decode(name)  # LookupError where it is no charset, as base64 is
                codec = codecs.lookup(name).name
                return codecs.lookup(_WIDER.get(codec.replace("_", "-"), codec)).name
        except (LookupError, ValueError):
            continue
    return ""


def _wide(data: bytes, header: str) -> str:
    """Return the form of UTF-16 or UTF-32 that data without a byte order mark is in, or nothing."""
    start = data[:200]
    if len(start) < 4 or start.count(0) < len(start) // 4:
        # Text of other scripts than Latin has few zero bytes; its markup has them.
        if not _WIDE_MARKUP.match(start.removeprefix(b"\0")) and not header.startswith("utf-16"):
            return ""
        name = "utf-16-be" if start[:1] == b"\0" or header == "utf-16-be" else "utf-16-le"
        return name if b"<\0" in data else ""
    of_four = [start[at::4].count(0) for at in range(4)]
    most = len(start) // 4 * 0.9
    if min(of_four[:2]) > most > of_four[3]:
        return "utf-32-be"
    if min(of_four[2:]) > most > of_four[0]:
        return "utf-32-le"
    even, odd = start[::2].count(0), start[1::2].count(0)
    if even and odd and min(even, odd) * 2 > max(even, odd):
        return ""  # zero bytes anywhere: no text
    return "utf-16-be" if even > odd else "utf-16-le"


def _beyond_ascii(text: str) -> tuple[int, int]:
    """Return how many characters beyond ASCII there are, and how many bad bytes were replaced."""
    bad = text.count(_REPLACED)
    return sum(not c.isascii() for c in text) - bad, bad


def _fits(data: bytes, name: str) -> bool:
    """Tell whether all but a few bytes can be read in an encoding."""
    text = data.decode(name, "replace")
    good, bad = _beyond_ascii(text)
    return bad <= max(_FEW, _SHARE * good) and bad <= good


def _best(fitting: list[str]) -> str:
    """Return which of the declared encodings that fit it is: the server's, which comes first, as a rule.

    Latin-1 is what servers say that were told nothing, and every page fits it.
    """
    return next((name for name in fitting if name != "cp1252"), fitting[0] if fitting else "")


def _guess(data: bytes) -> str:
    """Guess an encoding from the text of a page. The least that is answered is cp1252."""
    text = _plain_text(data)
    if not text.translate(None, _ASCII_AND_SIGNS):
        return "cp1252"
    detector = EncodingDetector()
    detector.update(text[:_SAMPLE])
    name = _codec(detector.encoding(html5_compatible=False) or "")
    if name not in _OTHER_SCRIPTS and (name not in _LATIN or _share_beyond_ascii(text) < _FEW_ACCENTS):
        return "cp1252"
    name = "koi8-u" if name == "koi8-r" else name
    if _UNDEFINED.search(text):
        name = _TWINS.get(name, name)
    elif name in ("cp1250", "iso8859-16"):
        name = "iso8859-2"
    return name if _fits(data, name) else "cp1252"


def _is_of_other_script(data: bytes, guess: str) -> bool:
    """Tell whether the text of a page that is declared to be Latin-1 is that of another script."""
    return guess in _OTHER_SCRIPTS and _share_beyond_ascii(_plain_text(data)) > _MANY_ACCENTS


def _plain_text(data: bytes) -> bytes:
    """Return the beginning of a page's text without its tags, or of all if that has only ASCII."""
    text = _PLAIN_TEXT.sub(b" ", data[: 4 * _SAMPLE])
    return data if text.isascii() else text


def _share_beyond_ascii(text: bytes) -> float:
    """Return the share that bytes beyond ASCII, but for the no-break space, have in the letters of a text."""
    beyond = len(text.translate(None, bytes(range(128)) + b"\xa0"))
    return beyond / max(1, beyond + len(text.translate(None, _NO_LETTERS)))
