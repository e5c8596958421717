"""The lines of a page whose inline markup is gone: headings, lists, bold, and the holes that were left."""

import re
from collections.abc import Iterable

from llama_core.corpus.markup.wikitext.names import LINK_SECTIONS
from llama_core.corpus.markup.wikitext.tree import HOLE

_Section = tuple[int, str, list[str]]  # (level, title, lines)

_LIST = re.compile(r"[*#:;]+")
_MAX_INDENT = 20  # deeper lists are indented no further
_RULE = re.compile(r"-{4,}")
_SPACES = re.compile(r"[ \t]{2,}")
_SEPARATOR = r"[ ;,:/–-]"
_ONLY_BRACKETS = re.compile(rf"[ ']*+{HOLE}[ {HOLE}']*+(?:\([^()]*+\)[ '.,;]*+)*+")
_HOLES = (
    (re.compile(rf"{HOLE}(?:[ ;,/]*+{HOLE})+"), HOLE),
    (re.compile(rf"[,;] ?{HOLE}(?= ?[,;])"), ""),
    (re.compile(rf" {HOLE} (?=[.,)])"), ""),
    (re.compile(rf"(?m)^([*#:;]*+ *+){HOLE}[ .,;:]*+"), r"\1"),
    (re.compile(rf" ?\({_SEPARATOR}*+{HOLE}{_SEPARATOR}*\)"), ""),
    (re.compile(rf"\({_SEPARATOR}*+{HOLE}{_SEPARATOR}*"), "("),
    (re.compile(rf"(?<![ ;,:]){'[ ;,:]'}*+{HOLE} ?\)"), ")"),
    (re.compile(rf" {HOLE}(?=[ .,;:!?)\n]|$)"), ""),
    (re.compile(rf"{HOLE} ?(?=[.,;:!?)])"), ""),
    (re.compile(rf"(?<=\w){HOLE}(?=\w)"), " "),
    (re.compile(HOLE), ""),
)


def layout(text: str) -> str:
    """Return the page as plain lines. Sections of links or references are left out, and so are empty ones."""
    lines = [*_sections(_clean(text.split("\n")))]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def _clean(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        if HOLE in line and not _words_left(line):
            continue
        if HOLE in line:
            line = fill_holes(line)
        yield line


def _words_left(line: str) -> bool:
    """Tell whether a line still has words now that its templates and links are holes."""
    item = _LIST.match(line)
    if item and _ONLY_BRACKETS.fullmatch(line, item.end()):
        return False  # of `* {{FRO}} (DEN)` only the brackets are left
    return bool(line.strip(f"{HOLE} \t*#:;,.·•|'"))


def fill_holes(text: str) -> str:
    """Close the holes in `text`, with the brackets and commas that would stand around nothing."""
    for pattern, put in _HOLES:
        text = pattern.sub(put, text)
    return text


def _sections(lines: Iterable[str]) -> Iterable[str]:
    """Yield the headings and lines of the sections that stay."""
    waiting: list[tuple[int, str]] = []  # headings under which no line has come yet
    skipped = 0  # the level of the section that is being left out, 0 if none is
    sections = [*_split(lines)]
    for place, (level, title, body) in enumerate(sections):
        if skipped and level > skipped:
            continue
        skipped = level if _is_of_links(sections, place) else 0
        waiting = [w for w in waiting if w[0] < level]
        if skipped:
            continue
        if level:
            waiting.append((level, title))
        for line in body:
            if (words := _line(line)) is None:
                continue
            if words.strip():
                for _, heading in waiting:
                    yield from ("", heading, "")
                waiting = []
            yield words


def _split(lines: Iterable[str]) -> Iterable[_Section]:
    """Yield the section under each heading; first, at level 0, the lines above all headings."""
    section: _Section = (0, "", [])
    for line in lines:
        level, title = _heading(line)
        if level:
            yield section
            section = (level, title, [])
        else:
            section[2].append(line)
    yield section


def _is_of_links(sections: list[_Section], place: int) -> bool:
    """Tell by its title whether a section holds only links or references.

    A section inside of another must also be a list: "Literature" may be prose there.
    """
    level, title, _ = sections[place]
    if title.lower().replace(",", "").rstrip(" :") not in LINK_SECTIONS:
        return False
    return level <= 2 or _is_list(_under(sections, place))


def _under(sections: list[_Section], place: int) -> Iterable[str]:
    """Yield the lines of a section and of the sections inside it."""
    yield from sections[place][2]
    for inside in range(place + 1, len(sections)):
        if sections[inside][0] <= sections[place][0]:
            return
        yield from sections[inside][2]


def _is_list(lines: Iterable[str]) -> bool:
    """Tell whether list items hold most of the characters."""
    items = others = 0
    for line in lines:
        if _LIST.match(line):
            items += len(line)
        else:
            others += len(line.strip())
    return items > others


def _heading(line: str) -> tuple[int, str]:
    """Return (level, title) for a line such as `== Title ==`, and (0, "") for any other line."""
    line = line.strip()
    if not line.startswith("=") or not line.endswith("="):
        return 0, ""
    left = len(line) - len(line.lstrip("="))
    right = len(line) - len(line.rstrip("="))
    level = min(left, right, 6)
    title = line[level : len(line) - level].strip()
    return (level, title) if title.strip("=") else (0, "")


def _line(line: str) -> str | None:
    """Return a line without the marks at its start, or None if it has no words."""
    if line.startswith(("{|", "|", "!-")) or (line.startswith("!") and "!!" in line):
        return None  # a row of a table whose beginning is missing
    if rule := _RULE.match(line):
        line = line[rule.end() :].strip()
        if not line:
            return None
    if marks := _LIST.match(line):
        words = _SPACES.sub(" ", line[marks.end() :].strip())
        if not words:
            return None
        depth = min(_MAX_INDENT, marks[0].count("*") + marks[0].count("#"))
        return "  " * (depth - 1) + "- " + words if marks[0][-1] in "*#" else words
    if line.startswith(" ") and line.strip():
        return line[1:].rstrip()  # preformatted: its inner spaces stay
    return _SPACES.sub(" ", line).strip()
