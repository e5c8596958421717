"""Bibliographies that authors set by hand: found by their title and by what entries look like."""

import re
from collections.abc import Collection, Sequence

_NUMBER = r"\W*(?:(?:\d{1,2}|[IVX]{1,5})[.):]?\s+)?"
TITLE = re.compile(
    rf"{_NUMBER}(?:(?:cited |selected )?references?(?: cited)?"
    r"(?:\s*(?:and|&|,)\s*(?:further reading|(?:foot)?notes))?|notes\s*(?:and|&)\s*references"
    r"|bibliograph(?:y|ie|ia)|bibliografía|(?:literature|works) cited|literatur(?:verzeichnis|a)?"
    r"|références(?: bibliographiques)?|referencias|referências|riferimenti bibliografici"
    r"|(?:список )?литератур[аы])\W*",
    re.IGNORECASE,
)
_YEAR = r"(?:1[6-9]|20)\d\d[a-z]?"
_ENTRY = re.compile(rf"(?:- )?(?:\[[^]]{{1,20}}\]|[(*]?\d{{1,3}}[.):\]])|.*?(?<![\d.]){_YEAR}(?![\d])")
_GOES_ON = re.compile(r"\W*(?:appendi|fig(?:ure|\.|s\b)|tables?\b|captions?\b|acknowl)", re.IGNORECASE)
_STRAY = 2  # lines of a bibliography, one after another, that may look like no entry


def without_references(lines: Sequence[str], headings: Collection[int]) -> list[str]:
    """The lines without hand-made bibliographies: a line that is the title of one, and the entries after it.

    `headings`: the lines that begin a section. A title that nothing follows goes too.
    """
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if len(lines[at]) < 80 and TITLE.fullmatch(lines[at]) and (end := _end(lines, at + 1, headings)):
            at = end
            while at < len(lines) and not lines[at]:
                at += 1
        else:
            kept.append(lines[at])
            at += 1
    return kept


def _end(lines: Sequence[str], start: int, headings: Collection[int]) -> int:
    """The line after the last entry of those that begin at `start`; 0 where text follows that is none."""
    end, stray = 0, 0
    for at in range(start, len(lines)):
        line = lines[at]
        if at in headings or _GOES_ON.match(line):
            return end or (at if not stray else 0)
        if _ENTRY.match(line):
            end, stray = at + 1, 0
        elif line:
            stray += 1
            if stray > _STRAY:
                return end
    return end or (len(lines) if not stray else 0)
