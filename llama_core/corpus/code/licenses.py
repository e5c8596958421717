"""Which licence a name, a text or a package's metadata states, as SPDX identifiers."""

import re
from collections.abc import Callable
from email.message import Message

from llama_core.corpus.code.license_texts import is_shortened, licenses_in

_SPDX = re.compile(
    r"0BSD|AFL-(2\.1|3\.0)|Apache-(1\.1|2\.0)(-WITH-LLVM-exception)?|Artistic-2\.0|BSD"
    r"|BSD-(1|2|3)-Clause(-Clear)?|BSL-1\.0|CC0-1\.0|CNRI-Python|HPND|ISC|MIT(-0|-CMU)?|NCSA|PSF(-2\.0)?"
    r"|Python-2\.0(\.1)?|Unlicense|UPL-1\.0|W3C|WTFPL|X11|Zlib|ZPL-2\.1",
    re.IGNORECASE,
)

# How people write the names of licences in metadata, in classifiers and in exports.
_NAMES = [
    (r"(the )?mit( license)?", "MIT"),
    (r"(the )?(new |revised |modified )?bsd( license)?", "BSD"),
    (r"(the )?(new |revised |modified )?(bsd[- ]?3([- ]clause)?|3[- ]clause bsd)( license)?", "BSD-3-Clause"),
    (r"(the )?(bsd[- ]?2([- ]clause)?|2[- ]clause bsd|simplified bsd)( license)?", "BSD-2-Clause"),
    (r"(the )?apache( software)?( license)?,?( ?v?(ersion )?2(\.0)?)?( license)?", "Apache-2.0"),
    (r"isc( license)?( \(iscl\))?", "ISC"),
    (r"(psf|python software foundation)( license)?( v?2(\.0)?)?", "PSF-2.0"),
    (r"(the )?unlicense( \(unlicense\))?", "Unlicense"),
    (r"zlib/libpng license", "Zlib"),
    (r"historical permission notice and disclaimer \(hpnd\)", "HPND"),
]

# Licences in short: the most words of such a text, and what it says, as words in lower case.
_IN_SHORT = [
    (
        "Apache-2.0",
        2200,
        ["apache license version 2 0", "terms and conditions for use reproduction and distribution"],
    ),
    (
        "Apache-2.0",
        2200,
        ["version 2 0 january 2004", "terms and conditions for use reproduction and distribution"],
    ),
    (
        "Apache-2.0",
        400,
        ["licensed under the apache license version 2 0", "not use this file except in compliance"],
    ),
    (
        "BSD",
        700,
        [
            "redistribution and use in source and binary forms with or without modification are permitted",
            "redistributions of source code must retain the above copyright notice",
            "redistributions in binary form must reproduce the above copyright notice",
        ],
    ),
    (
        "MIT",
        400,
        [
            "permission is hereby granted free of charge to any person obtaining a copy of this software",
            "without restriction including without limitation the rights to use copy modify merge publish",
            "as is without warranty of any kind",
        ],
    ),
    ("ISC", 300, ["permission to use copy modify and or distribute this software for any purpose"]),
]
# Terms that none of them has: a text with one of these is another licence, or holds another one too.
_OTHER_TERMS = re.compile(
    r"\b(?:gnu|general public|commons clause|non ?commercial|creative commons|mozilla public|eclipse public"
    r"|business source|elastic license|server side public|functional source|good not evil|research purposes"
    r"|academic (?:use|research|free)|ethical|nuclear|all advertising|no express or implied licenses"
    r"|common development|european union public|open software license|polyform"
    r"|except as contained in this notice)\b"
)
_NO_ENDORSEMENT = re.compile(r"\bneither the names?\b|\bmay not be used to endorse\b")
_MAX_TEXT, _MAX_EXPRESSION = 40_000, 1000  # characters


