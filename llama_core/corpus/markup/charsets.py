"""Encodings as people name them, and bytes that are not in the one they are said to be in."""

import codecs
import re
import string

BYTEWISE = "cp1252_bytes"  # an error handler: a byte that does not belong is Windows' Latin-1

_FORMS = (
    (re.compile(r"8859\D?(\d{1,2})"), "iso8859-{}"),
    (re.compile(r"latin\W?(\d{1,2})"), "latin{}"),
    (re.compile(r"(?:cp|page|windows|ibm|dos)\W*(\d{3,4})"), "cp{}"),
)
# Windows' form of Latin-1 holds all of the other's text; what is not ASCII under that name may be UTF-8.
_WIDER = {"iso8859-1": "cp1252", "ascii": "utf-8"}
_ASCII = string.ascii_letters + string.digits + r"\u0041"


def codec_of(declared: str) -> str:
    """Python's name of an encoding by what a file calls it, as `Windows Code Page 1252`; UTF-8's where the
    name is unknown, or cannot be true of a file that was read as far as that name."""
    name = declared.lower()
    found = next(((form, match[1]) for pattern, form in _FORMS if (match := pattern.search(name))), None)
    name = found[0].format(found[1]) if found else re.sub(r"[^a-z0-9]+", "-", name).strip("-")
    try:
        if _ASCII.encode().decode(name) != _ASCII:
            return "utf-8"
        b"\xe9".decode(name, BYTEWISE)  # not every codec takes an error handler
    except (LookupError, UnicodeError):
        return "utf-8"
    codec = codecs.lookup(name).name
    return _WIDER.get(codec, codec)


def _one_by_one(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    bad = error.object[error.start : error.end]
    return "".join(bytes((b,)).decode("cp1252", "ignore") or chr(b) for b in bad), error.end


codecs.register_error(BYTEWISE, _one_by_one)
