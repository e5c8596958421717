"""Running text as it is built: lines and paragraphs, notes that wait for the end of theirs, references.

This module knows nothing of TeX's commands: it cares for spaces, dashes, quotes, empty brackets and the order
of lines.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping

# Marks of references and citations, until all text has been read. `encoding` removes them from the input.
_REF, _REF_END, _CITE = "\ue000", "\ue001", "\ue002"
END_OF_HEAD = ")]$" + _REF_END  # what a head may end with, beside letters and digits

_DASHES = re.compile(r"---?|``|''|[?!]`(?!`)|`")
_SIGNS = {"?`": "¿", "!`": "¡", "---": "—", "--": "–", "``": '"', "''": '"', "`": "'"}
# A row of a table with empty cells only.
_NO_ROW = re.compile(r"[|\s]*")
# Marks of citations that are taken out: in brackets with nothing else but such words, or alone.
_HEDGE = r"(?:see|also|and|e\.g\.|i\.e\.|cf\.|for example|for instance|[,;&\s])"
_CITED_ASIDE = re.compile(rf"[ ]?[(\[]{_HEDGE}*+(?:{_CITE}{_HEDGE}*+)++[)\]]")
_CITES = re.compile(rf"(?:[ ]?{_CITE})++")
_REFERENCE = re.compile(rf"([ ]?){_REF}([^{_REF_END}]*){_REF_END}")
# Brackets with nothing in them; spaces before a mark of punctuation.
_EMPTY = re.compile(r"[ ]?\([ ,;]*+\)|[ ]?\[[ ,;]*+\](?![(\[])")
_BEFORE_MARK = re.compile(r"(?<=[\w$)\]\"']) (?=[,.](?:\s|$))")
_LOOSE = re.compile(r"[ ]+(?=[,.;:!?)\]](?:\s|$))")


class FixedLines(str):
    """A line, or lines, that stay as they are: a display or a listing."""

    __slots__ = ()


class TextWriter:
    """The lines and paragraphs that are being written. `notes` follow the paragraph that they were made in.

    A muted writer forgets all that is written.
    """

    def __init__(self, muted: bool = False) -> None:
        self.lines: list[str] = []
        self.notes: list[list[str]] = []
        self._line: list[str] = []
        self.muted = muted
        self._head = -1  # how much of `_line` is a head, after which the text goes on; -1: none

    def write(self, piece: str) -> None:
        """Add text to the line."""
        if not self.muted:
            self._line.append(piece)

    def end_line(self, row: bool = False) -> None:
        """End the line. If it is a row of a table, it is left out if its cells are empty."""
        self._head = -1
        if self._line:
            line = " ".join("".join(self._line).split())
            if " ," in line or " ." in line:
                line = _BEFORE_MARK.sub("", line)
            self._line = []
            if line and not (row and _NO_ROW.fullmatch(line)):
                self.lines.append(line)

    def block(self, text: str) -> None:
        """End the line, and add a text that stays as it is: a display or a listing."""
        self.end_line()
        if text.strip() and not self.muted:
            self.lines.append(FixedLines(text))

    def run_in(self) -> None:
        """Make what the line has so far a head: the end of a paragraph does not part it from its text."""
        self._head = len(self._line)

    def par(self) -> None:
        """End the paragraph, and write its notes after it."""
        if self._head >= 0 and not "".join(self._line[self._head :]).strip():
            return
        self.end_line()
        if self.lines and self.lines[-1]:
            self.lines.append("")
        notes, self.notes = self.notes, []
        for note in notes if not self.muted else []:
            self.lines += [*note, ""]

    def finish(self) -> list[str]:
        """End the text, and return all lines, without blank ones at either end."""
        self._head = -1
        self.par()
        while self.lines and not self.lines[-1]:
            self.lines.pop()
        return self.lines

    def forget_last(self, is_meant: Callable[[str], bool]) -> None:
        """Take back the last line that is not blank, if `is_meant` says so of it."""
        at = len(self.lines) - 1
        while at >= 0 and not self.lines[at]:
            at -= 1
        if at >= 0 and is_meant(self.lines[at]):
            del self.lines[at:]

    def forget_line(self) -> None:
        """Take back what the line has so far: it sets the columns of a table, and is not printed."""
        self._line, self._head = [], -1

    def trim(self) -> None:
        """Take back the white space at the end of what the line has so far."""
        while self._line:
            if piece := self._line.pop().rstrip():
                self._line.append(piece)
                return

    def last(self) -> str:
        """Return the last character of the line that is being written; empty if there is none."""
        return self._line[-1][-1:] if self._line else ""


def reference(labels: str, kind: str = "") -> str:
    """Return a mark in the place of a reference's numbers, which `resolve` fills in.

    `labels`: separated by commas. `kind`: one of those of `Numbers`.
    """
    return f"{_REF}{kind}\0{labels}{_REF_END}"


def citation() -> str:
    """Return a mark for a citation that prints nothing, for `resolve` to take out with its brackets."""
    return _CITE


def typed(text: str) -> str:
    """Return a text with the dashes and quotes that TeX sets for its characters."""
    if "--" in text or "`" in text or "''" in text:
        return _DASHES.sub(lambda m: _SIGNS[m[0]], text)
    return text


def accented(base: str, mark: str) -> str:
    """Return a letter, or text in its place, with a combining mark on the first character; empty if blank."""
    base = {"ı": "i", "ȷ": "j"}.get(base[:1], base[:1]) + base[1:]
    return unicodedata.normalize("NFC", base[:1] + mark + base[1:]) if base.strip() else ""


def resolve(lines: list[str], numbers: Mapping[str, str]) -> str:
    """Return the text of the lines with the numbers that references print, and without marks of citations.

    `numbers`: what a reference prints, by `kind\\0label`. A reference to nothing known is left out, with the
    space and the brackets around it.
    """

    def number(match: re.Match[str]) -> str:
        kind, _, label = match[2].rpartition("\0")
        keys = [f"{kind}\0{part.strip()}" for part in label.split(",")]
        found = [numbers[key] for key in keys if key in numbers]
        return match[1] + ", ".join(found) if found else ""

    resolved: list[str] = []
    for line in lines:
        if not isinstance(line, FixedLines):
            marked = _CITE in line or _REF in line
            if marked:
                line = _CITES.sub("", _CITED_ASIDE.sub("", line))
                line = _LOOSE.sub("", _EMPTY.sub("", _REFERENCE.sub(number, line))).strip().replace("$$", "")
        elif _REF in line:
            line = FixedLines(_REFERENCE.sub(number, line))
        resolved.append(line)
    return "\n".join(resolved)
