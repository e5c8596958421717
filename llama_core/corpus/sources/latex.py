"""LaTeX to running text, after Touvron et al. 2023, section 2.1 (after Lewkowycz et al. 2022).

From the first section on, without comments and bibliography, user macros expanded inline. Formulas stay
TeX. What the paper leaves open is decided so: appendices stay; citations and references become the names and
numbers that LaTeX would print; footnotes and floats follow the paragraph that they interrupt, a figure as its
caption, a table as its caption and its rows; lists, theorems, listings and headings are lines. A paper
without sections begins after its title and abstract.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from llama_core.corpus.sources import latex_commands as commands
from llama_core.corpus.sources import latex_symbols as symbols
from llama_core.corpus.sources.latex_citations import Citations
from llama_core.corpus.sources.latex_layout import Layout
from llama_core.corpus.sources.latex_lexer import PAR, Listing, Verbatim
from llama_core.corpus.sources.latex_math import read_formula
from llama_core.corpus.sources.latex_quantities import QUANTITIES
from llama_core.corpus.sources.latex_reader import TokenReader
from llama_core.corpus.sources.latex_text import accented, citation, reference, resolve, typed

_BACK_MATTER = re.compile(
    r"\W*(?:acknowled?ge?ments?|appendi|supplement|funding|data availability|author contrib)", re.IGNORECASE
)
# A length that follows the end of a line in brackets.
_SKIP = re.compile(r"-?\s*+[\d.]*+\s*+(?:\\\w+\s*|pt|cm|mm|em|ex|in|bp|pc)?\s*")
_BIBLIOGRAPHY = re.compile(
    r"\W*(?:references|bibliography|literature cited|références|literatur)\W*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Paper:
    """`used`: the files that the text was made of; `missing`: the inputs that are not there."""

    text: str
    title: str
    used: list[str]
    missing: list[str]


def read_paper(files: Mapping[str, str], main: str) -> Paper:
    """The text of the paper that begins in `main`; `files`: text by path. Raises MacroBomb."""
    return _Renderer(files, main).paper()


class _Renderer(Layout):
    """Reads the expanded tokens once, from the first to the last, and writes lines."""

    def __init__(self, files: Mapping[str, str], main: str):
        super().__init__(files, main)
        self._citations = Citations(files, main)
        self._title = ""
        self._plain = not any("\\begin{document}" in text for text in files.values())
        self._started = False

    def paper(self) -> Paper:
        self._run()
        self._unwind(1)
        lines = self._out.finish()
        text = resolve(lines if self._started else lines[self._body :], self._numbers.found)
        return Paper(text.strip("\n"), self._title, [*self._tokens.used], sorted(set(self._tokens.missing)))

    def _run(self) -> None:
        tokens = self._tokens
        while not self._done and (token := tokens.next()) is not None:
            first = token[0]
            if isinstance(token, Verbatim):
                if isinstance(token, Listing):
                    self._out.block(token)
                else:
                    self._out.write(token)
            elif first == "\\":
                self._command(token)
            elif token == PAR:
                self._par()
            elif first == "{":
                self._groups.append(None)
            elif first == "}":
                self._close_group()
            elif first == "$":
                self._formula("$$" if tokens.peek() == "$" and tokens.raw() else "$")
            elif first == "&":
                self._out.write(" | " if self._tables else " ")
            elif first in "~\n":
                self._out.write(" ")
            elif first != "#":
                self._out.write(typed(token))

    # --- commands

    def _command(self, token: str) -> None:
        name = token.rstrip()
        if name.endswith("}") and name.startswith("\\begin{"):
            self._begin(name[7:-1])
        elif name.endswith("}") and name.startswith("\\end{"):
            self._end(name[5:-1])
        elif name in commands.ARGUMENTS:
            if name == "\\label":
                self._numbers.label(self._tokens.word())
                return
            self._eat(commands.ARGUMENTS[name], name)
            self._out.write(symbols.SYMBOLS.get(name, ""))
        elif name == "\\;" and self._open["algorithm"] + self._open["algorithm2e"] + self._open["algorithm*"]:
            self._out.end_line()  # of the package algorithm2e
        elif name in symbols.SYMBOLS:
            self._out.write(symbols.SYMBOLS[name])
        elif name in symbols.ACCENTS:
            self._accent(name)
        elif name in commands.HEADINGS:
            self._heading(name)
        elif name in commands.CITATIONS:
            self._cite(name)
        elif name in commands.REFERENCES:
            self._refer(name)
        elif name in commands.BREAKS:
            self._eat(commands.BREAKS[name], name)
            self._par()
        elif name in commands.FOOTNOTES:
            self._tokens.option()
            if self._plain:
                self._tokens.argument()  # the mark
            depth = self._divert()
            self._braced(lambda: self._note(depth))
        elif name in commands.ALGORITHMIC and (self._open["algorithmic"] or self._open["algorithm"]):
            self._out.end_line()
            self._out.write(commands.ALGORITHMIC[name])
        elif name in commands.PLAIN_HEADINGS:
            self._plain_heading(name)
        elif name in _HANDLERS:
            _HANDLERS[name](self)
        elif self._plain and name in commands.PLAIN_THEOREMS and self._tokens.peek() == "{":
            self._out.par()
            self._braced(self._head_ends)
        elif self._plain and name in commands.PLAIN_ENDS:
            self._out.par()
        elif name not in commands.FONTS:
            self._unknown(token)

    def _unknown(self, token: str) -> None:
        """A command that is not known here is left out with its options; the text in its braces stays."""
        tokens = self._tokens
        following = tokens.peek()
        if following.startswith("[") and token[-1:].isalpha():
            tokens.option()
            following = tokens.peek()
        last = self._out.last()
        if following == "{" and last in tuple(".,;:!?"):
            self._out.write(" ")
        elif following == "{" and last.isalpha():
            tokens.raw()
            while tokens.peek().rstrip() == "\\label":
                tokens.raw()
                self._numbers.label(tokens.word())
            if tokens.peek()[:1].isupper():
                self._out.write(" ")
            tokens.put_back(["{"])

    def _begin(self, name: str) -> None:
        if name in commands.MATH:
            self._formula(f"\\begin{{{name}}}")
        else:
            super()._begin(name)

    def _cite(self, name: str) -> None:
        tokens = self._tokens
        tokens.star()
        tokens.option("<", ">")
        first, second = tokens.option(), None
        if first is not None:
            second = tokens.option()
        before, after = (first, second) if second is not None else (None, first)
        printed = self._citations.tokens(name, tokens.word(), _note(before), _note(after))
        if printed is None:
            self._out.write(citation())
        else:
            tokens.put_back(printed)

    def _accent(self, name: str) -> None:
        tokens = [t.rstrip() if t[0] == "\\" else t for t in self._tokens.argument(long=False)]
        if any(t in symbols.ACCENTS or t == "$" for t in tokens):
            self._tokens.put_back(tokens)
            return
        base = "".join(symbols.SYMBOLS.get(t, "" if t[0] == "\\" else t) for t in tokens)
        self._out.write(accented(base, symbols.ACCENTS[name]) or (name[1] if name in ("\\~", "\\^") else ""))

    def _refer(self, name: str) -> None:
        if self._plain and (following := self._tokens.peek()) and following[0] == "\\":
            self._eat("mm")  # harvmac's: a name, and the text of a reference
            self._out.write(citation())
            return
        self._tokens.star()
        self._tokens.option()
        kind = {"\\ref": "", "\\eqref": "eq", "\\subref": ""}.get(name, "auto")
        self._out.write(reference(self._tokens.word(), "page" if "page" in name or "name" in name else kind))

    # --- headings

    def _heading(self, name: str) -> None:
        tokens, level = self._tokens, commands.HEADINGS[name]
        starred = tokens.star()
        tokens.option()
        title = tokens.argument()
        tokens.put_back([*title, "}"])
        if not (self._plain or self._open["document"]):
            self._groups.append(None)
            return
        self._start_section("".join(t for t in title if t[0] != "\\"), level)
        if not starred:
            self._numbers.heading(level)
        self._groups.append((lambda: self._out.par()) if level < 4 else self._head_ends)

    def _plain_heading(self, name: str) -> None:
        end = commands.PLAIN_HEADINGS[name]
        title = (self._tokens.until(end) if end else None) or self._tokens.until("\\par") or []
        self._start_section("".join(t for t in title if t[0] != "\\"), 2 if "sub" in name else 1)
        self._numbers.heading(2 if "sub" in name else 1)
        self._tokens.put_back([*title, "}"] if title else [])
        if title:
            self._groups.append(lambda: self._out.par())

    def _start_section(self, title: str, level: int) -> None:
        """A section ends whatever text was diverted before it, and the first one all that was written."""
        if level < 4:
            self._unwind(1)
            self._tables.clear()
        self._out.par()
        if level <= 1 and not self._started and not _BACK_MATTER.match(title):
            self._started = True
            self._out.clear()
        if level < 4 and _BIBLIOGRAPHY.fullmatch(title):
            self._divert(muted=True)

    # --- the rest, each a command of its own

    def _formula(self, opening: str) -> None:
        formula = read_formula(self._tokens, opening)
        name = opening[7:-1]
        if opening in ("$", "\\("):
            self._out.write(formula.text)
            return
        if name in commands.ONE_NUMBER:
            self._numbers.rows([([label for labels, _ in formula.rows for label in labels], True)])
        elif name and not name.endswith("*") and name not in ("math", "displaymath"):
            self._numbers.rows(formula.rows)
        self._out.block(formula.text)

    def _par(self) -> None:
        """A blank line between the rows of a table, or in a cell, ends nothing."""
        if self._tables:
            self._out.write(" ")
        else:
            self._out.par()

    def _new_line(self) -> None:
        self._tokens.star()
        option = self._tokens.option()
        if option is not None and not _SKIP.fullmatch("".join(option).strip()[:40]):
            self._tokens.put_back(["[", *option, "]"])
        self._new_row()

    def _item(self) -> None:
        self._out.end_line()
        label = self._tokens.option()
        found = next((e for e in reversed(self._environments[-8:]) if e.name in commands.LISTS), None)
        if label is not None:
            self._tokens.put_back([*label, "}"])
            self._groups.append(lambda: self._out.write(" "))
        elif found and found.name in commands.NUMBERED:
            found.items += 1
            self._numbers.item(found.items)
            self._out.write(f"{found.items}. ")
        else:
            self._out.write("- ")

    def _take_title(self) -> None:
        self._tokens.option()
        if self._plain and self._tokens.peek() != "{":
            self._tokens.put_back(["{", *(self._tokens.until("\\endtitle") or []), "}"])
        depth = self._divert()

        def close() -> None:
            self._title = resolve(self._collect(depth), {}).replace("\n", " ")[:500] or self._title

        self._braced(close)

    def _first_of_two(self) -> None:
        first, _ = self._tokens.argument(), self._tokens.argument()
        self._tokens.put_back(first)

    def _quote(self) -> None:
        self._out.write('"')
        self._braced(lambda: self._out.write('"'))

    def _caption_of(self) -> None:
        self._open_caption(self._tokens.word().capitalize())

    def _number_within(self) -> None:
        self._numbers.within(self._tokens.word(), self._tokens.word())

    def _as_formula(self) -> None:
        body = [t for t in self._tokens.argument() if t != "$"]
        self._tokens.put_back(["$", *body, "$"] if body else [])

    def _xspace(self) -> None:
        following = self._tokens.peek()
        if following and following[0] not in "{}.,!'/?;:~-)] \n" and following != "\\ ":
            self._out.write(" ")

    def _abbreviation(self, text: str) -> None:
        """`\\eg` and `\\onedot` of the styles of conferences: one dot, and a space where words follow."""
        self._out.write(text[:-1] if text[-1] == "." and self._tokens.peek()[:1] == "." else text)
        self._xspace()

    def _date_of_harvmac(self) -> None:
        """It prints the page of the title."""
        self._eat("m")
        self._at_body()

    def _mute(self) -> None:
        """The bibliography of a paper in plain TeX, which is its end."""
        if self._plain:
            self._par()
            self._divert(muted=True)

    def _stop(self) -> None:
        if self._plain:
            self._done = True


def _note(option: list[str] | None) -> list[str]:
    """A note of a citation, where it says anything."""
    return option if option and any(t.strip(" {}~\n") for t in option) else []


def _abbreviate(text: str, renderer: _Renderer) -> None:
    renderer._abbreviation(text)


def _read(read: Callable[[TokenReader], None], renderer: _Renderer) -> None:
    read(renderer._tokens)


_HANDLERS: dict[str, Callable[[_Renderer], None]] = {
    "\\\\": _Renderer._new_line,
    "\\newline": lambda r: r._out.end_line(),
    "\\cr": _Renderer._new_line,
    "\\startdata": _Renderer._new_line,
    "\\enddata": _Renderer._new_line,
    "\\tablehead": _Renderer._table_head,
    "\\nodata": lambda r: r._out.write("..."),
    "\\tabularnewline": _Renderer._new_line,
    "\\par": lambda r: r._par(),
    "\\(": lambda r: r._formula("\\("),
    "\\[": lambda r: r._formula("\\["),
    "\\item": _Renderer._item,
    "\\caption": _Renderer._caption,
    "\\tablecaption": _Renderer._caption,
    "\\figcaption": _Renderer._caption,
    "\\title": _Renderer._take_title,
    "\\maketitle": _Renderer._at_body,
    "\\endtopmatter": _Renderer._at_body,
    "\\document": _Renderer._at_body,
    "\\Date": _Renderer._date_of_harvmac,
    "\\newtheorem": _Renderer._new_theorem,
    "\\numberwithin": _Renderer._number_within,
    "\\appendix": lambda r: r._numbers.appendix(),
    "\\ensuremath": _Renderer._as_formula,
    "\\xspace": _Renderer._xspace,
    "\\newmdtheoremenv": _Renderer._new_theorem,
    "\\declaretheorem": _Renderer._declare_theorem,
    "\\texorpdfstring": _Renderer._first_of_two,
    "\\enquote": _Renderer._quote,
    "\\captionof": _Renderer._caption_of,
    **{name: partial(_abbreviate, text) for name, text in symbols.ABBREVIATIONS.items()},
    **{name: partial(_read, read) for name, read in QUANTITIES.items()},
    "\\Refs": _Renderer._mute,
    "\\references": _Renderer._mute,
    "\\bye": _Renderer._stop,
    "\\end": _Renderer._stop,
    "\\enddocument": _Renderer._stop,
}
