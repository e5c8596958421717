"""Whether a package may be trained on: its own metadata must say that its licence is permissive."""

import re
from email.message import Message

_SPDX = re.compile(
    r"0BSD|AFL-(2\.1|3\.0)|Apache-(1\.1|2\.0)(-WITH-LLVM-exception)?|Artistic-2\.0|BSD"
    r"|BSD-(1|2|3)-Clause(-Clear)?|BSL-1\.0|CC0-1\.0|CNRI-Python|HPND|ISC|MIT(-0|-CMU)?|NCSA|PSF(-2\.0)?"
    r"|Python-2\.0(\.1)?|Unlicense|UPL-1\.0|W3C|WTFPL|X11|Zlib|ZPL-2\.1",
    re.IGNORECASE,
)

# How people write them, in the License field and in classifiers.
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

# What stands in a licence's own text, where the License field holds all of it.
_TEXTS = [
    (r"permission is hereby granted, free of charge", "MIT"),
    (r"redistribution and use in source and binary forms", "BSD"),
    (r"apache license\s+version 2\.0", "Apache-2.0"),
    (r"permission to use, copy, modify,? and/?(or)? distribute this software", "ISC"),
]


def permissive_license(metadata: Message) -> str | None:
    """The licence that the core metadata of a package states (SPDX where it can be told), if permissive.

    `License-Expression` counts alone; else every licence classifier must be permissive; else the
    `License` field, a name or a whole text. None where it is unknown or anything else.
    """
    if expression := metadata.get("License-Expression"):
        return expression if _holds(expression) else None
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
    text = text.strip()
    if _SPDX.fullmatch(text):
        return text
    for pattern, name in _NAMES:
        if re.fullmatch(pattern, text, re.IGNORECASE):
            return name
    if len(text) < 200 or re.search(r"\bGNU\b|General Public", text):
        return None
    found = (name for pattern, name in _TEXTS if re.search(pattern, text, re.IGNORECASE))
    return next(found, None)


def _holds(expression: str) -> bool:
    """Whether an SPDX expression can be met by permissive licences alone."""
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
            return _SPDX.fullmatch(token) is not None
        value = either()
        tokens.pop(0)
        return value

    try:
        value = either()
    except IndexError:  # not an expression at all
        return False
    return value and not tokens
