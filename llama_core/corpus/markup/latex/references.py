"""Bibliographies that authors set by hand: found by their title and by what entries look like."""

import re
from collections.abc import Collection, Sequence

# The title of a bibliography, in the languages that papers are in, with or without a number.
TITLE = re.compile(
    r"\W*(?:(?:\d{1,2}|[IVX]{1,5})[.):]?\s+)?(?:(?:cited |selected )?references(?: cited)?"
    r"(?:\s*(?:and|&|,)\s*(?:further reading|(?:foot)?notes))?|notes\s*(?:and|&)\s*references"
    r"|bibliograph(?:y|ie|ia)|bibliografía|(?:literature|works) cited|literatur(?:verzeichnis|a)?"
    r"|références(?: bibliographiques)?|referencias|referências|riferimenti bibliografici"
    r"|(?:список )?литератур[аы])\W*",
    re.IGNORECASE,
)
_TITLE_CHARS = 80
# The mark of an entry, `[3]` or `3.`, and an entry with a year where entries have it.
_MARK = re.compile(r"(?:- )?(?:\[[^]]{1,20}\]|\(?\d{1,3}[.)\]]) ?")
_YEAR = r"(?:1[89]\d\d|20[0-4]\d)[a-z]?"
_DATED = re.compile(rf"(?:- )?[^\W\d_].*?(?:[(,] ?{_YEAR}[),;.]|{_YEAR}\.?$|\b[A-Z]{{1,3}} {_YEAR} )")
_DATED_CHARS = 600  # what is longer is text, and no entry
_ENOUGH = 2  # entries without a year that make a bibliography by their marks alone


def without_references(lines: Sequence[str], headings: Collection[int]) -> list[str]:
    """Return the lines without hand-made bibliographies: without the title of each and the entries after it.

    `headings`: the indices of lines that begin a section. A title that nothing follows is left out, too.
    """
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if is_title(lines[at]) and (end := _end(lines, at + 1, headings)):
            at = end
            while at < len(lines) and not lines[at]:
                at += 1
        else:
            kept.append(lines[at])
            at += 1
    return kept


def is_title(line: str) -> bool:
    """Tell whether a line is the title of a bibliography."""
    return len(line) < _TITLE_CHARS and line[:1] != "-" and TITLE.fullmatch(line) is not None


def _end(lines: Sequence[str], start: int, headings: Collection[int]) -> int:
    """Return the line after the last of the entries from `start` on; 0 if the lines are no bibliography."""
    end = marked = dated = 0
    for at in range(start, len(lines)):
        line = lines[at]
        if at in headings:
            return end or at
        if not line:
            continue
        mark = _MARK.match(line)
        is_marked = mark is not None
        is_dated = len(line) <= _DATED_CHARS and _DATED.match(line, mark.end() if mark else 0) is not None
        if not is_dated and not is_marked:
            return end if dated or marked >= _ENOUGH else 0
        dated += is_dated
        marked += is_marked
        end = at + 1
    if not end:
        return len(lines)
    return end if dated or marked >= _ENOUGH else 0
