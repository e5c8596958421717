"""Commands that need a few lines of their own: quotes, lines, captions, files of code, parts of floats.

This is the layer of the renderer over `citing`; `paper` calls its methods by name.
"""

import re

from llama_core.corpus.markup.latex.citing import Citing
from llama_core.corpus.markup.latex.expansion.arguments import Macro
from llama_core.corpus.markup.latex.expansion.lexer import Verbatim, tokens
from llama_core.corpus.markup.latex.packages.acronym_list import settings_of

# The options that say which lines of a file of code are printed.
_LINES = re.compile(r"\b(first|last)line\s*=\s*\{?(\d{1,6})")


class Singles(Citing):
    """The layer for single commands."""

    def _line(self) -> None:
        """Give the argument a line of its own: `\\centerline{...}`."""
        if self._tables:
            return
        self._out.end_line()
        self._braced(lambda: self._out.end_line())

    def _first_of_two(self) -> None:
        first, _ = self._tokens.argument(), self._tokens.argument()
        self._tokens.put_back(first)

    def _enclose(self, opening: str, closing: str, before: str = "") -> None:
        """Print the argument between two signs. `before`: the arguments that are left out before it."""
        self._eat(before)
        self._out.write(opening)
        self._braced(lambda: self._out.write(closing))

    def _sub_float(self) -> None:
        """Read `\\subfloat[caption]{...}`."""
        caption = self._tokens.option()
        if caption:
            above = next((e for e in reversed(self._environments[-8:]) if e.captions is not None), None)
            self._tokens.put_back(["{", *caption, "}"])
            self._open_caption("", above)

    def _overlay(self) -> None:
        """Leave out when beamer shows what follows: `\\onslide*<2>{...}`."""
        self._eat("*")
        self._tokens.mark("+")
        self._eat_overlay()

    def _define_url(self) -> None:
        """Read `\\urldef\\name\\url{...}`."""
        name, url = self._tokens.argument(), self._tokens.raw()
        if name and isinstance(url, Verbatim):
            self._tokens.learn(name[0].rstrip(), Macro((), [url]))

    def _hyper_reference(self) -> None:
        """Print the text of `\\hyperref[label]{text}`, or of the older form with four arguments."""
        if self._tokens.option() is None and self._tokens.peek() == "{":
            self._eat("mmm")

    def _code_after(self) -> None:
        """Leave out what a table of nicematrix draws after its rows."""
        self._new_row()
        while (token := self._tokens.raw()) is not None and not token.startswith("\\end{"):
            pass
        self._tokens.put_back([token or ""])

    def _ctable(self) -> None:
        """Read `\\ctable[caption=A, label=b]{columns}{notes}{rows}`: a float with a table and notes below."""
        options = settings_of("".join(self._tokens.option() or []))
        columns, notes, rows = (self._tokens.argument() for _ in range(3))
        kind = "figure" if "figure" in options else "table"
        self._tokens.put_back(
            [
                *(f"\\begin{{{kind}}}", "\\caption", "{", *tokens(options.get("caption", "")), "}"),
                *("\\label", "{", options.get("label", ""), "}", "\\begin{tabular}", "{", *columns, "}"),
                *(*rows, "\\end{tabular}", "\\begin{tablenotes}"),
                *("\\item" if t.rstrip() == "\\tnote" else t for t in notes),
                *("\\end{tablenotes}", f"\\end{{{kind}}}"),
            ]
        )

    def _new_column(self) -> None:
        """Read `\\newcolumntype{M}{>{$}c<{$}}`."""
        letter = self._tokens.word()
        self._tokens.option()
        if "$" in self._tokens.argument():
            self._formulas.add(letter)

    def _span(self) -> None:
        """Read `\\multicolumn{2}{c}{text}`, which stays as its text."""
        columns = self._tokens.word()
        self._eat("m")
        if self._tables and columns.isdecimal():
            self._tables[-1].column += int(columns[:3]) - 1
            self._tables[-1].spans = True

    def _row(self) -> None:
        """Give the argument a row of its own."""
        self._new_row()
        self._braced(self._new_row)

    def _caption_of(self) -> None:
        self._open_caption(self._tokens.word().capitalize())

    def _code_file(self, arguments: int = 0) -> None:
        """Print a file of code: `\\lstinputlisting[firstline=2]{file}` and its like.

        `arguments`: how many come before the name of the file.
        """
        self._tokens.star()
        options = "".join(self._tokens.option() or [])
        self._eat("m" * arguments)
        code = self._tokens.listing(self._tokens.word())
        if code is not None:
            bounds = {name: int(number) for name, number in _LINES.findall(options)}
            lines = code.split("\n")[max(0, bounds.get("first", 1) - 1) : bounds.get("last")]
            self._out.block("\n".join(lines).rstrip())

    def _kill(self) -> None:
        if self._open["tabbing"]:
            self._out.forget_line()

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
        """Write `\\eg`, `\\onedot` and the like, from the styles of conferences.

        They print one dot, even before another, and a space where words follow.
        """
        self._out.write(text[:-1] if text[-1] == "." and self._tokens.peek()[:1] == "." else text)
        self._xspace()
