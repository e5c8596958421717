"""Where the text of a paper goes while it is read: environments, floats and the notes they become.

This is the layer of the renderer over `groups`: what an environment, a table, a float, a caption or a theorem
becomes.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from llama_core.corpus.markup.latex import commands, symbols
from llama_core.corpus.markup.latex.columns import Table, table_of
from llama_core.corpus.markup.latex.expansion.lexer import PAR, tokens
from llama_core.corpus.markup.latex.expansion.macros import Expander
from llama_core.corpus.markup.latex.files import DOCUMENT
from llama_core.corpus.markup.latex.groups import Groups
from llama_core.corpus.markup.latex.numbers import Numbers
from llama_core.corpus.markup.latex.text import END_OF_HEAD, accented

# The environments that are read here: what a paper defines by these names is ignored.
_KNOWN_ENVIRONMENTS = frozenset().union(
    commands.MATH,
    commands.FLOATS,
    commands.TABULAR,
    commands.LISTS,
    commands.DROPPED,
    ("document", "abstract"),
)
# The control words that are read here: what a paper defines by these names is ignored.
_KNOWN = frozenset().union(
    commands.HEADINGS,
    commands.PLAIN_HEADINGS,
    commands.CITATIONS,
    commands.REFERENCES,
    commands.FOOTNOTES,
    (f"\\begin{{{name}}}" for name in _KNOWN_ENVIRONMENTS),
    commands.words(
        r"\\ \item \caption \par \title \label \maketitle \bibitem \appendix \multicolumn \multirow "
        r"\includegraphics \bibliography \url \href \verb \newtheorem \ensuremath \xspace \begin \end "
        r"\onedot \DIFdel \DIFdelFL \DIFadd \DIFaddFL \DIFdelbegin \DIFdelbeginFL"
    ),
)
# In plain TeX, a paper may define the names of citations and references itself.
_KNOWN_IN_PLAIN = _KNOWN - commands.CITATIONS - commands.REFERENCES - {"\\label", "\\bibitem"}
# An argument of an unknown environment that is no text: a length, a number, or the columns of a table.
_NO_TEXT = re.compile(r"[\s\d.,+-]*(?:\\[A-Za-z]+\s*)?(?:pt|cm|mm|em|ex|in)?\s*|[lcrpXbmt|@!<>{}*\d\s]{1,40}")

# Rules above a cell, what shows that one in a column of formulas is text, and what ends one.
_PARTIAL_RULES = commands.words("\\cline \\cmidrule")
_RULES = _PARTIAL_RULES | commands.words("\\hline \\toprule \\midrule \\bottomrule")
_TEXT_IN_CELLS = ("$", PAR, "\\multicolumn", "\\begin{")
_ENDS_OF_CELLS = ("\\\\", "\\tabularnewline", "\\cr", "\\end{")
_CAPTION = re.compile(r"\bcaption\s*=\s*(?:\{((?:[^{}]++|\{[^{}]*+\})*+)\}|([^,{}]+))")
_TITLED = frozenset(("frame", "block", "alertblock", "exampleblock"))  # of beamer: their argument is a title


@dataclass(slots=True)
class Environment:
    """An environment that is open."""

    name: str
    groups: int  # the number of braces that were open where it began
    writers: int  # the number of writers that were open where it began
    close: Callable[[], None] | None = None  # called at its end
    captions: list[str] | None = None  # the lines of its captions, if it is a float
    rows: int = -1  # the line that the last part of a long table begins at; -1: it has no head yet
    items: int = 0  # the number of the last item, if it is a numbered list


@dataclass(slots=True)
class Theorem:
    """A theorem-like environment: the title that it prints and its counter, empty if it has no number."""

    title: str
    counter: str


# The theorem-like environments that a paper need not define, by name.
_THEOREMS = {n: Theorem(t, n) for n, t in (commands.THEOREMS | commands.SHORT_THEOREMS).items()}


class PaperLayout(Groups):
    """The environments, tables and floats that are open, over the groups of a paper.

    `files`: text by path. `main`: the file that the paper begins in. `is_careful`: see `Definitions`.
    """

    def __init__(self, files: Mapping[str, str], main: str, is_careful: bool = False):
        self._plain = not any(DOCUMENT.search(text) for text in files.values())
        known = _KNOWN_IN_PLAIN if self._plain else _KNOWN
        super().__init__(Expander(files, main, known, self._plain, is_careful))
        self._environments: list[Environment] = []
        self._open: Counter[str] = Counter()  # the open environments by name
        self._tables: list[Table] = []  # those that are open
        self._formulas: set[str] = set()  # the letters of the paper's own columns of formulas
        self._theorems = dict(_THEOREMS)
        self._numbers = Numbers()
        self._done = False
        self._body = 0  # the line that a paper without sections begins at

    # --- environments

    def _begin(self, name: str) -> None:
        if self._tokens.peek()[:1] == "<":
            self._eat_overlay()
        environment = Environment(name, len(self._groups), len(self._writers))
        self._environments.append(environment)
        self._open[name] += 1
        if name in commands.DROPPED:
            self._divert(muted=True)
            return
        if name in self._theorems:
            self._theorem(self._theorems[name])
            return
        if name == "proof":
            self._proof(environment)
            return
        arguments = commands.TABULAR.get(name) or commands.ENVIRONMENT_ARGUMENTS.get(name)
        options = self._tokens.option() if name.endswith("tblr") else None
        columns = ""
        if name in commands.TABULAR and arguments and arguments[-1] == "m":
            self._eat(arguments[:-1])
            columns = "".join(self._tokens.argument(long=False))
        else:
            self._eat("o" if arguments is None else arguments)
        self._caption_in("".join(options or []))
        if arguments is None and name not in _KNOWN_ENVIRONMENTS:
            self._eat_lengths()
        if name in _TITLED and self._tokens.peek() == "{":
            title = self._tokens.argument()
            self._eat_overlay()
            self._tokens.put_back(["\\frametitle", "{", *title, "}"])
        if name in commands.FLOATS:
            self._float(environment, commands.FLOATS[name])
        elif name in commands.PARAGRAPHS:
            self._out.par()
            environment.close = lambda: self._out.par()
        elif not self._tables:
            self._out.end_line()
            environment.close = lambda: self._out.end_line()
        if name in commands.TABULAR:
            self._tables.append(table_of(columns, len(self._groups), self._formulas))
            self._begin_cell()
            if environment.captions is None:
                environment.close = self._end_table
        elif name == "document":
            self._at_body()
        elif name == "abstract":
            environment.close = self._at_body
        elif name == "appendices":
            self._appendix()

    def _end(self, name: str) -> None:
        if name == "document":
            self._done = True
        if not self._open[name]:
            return
        while True:
            environment = self._environments.pop()
            self._open[environment.name] -= 1
            while len(self._groups) > environment.groups:
                self._close_group()
            if environment.name in commands.DROPPED:
                self._collect(environment.writers)
            if environment.close:
                environment.close()
            if environment.name == name:
                return

    def _at_body(self) -> None:
        """Remember the place: a paper without sections begins after the last of these."""
        if len(self._writers) == 1:
            self._out.par()
            self._body = len(self._out.lines)

    def _appendix(self) -> None:
        self._numbers.appendix()

    def _eat_lengths(self) -> None:
        """Leave out the arguments that are no text."""
        while self._tokens.peek() == "{":
            argument = self._tokens.argument()
            if not _NO_TEXT.fullmatch("".join(argument)):
                self._tokens.put_back(["{", *argument, "}"])
                return

    # --- tables and floats

    def _new_row(self) -> None:
        """End a line, or a row of a table: a line too, unless the table is in a cell of another."""
        if not self._tables:
            self._out.end_line()
            return
        table = self._tables[-1]
        table.column, table.spans = 0, False
        if len(self._tables) == 1 and len(self._groups) <= table.groups:
            self._out.end_line(row=True)
        else:
            self._out.write(" ")
        self._begin_cell()

    def _begin_cell(self) -> None:
        """Make a formula of the cell that comes next, if its column is one of formulas."""
        if self._tables[-1].column not in self._tables[-1].formulas:
            return
        reader = self._tokens
        while (first := (reader.solid() or "").rstrip()) in _RULES:
            if first in _PARTIAL_RULES:
                self._eat("opm")
        reader.put_back([first])
        cell: list[str] = []
        depth = 0
        while (token := reader.raw()) is not None:
            depth += (token == "{") - (token == "}")
            if depth < 0 or (depth == 0 and (token == "&" or token.startswith(_ENDS_OF_CELLS))):
                break
            cell.append(token)
        is_text = not "".join(cell).strip() or any(t.startswith(_TEXT_IN_CELLS) for t in cell)
        reader.put_back([*(cell if is_text else ["$", *cell, "$"]), token or ""])

    def _next_cell(self) -> None:
        """End a cell, and write what is between it and the next one."""
        if self._tables and (joint := self._tables[-1].next_cell()):
            self._out.trim()
            if following := self._tokens.solid():
                self._tokens.unread(following)
            self._tokens.put_back(tokens(joint))
        else:
            self._out.write(" | " if self._tables else " ")
            if self._tables:
                self._begin_cell()

    def _end_table(self) -> None:
        if len(self._tables) <= 1:
            self._out.end_line(row=True)
        if self._tables:
            self._tables.pop()

    def _part_of_table(self, name: str) -> None:
        """End a part of a long table. Of its heads and feet, the first head and the last foot are kept."""
        self._new_row()
        table = next((e for e in reversed(self._environments[-8:]) if e.name in commands.TABULAR), None)
        if table is None:
            return
        if table.rows >= 0 or name.endswith("foot"):
            part = self._out.lines[max(0, table.rows) :]
            del self._out.lines[max(0, table.rows) :]
            if name == "endlastfoot" and (close := table.close):

                def end() -> None:
                    close()
                    self._out.lines += part

                table.close = end
        table.rows = len(self._out.lines)

    def _table_head(self) -> None:
        """Read AASTeX's `\\tablehead{...}`: rows in braces."""
        table = len(self._tables) - 1
        if table >= 0:
            self._tables[table].groups += 1

        def close() -> None:
            if 0 <= table < len(self._tables):
                self._tables[table].groups -= 1
            self._new_row()

        self._braced(close)

    def _float(self, environment: Environment, kind: str) -> None:
        """Begin a float, which becomes a note: its captions and, if it is a table, its rows."""
        captions: list[str] = []
        environment.captions = captions
        depth = self._divert(muted=kind == "Figure")
        tables, self._tables = self._tables, []

        def close() -> None:
            if environment.name in commands.TABULAR:
                self._end_table()
            self._tables = tables
            lines = [*captions, *self._collect(depth)]
            if lines:
                self._out.notes.append(lines)

        environment.close = close

    def _caption(self) -> None:
        self._tokens.star()
        option = self._tokens.option()
        if option is not None and not any(option) and self._open["longtable"]:  # of the pages after the first
            self._eat("m")
            return
        above = next((e for e in reversed(self._environments[-8:]) if e.captions is not None), None)
        if above and not (self._open["subfigure"] or self._open["subtable"]):
            self._open_caption(commands.FLOATS[above.name], above)
        elif any(self._open[name] for name in commands.ALGORITHMS):
            self._open_caption("Algorithm")
        elif any(self._open[name] for name in commands.TABULAR):
            self._open_caption("Table")
        else:
            self._open_caption("", above)

    def _caption_in(self, options: str) -> None:
        """Print the caption among the options of a table of tabularray."""
        if found := _CAPTION.search(options):
            self._tokens.put_back(["\\caption", "{", *tokens(found[1] or found[2]), "}"])

    def _open_caption(self, kind: str, above: Environment | None = None) -> None:
        """Turn the next argument into a caption with its number: of the float `above`, or else a note."""
        self._tokens.option()
        depth = self._divert()
        if kind:
            self._out.write(f"{kind} {self._numbers.step(kind.lower(), kind)}: ")
        tables, self._tables = self._tables, []

        def close() -> None:
            self._tables = tables
            lines = self._collect(depth)
            if above is not None and above.captions is not None:
                above.captions.extend(lines)
            elif lines:
                self._out.notes.append(lines)

        self._braced(close)

    # --- theorems

    def _theorem(self, theorem: Theorem) -> None:
        self._out.par()
        self._out.write(theorem.title)
        if theorem.counter:
            self._out.write(f" {self._numbers.step(theorem.counter, theorem.title)}")
        self._environments[-1].close = lambda: self._out.par()
        note = self._tokens.option()
        if note:
            self._out.write(" (")
            self._tokens.put_back([*note, ")", "}"])
            self._groups.append(self._head_ends)
        else:
            self._head_ends()

    def _proof(self, environment: Environment) -> None:
        self._out.par()
        environment.close = lambda: self._out.par()
        self._tokens.put_back([*(self._tokens.option() or ["Proof"]), "}"])
        self._groups.append(self._head_ends)

    def _head_ends(self) -> None:
        """End a head. What follows goes on in the same line, even after a blank one."""
        last = self._out.last() or " "
        self._out.write(". " if last.isalnum() or last in END_OF_HEAD else " ")
        self._out.run_in()

    def _new_theorem(self) -> None:
        starred = self._tokens.star()
        name = self._tokens.word()
        shared = self._tokens.option()
        title = _words(self._tokens.argument())
        outer = self._tokens.option()
        counter = "" if starred else "".join(shared).strip() if shared else name
        if outer and counter:
            self._numbers.within(counter, "".join(outer).strip())
        if name and name not in _KNOWN_ENVIRONMENTS:
            self._theorems[name] = Theorem(title, counter)

    def _declare_theorem(self) -> None:
        """Read thmtools' `\\declaretheorem[name=Theorem, numberwithin=section]{thm}`."""
        options = "".join(self._tokens.option() or []).split(",")
        settings = {key.strip(): value.strip() for key, _, value in (o.partition("=") for o in options)}
        names = self._tokens.word().split(",")
        counter = settings.get("sibling") or settings.get("sharenumber") or settings.get("numberlike")
        outer = settings.get("numberwithin") or settings.get("parent")
        for name in names:
            title = settings.get("name") or settings.get("title") or name.capitalize()
            number = "" if settings.get("numbered") == "no" else counter or name
            if outer and number:
                self._numbers.within(number, outer)
            if name and name not in _KNOWN_ENVIRONMENTS:
                self._theorems[name] = Theorem(title, number)


def _words(tokens: Iterable[str]) -> str:
    """Return a title as it is printed: accents on their letters, other commands left out."""
    found: list[str] = []
    mark = ""
    for token in tokens:
        name = token.rstrip()
        mark = symbols.ACCENTS.get(name, mark)
        if (piece := symbols.SYMBOLS.get(name, token)) and piece[0] not in "\\{}":
            found.append(accented(piece, mark) if mark else piece)
            mark = ""
    return "".join(found).replace("~", " ").strip()
