"""Commands of plain TeX that LaTeX does not have or gives another meaning: of harvmac, phyzzx and AMS-TeX.

Equations, references and figures are named by control words, which print their numbers from then on. This is
the layer of the renderer over `sections`; commands with an unusual syntax of operands are in `primitives`.
"""

import re
from collections.abc import Mapping

from llama_core.corpus.markup.latex import commands
from llama_core.corpus.markup.latex.expansion.arguments import GROUP, Macro
from llama_core.corpus.markup.latex.math import Formula
from llama_core.corpus.markup.latex.sections import Sections
from llama_core.corpus.markup.latex.text import citation, typed

# Commands that number an equation and give it a name.
_EQUATIONS = commands.words("\\eqn \\eqna \\eqnn")
_EQUATION_NAME = re.compile(r"\\eqn\s*(\\[A-Za-z]+)")
# References: harvmac's \lref is numbered where it is first cited, all others where their entry is.
_CITED_LATER = "\\lref"
_PRINTED = commands.words("\\ref \\Ref")  # print their number
_SEVERAL = commands.words("\\REFS \\REFSCON")  # keep their number for \refsend
_PHYZZX = commands.words("\\Ref \\REF \\REFS \\REFSCON")  # whose names print the number without brackets
_REFERENCES = commands.words("\\lref \\nref \\ref") | _PHYZZX
_FIELDS = commands.words("\\key \\no \\by \\manyby \\paper \\book")  # after AMS-TeX's own \ref
_CITATIONS = commands.words("\\refs \\refmark")  # with names of references in their argument
_FIGURES = commands.words("\\fig \\ifig \\nfig \\lfig")
_FOOTNOTES = commands.words("\\footnote \\vfootnote \\foot")
_MARK_CHARS = 20  # of a footnote's mark: what is longer, or has a space, is the note
# The headings in the plain TeX of Astronomy and Astrophysics, and those of LaTeX that they are like.
_TITLES = {"\\titlea": "\\section", "\\titleb": "\\subsection", "\\titlec": "\\subsubsection"}
_BIBLIOGRAPHIES = commands.words("\\Refs \\references \\begref")
_ENDS_OF_BIBLIOGRAPHIES = commands.words("\\endRefs \\endrefs \\endreferences")
_ENDS = commands.words("\\bye \\end \\enddocument")
# Commands of AMS-TeX whose argument is the head of a theorem, and those that end one.
_THEOREMS = commands.words("\\proclaim \\demo \\definition \\remark \\example \\proof")
_ENDS_OF_THEOREMS = commands.words(
    "\\endproclaim \\enddemo \\enddefinition \\endremark \\endexample \\endproof"
)


