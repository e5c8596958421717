"""The headings of a paper, where its text begins, and the bibliography at its end.

This is the layer of the renderer over `layout`: what a heading does, and which lines are kept at the end.
"""

import re
from collections.abc import Mapping, Sequence

from llama_core.corpus.markup.latex import commands
from llama_core.corpus.markup.latex.expansion.lexer import PAR
from llama_core.corpus.markup.latex.layout import PaperLayout
from llama_core.corpus.markup.latex.references import TITLE, is_title, without_references
from llama_core.corpus.markup.latex.text import resolve

# Titles of sections that come after the text: a paper does not begin with one of these.
_BACK_MATTER = re.compile(
    r"\W*(?:acknowled?ge?ments?|appendi|supplement|funding|data availability|author contrib"
    r"|conflicts? of interest|notes? added|competing (?:\w+ )?interests?\W*$|captions?\W*$"
    r"|(?:list of )?(?:figures?|tables?)(?: captions?| legends?)?\W*$)",
    re.IGNORECASE,
)
# Titles of sections that come after the text in journals whose papers have no other headings.
_METHODS = re.compile(r"\W*(?:(?:online |materials and )?methods?|experimental section)\W*", re.IGNORECASE)
# What ends an entry that is not in the environment of a bibliography.
_ENDS_ENTRY = frozenset(("\\bibitem", "\\refis", "\\par", "\\\\", "&")).union(
    commands.HEADINGS, commands.BREAKS
)
_FRONT_MATTER_CHARS = 3000  # titles, authors and abstracts are shorter: what is longer may be text


class Sections(PaperLayout):
    """The layer for headings: a paper begins with its first section, unless that one comes after the text."""

    def __init__(self, files: Mapping[str, str], main: str, is_careful: bool = False):
        super().__init__(files, main, is_careful)
        self._first: int | None = None  # the line that the first section begins at
        self._headings: list[int] = []  # the lines that sections begin at
        self._in_appendix = False
        self._has_text = False  # before a section on methods: then the paper begins with no section

    def _text(self) -> str:
        """Return all that was written from the paper's beginning on, without hand-made bibliographies."""
        self._unwind(1)
        lines = self._out.finish()
        begin, first = self._body, self._first
        if first is not None:
            ahead = _chars(lines[begin:first])
            if ahead <= max(_FRONT_MATTER_CHARS, _chars(lines[first:])):
                begin = first
        kept = without_references(lines[begin:], {at - begin for at in self._headings})
        return resolve(kept, self._numbers.found).strip("\n")

    def _at_body(self) -> None:
        if self._first is None:
            super()._at_body()

    def _appendix(self) -> None:
        self._in_appendix = True
        super()._appendix()

    def _heading(self, name: str) -> None:
        tokens, level = self._tokens, commands.HEADINGS[name]
        starred = tokens.star()
        tokens.option()
        title = tokens.argument()
        tokens.put_back([*title, "}"])
        if not (self._plain or self._open["document"]):
            self._groups.append(None)
            return
        text = "".join(t for t in title if t[0] != "\\")
        self._start_section(text, level)
        self._numbers.title = text.strip(" {}") if "$" not in text else ""
        if not starred:
            self._numbers.heading(level)
        self._groups.append((lambda: self._out.par()) if level < 4 else self._head_ends)

    def _plain_heading(self, name: str) -> None:
        """Begin a section whose title ends with a word of its own, or with the paragraph."""
        end = commands.PLAIN_HEADINGS[name]
        title = (self._tokens.until(end) if end else None) or self._tokens.rest_of_paragraph()
        self._start_section("".join(t for t in title if t[0] != "\\"), 2 if "sub" in name else 1)
        self._numbers.heading(2 if "sub" in name else 1)
        self._tokens.put_back([*title, "}"] if title else [])
        if title:
            self._groups.append(lambda: self._out.par())

    def _start_section(self, title: str, level: int) -> None:
        """Begin a section, which ends all text that was diverted before it."""
        if level < 4:
            self._unwind(1)
            self._tables.clear()
        self._out.par()
        is_bibliography = level < 4 and TITLE.fullmatch(title)
        if level < 4:
            self._headings.append(len(self._out.lines))
        if level <= 1 and self._first is None and not is_bibliography and not self._is_late(title):
            self._first = len(self._out.lines)
            self._tokens.acronyms.used.clear()  # what was used in the abstract is not in the text
        if is_bibliography:
            self._divert(muted=True)

    def _is_late(self, title: str) -> bool:
        """Tell whether a section comes after the text, so that the paper cannot begin with it."""
        if self._has_text or self._in_appendix or _BACK_MATTER.match(title):
            return True
        if _METHODS.fullmatch(title):
            self._has_text = _chars(self._out.lines[self._body :]) > _FRONT_MATTER_CHARS
        return self._has_text

    def _bib_item(self) -> None:
        """Leave out an entry that is not in the environment of a bibliography, and the title before it."""
        tokens = self._tokens
        self._out.end_line()
        self._out.forget_last(is_title)
        depth = 0
        while (token := tokens.raw()) is not None:
            word = token.rstrip()
            if token == "{":
                depth += 1
            elif token == "}":
                depth -= 1
            if token == PAR or depth < 0 or word in _ENDS_ENTRY or word.startswith(("\\begin{", "\\end{")):
                tokens.unread(token)
                return

    def _references_of_iop(self) -> None:
        """Begin the bibliography of IOP's classes: a heading, with items after it."""
        self._out.par()
        self._out.write("References")
        self._out.par()

    def _mute(self) -> None:
        """Leave out what follows: the bibliography of a paper in plain TeX."""
        self._out.par()
        self._divert(muted=True)


def _chars(lines: Sequence[str]) -> int:
    return sum(map(len, lines))
