"""What a payload is by its first bytes, whatever its server says that it is."""

import codecs
import re

_LOOKED_AT = 4096
_LOOKED_AT_FOR_HTML = 1 << 16  # a page may begin with a long comment
# The bytes that files of other formats begin with, after white space where their readers allow it.
_MAGIC = (
    b"%PDF-", b"%!PS", b"{\\rtf", b"\xff\xd8\xff", b"\x89PNG", b"GIF87a", b"GIF89a", b"RIFF", b"8BPS",
    b"II*\0", b"MM\0*", b"\0\0\1\0", b"\0\0\2\0", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP", b"AT&TFORM",
    b"PK\3\4", b"PK\5\6", b"PK\7\10", b"\x1f\x8b", b"\x1f\x9d", b"BZh", b"7z\xbc\xaf\x27\x1c", b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"Rar!\x1a\7", b"MSCF", b"!<arch>\n", b"\xed\xab\xee\xdb",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x7fELF", b"MZ\x90", b"MZ\0", b"\xca\xfe\xba\xbe", b"\0asm",
    b"SQLite format 3\0", b"wOFF", b"wOF2", b"OTTO\0", b"\0\1\0\0\0", b"true\0", b"ttcf\0", b"ID3", b"OggS",
    b"dex\n", b"fLaC", b"MThd", b"#!AMR", b"FWS", b"CWS", b"ZWS", b"FLV\1", b"\0\0\1\xba",
    b"\x1a\x45\xdf\xa3", b"\0\0\1\xb3",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"bplist00", b"\xff\x0a", b"d8:announce", b"PAR1", b"AC10",
)  # fmt: skip
_BOXES = re.compile(rb".{4}(?:ftyp|moov|mdat|free|wide|skip)", re.DOTALL)  # MP4 and its kin
_AUDIO = re.compile(rb"\xff[\xe2\xe3\xf1-\xf3\xf9-\xfb][\x10-\xee]")
# Its readers look for the mark in the first kilobyte. In a line of words it is spoken of.
_PDF = re.compile(rb"[^<]{0,1023}?[\0-\x1f\x7f-\xff]%PDF-\d")
_SPACES = b" \t\r\n\f"
_BINARY = bytes(b for b in range(32) if b not in b"\t\n\f\r\x1b")  # as in the MIME Sniffing standard
_MOST_BINARY = 0.02  # share of such bytes up to which data is text with some damage
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
# What may stand before the first element of a page or of a file of XML.
_PROLOG = (
    rb"(?:\xef\xbb\xbf)?(?:\s++|<\?[^>]*+>|<!--(?:[^-]++|-(?!->))*+-->"
    rb"|<!doctype(?!\s+html\b)[^>\[]*+(?:\[[^\]]*+\]\s*+)?+>)*+"
)
# The tags by which browsers know HTML that no media type is stated for, and those of parts of pages.
_HTML = re.compile(
    _PROLOG
    + rb"(?:<!doctype\s+html|<(?:html|head|script|iframe|h[1-6]|div|font|table|a|style|title|b|body|br"
    rb"|p|meta|link|span|center|ul|ol|section|article|main|header|nav|form|img|noscript|base|frameset)[\s/>])",
    re.IGNORECASE,
)
_FEED = re.compile(
    _PROLOG + rb"<(?:\w++:)?(?:rss|feed|rdf|urlset|sitemapindex|svg|opml|schema|stylesheet)[\s>]",
    re.IGNORECASE,
)
# The first element of other XML names its vocabulary.
_VOCABULARY = re.compile(_PROLOG + rb"<[\w:.-]++\s[^>]*?\bxmlns(?::[\w.-]++)?\s*=", re.IGNORECASE)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<\?xml\b")
_STRING = rb'"(?:[^"\\]|\\.)*+"\s*+'
# It may stand in a call, or behind what keeps scripts of other sites from reading it.
_JSON = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:(?:/\*\*/\s*+)?+[\w$.]{1,100}+\(\s*+|\)\]\}',?+\s*+)?+(?:(?:\[\s*+)?+\{\s*+(?:"
    + _STRING
    + rb":|\})|\[\s*+"
    + _STRING
    + rb"(?:,\s*+[\"\[{\d]|\]\s*+\Z))",
    re.DOTALL,
)
# A text without tags of which so large a share is marks of programs is a script or a style sheet.
_TAG = re.compile(rb"<[a-zA-Z/!?]")
_PROGRAM = re.compile(rb"[{}=]|\);")
_CODE_MARKS = b"{};"
_MUCH_CODE = 0.015
_FEW_MARKS = 3


def is_binary(data: bytes) -> bool:
    """Tell whether data is no text: an image, an archive, a PDF and so on."""
    start = data[:_LOOKED_AT]
    trimmed = start.removeprefix(codecs.BOM_UTF8).lstrip(_SPACES)
    if start.startswith(_MAGIC) or trimmed.startswith(_MAGIC) or _BOXES.match(start) or _AUDIO.match(start):
        return True
    if start.startswith(_WIDE) or is_wide(start):
        return False
    if _PDF.match(start):
        return True
    text = data.rstrip(b"\0")  # what some servers fill a page up with
    for part in (text[:_LOOKED_AT], text) if text else (data,):
        if len(part) - len(part.translate(None, _BINARY)) > _MOST_BINARY * len(part):
            return True
    return False


def is_other_text(data: bytes) -> bool:
    """Tell whether data is a text that is no HTML: JSON, a feed or other XML, a script or a style sheet."""
    start = _narrow(data[:_LOOKED_AT])
    if _JSON.match(start) or _FEED.match(start):
        return True
    if (_XML.match(start) or _VOCABULARY.match(start)) and not is_html(data):
        return True
    if _TAG.search(start):
        return False
    if not _PROGRAM.search(start):
        return False  # semicolons alone are those of verse
    marks = len(start) - len(start.translate(None, _CODE_MARKS))
    return marks > max(_FEW_MARKS, _MUCH_CODE * len(start))


def is_html(data: bytes) -> bool:
    """Tell whether data begins as a page of HTML does."""
    return bool(_HTML.match(_narrow(data[:_LOOKED_AT_FOR_HTML])))


def _narrow(start: bytes) -> bytes:
    """Return the beginning of a text with the ASCII characters of UTF-16 and UTF-32 as single bytes."""
    return start.translate(None, b"\0\xfe\xff") if start.startswith(_WIDE) or is_wide(start) else start


def is_wide(start: bytes) -> bool:
    """Tell whether data without a byte order mark begins with markup in UTF-16 or UTF-32."""
    blank, mark, rest = start[:200].partition(b"<")
    return bool(mark) and not blank.strip(b" \t\r\n\0") and (rest.startswith(b"\0") or blank.endswith(b"\0"))
