"""Encodings as people name them, and bytes that are not in the one they are said to be in."""

import codecs
import re
import string

BYTEWISE = "cp1252_bytes"  # the name of an error handler: a byte that cannot be decoded is read as cp1252

_FORMS = (
    (re.compile(r"8859\D?(\d{1,2})"), "iso8859-{}"),
    (re.compile(r"latin\W?(\d{1,2})"), "latin{}"),
    (re.compile(r"(?:cp|page|windows|ibm|dos)\W*(\d{3,4})"), "cp{}"),
)
# cp1252, Windows' form of Latin-1, has all of Latin-1's text; bytes beyond ASCII in "ASCII" may be UTF-8.
_WIDER = {"iso8859-1": "cp1252", "ascii": "utf-8"}
_ASCII = string.ascii_letters + string.digits + r"\u0041"


def codec_of(declared: str) -> str:
    """Return Python's name of the encoding that a file declares, such as `Windows Code Page 1252`.

    It is "utf-8" where the name is unknown, or cannot be true: the file was read as ASCII up to that name.
    """
    name = re.sub(r"[^a-z0-9]+", "-", declared.lower()).strip("-")
    for pattern, form in _FORMS:
        if found := pattern.search(declared.lower()):
            name = form.format(found[1])
            break
    try:
        if _ASCII.encode().decode(name) != _ASCII:
            return "utf-8"
        b"\xe9".decode(name, BYTEWISE)  # not every codec takes an error handler
    except (LookupError, UnicodeError):
        return "utf-8"
    codec = codecs.lookup(name).name
    return _WIDER.get(codec, codec)


def _one_by_one(error: UnicodeError) -> tuple[str, int]:
    """Decode the bytes that an encoding refused as cp1252, and those that cp1252 lacks as Latin-1."""
    assert isinstance(error, UnicodeDecodeError)
    bad = error.object[error.start : error.end]
    return "".join(bytes((b,)).decode("cp1252", "ignore") or chr(b) for b in bad), error.end


codecs.register_error(BYTEWISE, _one_by_one)
