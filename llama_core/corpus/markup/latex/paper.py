"""LaTeX to running text, after Touvron et al. 2023, section 2.1 (after Lewkowycz et al. 2022).

The text begins with the first section. Comments and the bibliography are left out, user macros are expanded
inline, and formulas stay TeX. What they leave open is decided so: appendices stay; citations and
references become the names and numbers that LaTeX would print; footnotes and floats follow the paragraph that
they interrupt, a figure as its caption, a table as its caption and its rows; lists, theorems, listings and
headings are lines. A paper without sections begins after its title and abstract.

Our own code, not a library: memory is bounded, macros expand as in TeX, and libraries drop text silently.

This is the top layer of the renderer: the loop over the tokens, and what is done for each command. A command
that only takes arguments or stands for a character is a line of `commands` or `symbols`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from llama_core.corpus.markup.latex import commands, symbols
from llama_core.corpus.markup.latex.expansion.lexer import PAR, Listing, Verbatim
from llama_core.corpus.markup.latex.expansion.macros import Expander
from llama_core.corpus.markup.latex.expansion.reader import MacroBomb
from llama_core.corpus.markup.latex.math import read_formula
from llama_core.corpus.markup.latex.packages import algorithms, steps
from llama_core.corpus.markup.latex.packages.obeyed import OBEYED
from llama_core.corpus.markup.latex.packages.quantities import free_unit
from llama_core.corpus.markup.latex.singles import Singles
from llama_core.corpus.markup.latex.text import accented, resolve, typed

# The length in brackets that may follow the end of a line: `\\[2pt]`.
_SKIP = re.compile(r"-?\s*+[\d.]*+\s*+(?:\\\w+\s*|pt|cm|mm|em|ex|in|bp|pc)?\s*")
# A formula that only draws rules: the box at the end of a proof.
_RULE = re.compile(r"\$\s*\\[hv]rule(?![A-Za-z])[^\\$]*\$")
# What is assigned to a register that is not known here: `=5in`, `=12` or `=\\hsize`.
_ASSIGNED = re.compile(r"\s*=\s*(?:-?[\d.]|['\"][0-9A-F]|$)")
# Names of commands that set something: nothing that they take is printed.
_SETTING = re.compile(r"\\(?:(?:[sS]et|[dD]eclare|[dD]efine|enable|disable)[A-Za-z]{3,}|use[a-z]*theme)")
_HAVE_NOTES = frozenset(("trackchanges", "beamer"))  # packages and classes whose \\note is not printed


@dataclass(frozen=True, slots=True)
class Paper:
    """The text and the title of a paper.

    `used`: the paths of the files that the text was made of. `missing`: the inputs that are not there.
    """

    text: str
    title: str
    used: list[str]
    missing: list[str]


def read_paper(files: Mapping[str, str], main: str) -> Paper:
    """Return the paper that begins in the file `main`. `files`: text by path. Raises MacroBomb.

    Where macros never end, those that are programs are left out in a second reading.
    """
    try:
        return _Renderer(files, main).paper()
    except MacroBomb:
        return _Renderer(files, main, is_careful=True).paper()


class _Renderer(Singles):
    """The whole renderer: it reads the expanded tokens once, from the first to the last, and writes lines."""

    def __init__(self, files: Mapping[str, str], main: str, is_careful: bool = False):
        super().__init__(files, main, is_careful)
        self._title = ""

    def paper(self) -> Paper:
        """Read all tokens, and return the paper. Raises MacroBomb."""
        self._run()
        return Paper(self._text(), self._title, [*self._tokens.used], sorted(set(self._tokens.missing)))

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
                self._next_cell()
            elif first in "~\n":
                self._out.write(" ")
            elif first != "#":
                if token[-1] == '"' and tokens.shorthands.on and tokens.peek() == "~":
                    tokens.raw()
                    token = f"{token[:-1]}-"
                self._out.write(typed(tokens.shorthands.typed(token)))

    # --- commands

    def _command(self, token: str) -> None:
        name = token.rstrip()
        if self._plain and self._obey_plain(name):
            return
        if self._tokens.peek()[:1] == "<" and name[-1:].isalpha():
            self._eat_overlay()
        if name in commands.TABBING and self._open["tabbing"]:
            self._out.write(commands.TABBING[name])
        elif name.endswith("}") and name.startswith("\\begin{"):
            self._begin(name[7:-1])
        elif name.endswith("}") and name.startswith("\\end{"):
            self._end(name[5:-1])
        elif name in commands.ARGUMENTS:
            if name == "\\label":
                self._numbers.label(self._tokens.word())
                return
            self._eat(commands.ARGUMENTS[name], name)
            self._out.write(symbols.SYMBOLS.get(name, ""))
        elif name in algorithms.STEPS and self._in_algorithm():
            algorithms.STEPS[name](self._tokens)
        elif name == "\\;" and self._in_algorithm():
            self._out.end_line()  # the package algorithm2e ends a step so
        elif name in symbols.SYMBOLS:
            self._out.write(symbols.SYMBOLS[name])
        elif name in symbols.ACCENTS:
            self._accent(name)
        elif name in commands.HEADINGS:
            self._heading(name)
        elif name in commands.BREAKS:
            self._eat(commands.BREAKS[name], name)
            self._par()
        elif name in commands.FOOTNOTES:
            self._tokens.option()
            self._open_note()
        elif name in steps.ALGORITHMIC and (self._open["algorithmic"] or self._in_algorithm()):
            if name not in steps.WITHIN_STEPS:
                self._out.end_line()
            steps.aside(self._tokens, name)
            if (own := steps.word(self._tokens, name)) is not None:
                self._tokens.put_back(own)
                return
            self._out.write(steps.ALGORITHMIC[name])
            if name in ("\\Procedure", "\\Function") and self._tokens.peek() == "{":
                algorithms.call(self._tokens)
        elif name in commands.PLAIN_HEADINGS:
            self._plain_heading(name)
        elif name in _HANDLERS:
            _HANDLERS[name](self)
        elif (word := steps.named(name)) is not None:
            self._out.write(f"{word} ")
        elif name not in commands.FONTS and not (
            self._refers(name) or free_unit(self._tokens, name, bool(self._tables))
        ):
            self._unknown(token)

    def _in_algorithm(self) -> bool:
        """Tell whether an algorithm of algorithm2e is open, and none of the packages with `algorithmic`."""
        return not self._open["algorithmic"] and any(self._open[name] for name in algorithms.ENVIRONMENTS)

    def _unknown(self, token: str) -> None:
        """Leave out a command that is not known here, with its options; the text in its braces stays.

        A space parts that text from what is before it, where the two are not one word.
        """
        tokens = self._tokens
        following = tokens.peek()
        if _ASSIGNED.match(following):
            tokens.length(token.rstrip())
            return
        if token.rstrip() == "\\note" and tokens.packages & _HAVE_NOTES:
            self._eat("om")
            return
        if _SETTING.fullmatch(token.rstrip()):
            self._eat("*o")
            while tokens.peek() == "{" or tokens.peek().startswith("["):
                self._eat("mo")
            return
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
        if following == "{":
            tokens.raw()
            self._groups.append(self._next_part)

    def _next_part(self) -> None:
        """Part the argument of a command that is not known from the next one."""
        if self._tokens.peek() == "{":
            self._tokens.raw()
            self._out.write(" ")
            self._groups.append(self._next_part)

    def _begin(self, name: str) -> None:
        if name in commands.MATH:
            self._formula(f"\\begin{{{name}}}")
        else:
            super()._begin(name)

    def _accent(self, name: str) -> None:
        tokens = [t.rstrip() if t[0] == "\\" else t for t in self._tokens.argument(long=False)]
        if any(t in symbols.ACCENTS or t == "$" for t in tokens):
            self._tokens.put_back(tokens)
            return
        base = "".join(symbols.SYMBOLS.get(t, "" if t[0] == "\\" else t) for t in tokens)
        self._out.write(accented(base, symbols.ACCENTS[name]) or (name[1] if name in ("\\~", "\\^") else ""))

    # --- the other commands, a method each

    def _formula(self, opening: str) -> None:
        formula = read_formula(self._tokens, opening)
        name = opening[7:-1]  # of an environment; empty for all other openings
        if opening in ("$", "\\("):
            self._out.write("" if _RULE.fullmatch(formula.text) else formula.text)
            return
        if name in commands.ONE_NUMBER:
            labels = [label for row in formula.rows for label in row[0]]
            self._numbers.rows([(labels, True, "".join(tag for _, _, tag in formula.rows))])
        else:
            counts = name and not name.endswith("*") and name not in ("math", "displaymath")
            self._numbers.rows([row for row in formula.rows if counts or row[2]])
        self._out.block(self._named_within(formula) if self._plain else formula.text)

    def _par(self) -> None:
        """End the paragraph. A blank line between the rows of a table, or in a cell, is only a space."""
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
        label = self._plain_label() if self._plain else self._tokens.option()
        self._eat_overlay()
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

    def _title_of_harvmac(self) -> None:
        if self._plain:
            self._eat("m")  # the number of the preprint
            self._tokens.put_back([self._tokens.solid() or ""])
        self._take_title()


def _abbreviate(text: str, renderer: _Renderer) -> None:
    renderer._abbreviation(text)


def _part_of_table(name: str, renderer: _Renderer) -> None:
    renderer._part_of_table(name)


def _read(read: Callable[[Expander], None], renderer: _Renderer) -> None:
    """Call one of the functions of `OBEYED`."""
    read(renderer._tokens)


# What is done for each command that is in no table of `commands` and is no symbol or accent.
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
    "\\multicolumn": Singles._span,
    **dict.fromkeys(("\\newcolumntype", "\\NewColumnType"), Singles._new_column),
    "\\(": lambda r: r._formula("\\("),
    "\\[": lambda r: r._formula("\\["),
    "\\item": _Renderer._item,
    "\\itemitem": _Renderer._item,
    "\\caption": _Renderer._caption,
    "\\tablecaption": _Renderer._caption,
    "\\figcaption": _Renderer._caption,
    "\\title": _Renderer._take_title,
    "\\Title": _Renderer._title_of_harvmac,
    **dict.fromkeys(commands.LINES, Singles._line),
    "\\maketitle": _Renderer._at_body,
    "\\endtopmatter": _Renderer._at_body,
    "\\document": _Renderer._at_body,
    "\\newtheorem": _Renderer._new_theorem,
    "\\numberwithin": Singles._number_within,
    "\\appendix": _Renderer._appendix,
    "\\ensuremath": Singles._as_formula,
    "\\xspace": Singles._xspace,
    "\\newmdtheoremenv": _Renderer._new_theorem,
    "\\declaretheorem": _Renderer._declare_theorem,
    "\\texorpdfstring": Singles._first_of_two,
    "\\enquote": lambda r: r._enclose('"', '"'),
    **dict.fromkeys(("\\textquote", "\\blockquote"), lambda r: r._enclose('"', '"', "oo")),
    "\\foreignquote": lambda r: r._enclose('"', '"', "m"),
    "\\frquote": lambda r: r._enclose("« ", " »"),
    "\\citetext": lambda r: r._enclose("(", ")"),
    "\\ctable": Singles._ctable,
    **dict.fromkeys(("\\ML", "\\NN", "\\LL"), _Renderer._new_line),
    **dict.fromkeys(("\\cutinhead", "\\sidehead"), Singles._row),
    "\\captionof": Singles._caption_of,
    **dict.fromkeys(("\\subfloat", "\\subfigure", "\\subtable"), Singles._sub_float),
    "\\onslide": Singles._overlay,
    "\\urldef": Singles._define_url,
    "\\hyperref": Singles._hyper_reference,
    "\\CodeAfter": Singles._code_after,
    **{
        f"\\{name}": partial(_part_of_table, name)
        for name in ("endfirsthead", "endhead", "endfoot", "endlastfoot")
    },
    **{name: partial(_abbreviate, text) for name, text in symbols.ABBREVIATIONS.items()},
    **{name: partial(_read, read) for name, read in OBEYED.items()},
    "\\References": _Renderer._references_of_iop,
    **dict.fromkeys(commands.CODE_FILES, Singles._code_file),
    **dict.fromkeys(("\\inputminted", "\\listinginput"), partial(Singles._code_file, arguments=1)),
    "\\kill": Singles._kill,
    "\\bibitem": _Renderer._bib_item,
    "\\refis": _Renderer._bib_item,
}