class PlainTex(Sections):
    """The layer for plain TeX: `_obey_plain` obeys the commands of this module, if the paper is not LaTeX."""

    def __init__(self, files: Mapping[str, str], main: str, is_careful: bool = False):
        super().__init__(files, main, is_careful)
        self._cited: dict[str, str] = {}  # numbers of references by name; empty if not cited yet
        self._bare: set[str] = set()  # the names that print their number without brackets
        self._several: list[str] = []  # the numbers that \refsend will print
        self._references = 0  # the number of those that are numbered

    def _obey_plain(self, name: str) -> bool:
        """Obey a command if it is one of plain TeX's, and tell whether it was."""
        if name in self._cited:
            number = self._number_of(name)
            self._out.write(number if name in self._bare else f"[{number}]")
        elif name in _EQUATIONS:
            self._equation(name)
        elif name in _REFERENCES and self._names_next():
            self._reference(name)
        elif name in _CITATIONS:
            self._citation()
        elif name == "\\refsend":
            numbers, self._several = self._several, []
            self._out.write(f"[{', '.join(numbers)}]" if numbers else "")
        elif name in _FIGURES and self._names_next():
            self._figure(name)
        elif name in _FOOTNOTES:
            self._plain_footnote(name)
        elif name in _THEOREMS:
            self._out.par()
            if self._tokens.peek() == "{":
                self._braced(self._head_ends)
        elif name in _ENDS_OF_THEOREMS:
            self._out.par()
        elif name in _TITLES:
            self._heading(_TITLES[name])
        elif name == "\\comment":
            self._tokens.skip("\\endcomment")
        elif name == "\\Date":  # harvmac's, which prints the page of the title
            self._eat("m")
            self._at_body()
        elif name in _BIBLIOGRAPHIES:
            self._mute()
        elif name in _ENDS_OF_BIBLIOGRAPHIES:
            if self._out.muted:
                self._unwind(len(self._writers) - 1)
        elif name in _ENDS:
            self._done = True
        else:
            return False
        return True

    def _names_next(self) -> bool:
        """Tell whether a control word that may be a name comes next, and a group after it."""
        name = self._tokens.raw()
        if name is None:
            return False
        group = self._tokens.peek() == "{"
        self._tokens.unread(name)
        return group and self._word_next() and name.rstrip() not in _FIELDS

    def _word_next(self) -> bool:
        word = self._tokens.peek().rstrip()
        return word[:1] == "\\" and word[1:].isalpha()

    def _plain_label(self) -> list[str] | None:
        """Return the label of `\\item{(a)}`, or of AMS-TeX's `\\item"(a)"`; None if there is none."""
        tokens = self._tokens
        following = tokens.peek()
        if following == "{":
            return tokens.argument() or None
        if not following.startswith('"'):
            return tokens.option()
        tokens.raw()
        tokens.put_back([following[1:]])
        return tokens.until('"')

    # --- equations

    def _equation(self, kind: str) -> None:
        """Number an equation and name it: `\\eqn\\name{formula}`.

        Two others give the number alone: `\\eqnn\\name`, and `\\eqna\\name` for (1a), (1b).
        """
        tokens = self._tokens
        if not (self._names_next() if kind == "\\eqn" else self._word_next()):
            return
        name = tokens.argument()[0].rstrip()
        number = self._name_equation(name, lettered=kind == "\\eqna")
        if kind == "\\eqn":
            formula = tokens.argument()
            tokens.put_back(["$", "$", *formula, "\\eqno", number, "$", "$"] if formula else [])

    def _name_equation(self, name: str, lettered: bool = False) -> str:
        """Return the number of a new equation, in brackets, which its name will print.

        `lettered`: the name takes a letter, which is printed after the number.
        """
        self._numbers.within("equation", "section", keep=True)
        number = self._numbers.step("equation")
        self._tokens.learn(
            name, Macro((GROUP,), [f"({number}", 1, ")"]) if lettered else Macro((), [f"({number})"])
        )
        return f"({number})"

    def _named_within(self, formula: Formula) -> str:
        """Return the text of a display with its number, where phyzzx's `\\eqn\\name` names it from inside."""
        return _EQUATION_NAME.sub(lambda m: f"\\eqno{self._name_equation(m[1])}", formula.text, count=1)

    def _appendix(self) -> None:
        """Begin the appendix. harvmac's command is a heading, too: `\\appendix{A}{Title}`."""
        if not self._in_appendix:
            super()._appendix()
        if self._plain and self._tokens.peek() == "{":
            letter = self._tokens.argument()
            if self._tokens.peek() == "{":
                self._heading("\\newsec")
            else:
                self._tokens.put_back(["{", *letter, "}"])

    # --- references

    def _number_of(self, name: str) -> str:
        """Return the number of a reference, which gets one if it has none yet."""
        if not self._cited.get(name):
            self._references += 1
            self._cited[name] = str(self._references)
        return self._cited[name]

    def _reference(self, kind: str) -> None:
        name = self._tokens.argument()[0].rstrip()
        self._eat("m")
        if kind in _PHYZZX:
            self._bare.add(name)
        if kind == _CITED_LATER:
            self._cited.setdefault(name, "")
            return
        number = self._number_of(name)
        if kind in _PRINTED:
            self._out.write(f"[{number}]")
        elif kind in _SEVERAL:
            self._several.append(number)

    def _citation(self) -> None:
        """Print the numbers of references: `\\refs{\\one,\\two{--}\\ten}`."""
        pieces: list[str] = []
        number = ""
        for token in self._tokens.argument():
            if token.rstrip() in self._cited:
                pieces.append(", " if number and pieces[-1] == number else "")
                number = self._number_of(token.rstrip())
                pieces.append(number)
            elif token[0] not in "\\{}":
                pieces.append(typed(token))
        text = "".join(pieces).strip()
        self._out.write(f"[{text}]" if any(map(str.isalnum, text)) else citation())

    # --- figures and footnotes

    def _figure(self, kind: str) -> None:
        """Number a figure and name it; its caption is a note. Only `\\fig\\name{caption}` prints it."""
        name = self._tokens.argument()[0].rstrip()
        number = self._numbers.step("figure", "Figure")
        self._tokens.learn(name, Macro((), [f"fig. {number}"]))
        if kind == "\\fig":
            self._out.write(f"fig. {number}")
        self._open_note(f"Figure {number}: ")

    def _plain_footnote(self, kind: str) -> None:
        if kind != "\\foot":
            self._footnote_mark()
        self._open_note()

    def _footnote_mark(self) -> None:
        """Leave out a footnote's mark: an argument in plain TeX; in AMS-TeX in quotes, if there is one."""
        tokens = self._tokens
        first = tokens.solid()
        if first is None or first.startswith('"'):
            tokens.put_back([first[1:]] if first else [])
            tokens.until('"')
            return
        tokens.unread(first)
        mark = tokens.argument()
        space = tokens.raw() or ""
        if first != "{" or space == "{":
            tokens.put_back([space])
        elif space.strip() or tokens.peek() != "{" or not _is_mark("".join(mark)):
            tokens.put_back(["{", *mark, "}", space])


def _is_mark(text: str) -> bool:
    return len(text) <= _MARK_CHARS and " " not in text.strip()