def spdx(name: str) -> str:
    """Return the SPDX identifier of a licence by a name such as `mit`, `bsd-3-clause` or `Apache 2.0`.

    A name that is not known comes back as it is.
    """
    name = " ".join(name.split())
    for known in ("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "Unlicense"):
        if name.lower() == known.lower():
            return known
    return next((i for pattern, i in _NAMES if re.fullmatch(pattern, name, re.IGNORECASE)), name)


def license_of_text(text: str) -> str | None:
    """Return the licence that the text of a LICENSE or COPYING file is, or several of them joined by AND.

    It is told by its overlap with the published texts (`license_texts`), or, if it is one of Apache, BSD, ISC
    and MIT in short, by its phrases. None if it is none of these, or has further terms. Raises InputError.
    """
    if len(text) > _MAX_TEXT:
        return None
    return " AND ".join(licenses_in(text)) or _license_in_short(text)


def _license_in_short(text: str) -> str | None:
    words = re.findall(r"[a-z0-9]+", text.lower())
    joined = " ".join(words)
    found = {name: most for name, most, phrases in _IN_SHORT[::-1] if all(p in joined for p in phrases)}
    if not found or len(words) > sum(found.values()) or _OTHER_TERMS.search(joined) or not is_shortened(text):
        return None
    return " AND ".join(sorted(_variant(name, joined) for name in found))


def _variant(name: str, words: str) -> str:
    """Tell apart the licences that share most of their text."""
    if name == "BSD":
        return "BSD-3-Clause" if _NO_ENDORSEMENT.search(words) else "BSD-2-Clause"
    return "MIT-0" if name == "MIT" and "this permission notice" not in words else name


def permissive_license(metadata: Message) -> str | None:
    """Return the licence that a Python package's core metadata states; None if it is not known as permissive.

    `License-Expression` counts alone; else every licence classifier must be permissive; else the `License`
    field, a name or a whole text, must be. The result is in SPDX where that can be told.
    """
    if expression := metadata.get("License-Expression"):
        return expression if meets(expression, _is_permissive) else None
    field = _named(metadata.get("License") or "")
    classifiers = [
        c.split("::")[-1].strip()
        for c in metadata.get_all("Classifier") or []
        if c.startswith("License ::") and not c.endswith(":: OSI Approved")
    ]
    if not classifiers:
        return field
    names = [_named(c) for c in classifiers]
    if any(n is None for n in names):
        return None
    return field or " AND ".join(sorted({n for n in names if n}))


def _named(text: str) -> str | None:
    """Return the permissive licence that a name or a whole text states, or None."""
    text = text.strip()
    if _is_permissive(text):
        return text
    for pattern, name in _NAMES:
        if re.fullmatch(pattern, text, re.IGNORECASE):
            return name
    found = license_of_text(text)
    return found if found and meets(found, _is_permissive) else None


def _is_permissive(identifier: str) -> bool:
    return _SPDX.fullmatch(identifier) is not None


def meets(expression: str, is_allowed: Callable[[str], bool]) -> bool:
    """Tell whether an SPDX expression, such as `MIT OR GPL-2.0-only`, can be met by allowed licences alone.

    `is_allowed` answers for one identifier. An expression that is not well formed cannot be met.
    """
    if len(expression) > _MAX_EXPRESSION:
        return False
    expression = re.sub(r"\s+WITH\s+", "-WITH-", expression, flags=re.IGNORECASE)
    tokens = re.findall(r"[()]|[^\s()]+", expression)

    def either() -> bool:
        value = both()
        while tokens and tokens[0].upper() == "OR":
            tokens.pop(0)
            value |= both()
        return value

    def both() -> bool:
        value = one()
        while tokens and tokens[0].upper() == "AND":
            tokens.pop(0)
            value &= one()
        return value

    def one() -> bool:
        token = tokens.pop(0)
        if token != "(":
            return is_allowed(token)
        value = either()
        if tokens.pop(0) != ")":
            raise ValueError("a bracket is not closed")
        return value

    try:
        value = either()
    except (IndexError, ValueError, RecursionError):  # it is no expression, or its brackets are too deep
        return False
    return value and not tokens
