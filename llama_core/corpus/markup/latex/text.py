"""Running text as it is built: lines and paragraphs, notes that wait for the end of theirs, references."""

import re
import unicodedata
from collections.abc import Callable, Mapping

# Marks in the text until all of it has been read; they are taken out of the input.
_REF, _REF_END, _CITE = "\ue000", "\ue001", "\ue002"

_DASHES = re.compile(r"---?|``|''|`")
_SIGNS = {"---": "—", "--": "–", "``": '"', "''": '"', "`": "'"}
_NO_ROW = re.compile(r"[|\s]*")
_HEDGE = r"(?:see|also|and|e\.g\.|i\.e\.|cf\.|for example|for instance|[,;&\s])"
_CITED_ASIDE = re.compile(rf"[ ]?[(\[]{_HEDGE}*+(?:{_CITE}{_HEDGE}*+)++[)\]]")
_CITES = re.compile(rf"(?:[ ]?{_CITE})++")
_REFERENCE = re.compile(rf"([ ]?){_REF}([^{_REF_END}]*){_REF_END}")
_EMPTY = re.compile(r"[ ]?\([ ,;]*+\)|[ ]?\[[ ,;]*+\](?![(\[])")
_BEFORE_MARK = re.compile(r"(?<=[\w$)\]\"']) (?=[,.](?:\s|$))")
_LOOSE = re.compile(r"[ ]+(?=[,.;:!?)\]](?:\s|$))")


class FixedLines(str):
    """A line, or lines, that stay as they are: a display, a listing."""

    __slots__ = ()


class TextWriter:
    """Collects pieces of a line, lines and paragraphs. `notes` follow the paragraph they were made in.

    A muted one forgets all that is written.
    """

    def __init__(self, muted: bool = False) -> None:
        self.lines: list[str] = []
        self.notes: list[list[str]] = []
        self._line: list[str] = []
        self.muted = muted
        self._head = -1  # pieces of the line that are a head, which the text goes on after

    def write(self, piece: str) -> None:
        if not self.muted:
            self._line.append(piece)

    def end_line(self, row: bool = False) -> None:
        self._head = -1
        if self._line:
            line = " ".join("".join(self._line).split())
            if " ," in line or " ." in line:
                line = _BEFORE_MARK.sub("", line)
            self._line = []
            if line and not (row and _NO_ROW.fullmatch(line)):
                self.lines.append(line)

    def block(self, text: str) -> None:
        self.end_line()
        if text.strip() and not self.muted:
            self.lines.append(FixedLines(text))

    def run_in(self) -> None:
        """What has been written of this line is a head: a paragraph's end does not part it from its text."""
        self._head = len(self._line)

    def par(self) -> None:
        if self._head >= 0 and not "".join(self._line[self._head :]).strip():
            return
        self.end_line()
        if self.lines and self.lines[-1]:
            self.lines.append("")
        notes, self.notes = self.notes, []
        for note in notes if not self.muted else []:
            self.lines += [*note, ""]

    def finish(self) -> list[str]:
        """All lines; no blank one at either end."""
        self._head = -1
        self.par()
        while self.lines and not self.lines[-1]:
            self.lines.pop()
        return self.lines

    def forget_last(self, is_meant: Callable[[str], bool]) -> None:
        """Take back the last line with words, if it is what is meant."""
        at = len(self.lines) - 1
        while at >= 0 and not self.lines[at]:
            at -= 1
        if at >= 0 and is_meant(self.lines[at]):
            del self.lines[at:]

    def forget_line(self) -> None:
        """What has been written of this line sets the columns of a table, and is not printed."""
        self._line, self._head = [], -1

    def last(self) -> str:
        """The last character of the line that is being written, or nothing."""
        return self._line[-1][-1:] if self._line else ""


def reference(labels: str, kind: str = "") -> str:
    """A place for the number of what has the labels (comma-separated), which `resolve` fills."""
    return f"{_REF}{kind}\0{labels}{_REF_END}"


def citation() -> str:
    return _CITE


def typed(text: str) -> str:
    """Plain characters as TeX sets them: dashes and quotes."""
    if "--" in text or "`" in text or "''" in text:
        return _DASHES.sub(lambda m: _SIGNS[m[0]], text)
    return text


def accented(base: str, mark: str) -> str:
    """One letter, or what stands in its place, with a combining mark on the first character."""
    base = {"ı": "i", "ȷ": "j"}.get(base[:1], base[:1]) + base[1:]
    return unicodedata.normalize("NFC", base[:1] + mark + base[1:]) if base.strip() else ""


def resolve(lines: list[str], numbers: Mapping[str, str]) -> str:
    """The text with the numbers of what it refers to (by `kind\\0label`), and without its citations.

    What a reference cannot tell is left out, with the space and the brackets around it.
    """

    def number(match: re.Match[str]) -> str:
        kind, _, label = match[2].rpartition("\0")
        found = [
            numbers[key] for key in (f"{kind}\0{part.strip()}" for part in label.split(",")) if key in numbers
        ]
        return match[1] + ", ".join(found) if found else ""

    resolved: list[str] = []
    for line in lines:
        if not isinstance(line, FixedLines):
            marked = _CITE in line or _REF in line
            if marked:
                line = _CITES.sub("", _CITED_ASIDE.sub("", line))
                line = _LOOSE.sub("", _EMPTY.sub("", _REFERENCE.sub(number, line))).strip()
        resolved.append(line)
    return "\n".join(resolved)
