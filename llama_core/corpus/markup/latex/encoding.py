"""How the bytes of a TeX file become text: by a byte order mark, as UTF-8, or as a file of the paper says."""

import codecs
import re

from llama_core.corpus.markup.charsets import BYTEWISE
from llama_core.corpus.markup.newlines import with_newlines

# Where a file says how it is encoded: `\usepackage[latin1]{inputenc}` and `\begin{CJK}{GBK}{song}`.
_INPUTENC = re.compile(
    rb"(?:^|[\r\n])[^%\r\n]*?\\(?:usepackage|RequirePackage)\s*\[([^]\n]{1,60})\]\s*\{inputenc\}"
)
_CJK = re.compile(rb"\\begin\s*\{CJK\*?\}\s*(?:\[[^]\n]{0,40}\])?\{(\w{1,10})\}")
# Python's codec for the name that inputenc or CJK gives an encoding. UTF-8 and unknown names are not listed.
_CODECS = {
    "gbk": "gb18030",
    "gb": "gb18030",
    "bg5": "big5",
    "sjis": "shift_jis",
    "ks": "euc_kr",
    "latin1": "cp1252",
    "ansinew": "cp1252",
    "cp1252": "cp1252",
    "latin9": "iso8859-15",
    "latin2": "iso8859-2",
    "latin3": "iso8859-3",
    "latin4": "iso8859-4",
    "latin5": "iso8859-9",
    "latin10": "iso8859-16",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "koi8-r": "koi8-r",
    "koi8-ru": "koi8-u",
    "applemac": "mac-roman",
    "cp437": "cp437",
    "cp850": "cp850",
    "cp866": "cp866",
}
# The codec that each byte order mark stands for. UTF-32's begins with UTF-16's, and comes first.
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Control characters, byte order marks, and the characters that `text` uses for marks of its own.
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0e-\x1f\x7f\x80-\x9f\ue000-\ue00f\ufeff]")


def declared_codec(data: bytes) -> str | None:
    """Return Python's name of the encoding that a file tells TeX to read the paper in.

    It is empty if that is UTF-8, or none that we know; None if the file does not speak of it.
    """
    found = _CJK.search(data) or _INPUTENC.search(data)
    return _CODECS.get(found[1].decode("latin-1").strip().lower(), "") if found else None


def decode(data: bytes) -> str | bytes | None:
    """Return the text of a file, with `\\n` at the end of its lines and no control characters.

    A byte order mark decides, then UTF-8, then the file's own inputenc. Bytes are returned if it is none of
    these: another file of the paper may say what they are (`decode_as`). None: the bytes are no text.
    """
    for bom, name in _BOMS:
        if data.startswith(bom):
            try:
                text = data.decode(name)
            except UnicodeDecodeError:
                return None
            return None if "\0" in text else _tidy(text)
    data = data.rstrip(b"\0\x1a")
    if b"\0" in data:
        return None
    try:
        return _tidy(data.decode())
    except UnicodeDecodeError:
        codec = declared_codec(data)
        return data if codec is None else decode_as(data, codec)


def decode_as(data: bytes, codec: str) -> str:
    """Return the text of bytes that are not UTF-8.

    If `codec` is empty they are Windows' Latin-1, byte by byte, so that a mixed file keeps its UTF-8.
    """
    if codec:
        return _tidy(data.decode(codec, "replace").replace("\ufffd", ""))
    return _tidy(data.decode("utf-8", BYTEWISE))


def _tidy(text: str) -> str:
    """Return a text with `\\n` at the end of its lines and no control characters."""
    text = with_newlines(text.replace("\f", "\n\n").replace("\u2029", "\n\n"))
    return _CONTROL.sub("", text.replace("\xa0", " "))
