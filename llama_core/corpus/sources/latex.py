"""LaTeX to running text, after Touvron et al. 2023, section 2.1 (after Lewkowycz et al. 2022).

From the first section on, without comments and bibliography, user macros expanded inline. Formulas stay
TeX. What the paper leaves open is decided so: appendices stay; citations go; references become the numbers
that LaTeX would give; footnotes and floats follow the paragraph that they interrupt, a figure as its
caption, a table as its caption and its rows; lists, theorems, listings and headings are lines. A paper
without sections begins after its title and abstract.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llama_core.corpus.sources import latex_commands as commands
from llama_core.corpus.sources import latex_symbols as symbols
from llama_core.corpus.sources.latex_lexer import PAR, Listing, Verbatim
from llama_core.corpus.sources.latex_macros import Expander
from llama_core.corpus.sources.latex_math import read_formula
from llama_core.corpus.sources.latex_numbers import Numbers
from llama_core.corpus.sources.latex_text import Writer, accented, citation, reference, resolve, typed

_DIMENSION = re.compile(
    r"[\s=]*(?:[-+\s]*(?P<number>\d+[.,]?\d*|[.,]\d+)\s*"
    r"(?P<unit>(?:true\s*)?(?:pt|cm|mm|em|ex|in|pc|bp|dd|cc|sp|mu|fil+))?"
    r"(?:\s*(?:plus|minus)\s*\d*[.,]?\d*\s*(?:pt|cm|mm|em|ex|in|fil+))*+|[-+])?"
)
_BACK_MATTER = re.compile(
    r"\W*(?:acknowled?ge?ments?|appendi|supplement|funding|data availability|author contrib)", re.IGNORECASE
)
_BIBLIOGRAPHY = re.compile(
    r"\W*(?:references|bibliography|literature cited|références|literatur)\W*", re.IGNORECASE
)
_KNOWN_ENVIRONMENTS = frozenset().union(
    commands.MATH,
    commands.FLOATS,
    commands.TABULAR,
    commands.LISTS,
    commands.DROPPED,
    ("document", "abstract"),
)
_KNOWN = frozenset().union(
    commands.HEADINGS,
    commands.PLAIN_HEADINGS,
    commands.CITATIONS,
    commands.REFERENCES,
    commands.FOOTNOTES,
    (f"\\begin{{{name}}}" for name in _KNOWN_ENVIRONMENTS),
    commands.words(
        r"\\ \item \caption \par \title \label \maketitle \bibitem \appendix \multicolumn \multirow"
    ),
    commands.words(
        r"\includegraphics \bibliography \url \href \verb \newtheorem \ensuremath \xspace \begin \end"
    ),
)


@dataclass(frozen=True, slots=True)
class Paper:
    """`used`: the files that the text was made of; `missing`: the inputs that are not there."""

    text: str
    title: str
    used: list[str]
    missing: list[str]


@dataclass(slots=True)
class _Environment:
    name: str
    groups: int  # open braces where it began
    writers: int
    close: Callable[[], None] | None = None
    captions: list[str] | None = None  # of a float
    items: int = 0


@dataclass(slots=True)
class _Theorem:
    title: str
    counter: str


_THEOREMS = {n: _Theorem(t, n) for n, t in (commands.THEOREMS | commands.SHORT_THEOREMS).items()}


def read_paper(files: Mapping[str, str], main: str) -> Paper:
    """The text of the paper that begins in `main`; `files`: text by path. Raises MacroBomb."""
    return _Renderer(files, main).paper()


class _Renderer:
    """Reads the expanded tokens once, from the first to the last, and writes lines."""

    def __init__(self, files: Mapping[str, str], main: str):
        self._tokens = Expander(files, main, _KNOWN)
        self._writers = [Writer()]
        self._groups: list[Callable[[], None] | None] = []
        self._environments: list[_Environment] = []
        self._open: Counter[str] = Counter()
        self._tables: list[int] = []  # open braces around each open table
        self._theorems = dict(_THEOREMS)
        self._numbers = Numbers()
        self._title = ""
        self._plain = not any("\\begin{document}" in text for text in files.values())
        self._started = self._done = False
        self._body = 0  # the line that a paper without sections begins at

    def paper(self) -> Paper:
        self._run()
        self._unwind(1)
        lines = self._out.finish()
        text = resolve(lines if self._started else lines[self._body :], self._numbers.found)
        return Paper(text.strip("\n"), self._title, self._tokens.used, sorted(set(self._tokens.missing)))

    @property
    def _out(self) -> Writer:
        return self._writers[-1]

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
                self._command(token.rstrip())
            elif token == PAR:
                self._out.par()
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

    # --- groups and the writers that they divert to

    def _braced(self, close: Callable[[], None]) -> None:
        """Open the group of the argument that follows; `close` is called at its end."""
        token = self._tokens.solid()
        if token != "{":
            self._tokens.put_back([token or ""])
            self._tokens.put_back([*self._tokens.argument(), "}"])
        self._groups.append(close)

    def _close_group(self) -> None:
        if self._groups and (close := self._groups.pop()):
            close()

    def _divert(self, muted: bool = False) -> int:
        """What is written from now on goes to a writer of its own. The number of those that were there."""
        self._writers.append(Writer(muted))
        return len(self._writers) - 1

    def _collect(self, depth: int) -> list[str]:
        """The lines that were diverted since; the writers below stay."""
        if len(self._writers) <= depth:
            return []
        self._unwind(depth + 1)
        return self._writers.pop().finish()

    def _unwind(self, depth: int) -> None:
        while len(self._writers) > depth:
            lines = self._writers.pop().finish()
            if lines:
                self._out.notes.append(lines)

    # --- commands

    def _command(self, name: str) -> None:
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
        elif name in symbols.SYMBOLS:
            self._out.write(symbols.SYMBOLS[name])
        elif name in symbols.ACCENTS:
            self._accent(name)
        elif name in commands.HEADINGS:
            self._heading(name)
        elif name in commands.CITATIONS:
            self._eat("*oom", name)
            self._out.write(citation())
        elif name in commands.REFERENCES:
            self._refer(name)
        elif name in commands.FOOTNOTES:
            self._tokens.option()
            depth = self._divert()
            self._braced(lambda: self._note(depth))
        elif name in commands.ALGORITHMIC and (self._open["algorithmic"] or self._open["algorithm"]):
            self._out.end_line()
            self._out.write(commands.ALGORITHMIC[name])
        elif name in commands.PLAIN_HEADINGS:
            self._plain_heading(name)
        elif name in _HANDLERS:
            _HANDLERS[name](self)

    def _eat(self, letters: str, name: str = "") -> None:
        for letter in letters:
            if letter == "*":
                self._tokens.star()
            elif letter == "m":
                self._tokens.argument(long=False)
            elif letter == "o":
                self._tokens.option()
            elif letter == "p":
                self._tokens.option("(", ")")
            else:
                self._eat_length(name)

    def _eat_length(self, name: str) -> None:
        """What plain TeX reads for a length, a number or the target of an assignment."""
        tokens = self._tokens
        token = tokens.raw()
        if token is None:
            return
        word_follows = name in commands.TAKES_WORD
        if type(token) is str and token[0] not in "\\{}$&#^_~" and token != PAR:
            found = _DIMENSION.match(token)
            assert found is not None, "every part may be empty"
            rest = token[found.end() :]
            word_follows = (
                not rest and not found["unit"] and (word_follows or bool(found["number"] or "=" in found[0]))
            )
            word_follows &= name not in commands.TAKES_NUMBER
            tokens.put_back([rest])
            token = tokens.raw() if word_follows else None
        if token is not None and not (word_follows and token[0] == "\\" and token.rstrip()[-1:].isalpha()):
            tokens.put_back([token])

    def _accent(self, name: str) -> None:
        tokens = [t.rstrip() if t[0] == "\\" else t for t in self._tokens.argument(long=False)]
        if any(t in symbols.ACCENTS or t == "$" for t in tokens):
            self._tokens.put_back(tokens)
            return
        base = "".join(symbols.SYMBOLS.get(t, "" if t[0] == "\\" else t) for t in tokens)
        self._out.write(accented(base, symbols.ACCENTS[name]) or (name[1] if name in ("\\~", "\\^") else ""))

    def _refer(self, name: str) -> None:
        self._tokens.star()
        self._tokens.option()
        kind = {"\\ref": "", "\\eqref": "eq", "\\subref": ""}.get(name, "auto")
        self._out.write(reference(self._tokens.word(), "page" if "page" in name or "name" in name else kind))

    def _note(self, depth: int) -> None:
        lines = self._collect(depth)
        if lines:
            self._out.notes.append(lines)

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
        self._groups.append((lambda: self._out.par()) if level < 4 else self._run_in)

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

    def _run_in(self) -> None:
        self._out.write(". " if self._out.last().isalnum() else " ")

    # --- environments

    def _begin(self, name: str) -> None:
        if name in commands.MATH:
            self._formula(f"\\begin{{{name}}}")
            return
        environment = _Environment(name, len(self._groups), len(self._writers))
        self._environments.append(environment)
        self._open[name] += 1
        if name in commands.DROPPED:
            self._divert(muted=True)
            return
        if name in self._theorems:
            self._theorem(self._theorems[name])
            return
        if name == "proof":
            self._out.par()
            note = self._tokens.option()
            self._tokens.put_back([*(note or ["Proof"]), ". "])
            environment.close = lambda: self._out.par()
            return
        self._eat(commands.TABULAR.get(name) or commands.ENVIRONMENT_ARGUMENTS.get(name, "o"))
        if name in commands.FLOATS:
            self._float(environment, commands.FLOATS[name])
        elif name in commands.PARAGRAPHS:
            self._out.par()
            environment.close = lambda: self._out.par()
        else:
            self._out.end_line()
            environment.close = lambda: self._out.end_line()
        if name in commands.TABULAR:
            self._tables.append(len(self._groups))
            environment.close = self._end_table
        elif name == "document":
            self._at_body()
        elif name == "abstract":
            environment.close = self._at_body
        elif name == "appendices":
            self._numbers.appendix()

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
        """A paper without sections begins after the last of these places."""
        if len(self._writers) == 1:
            self._out.par()
            self._body = len(self._out.lines)

    def _end_table(self) -> None:
        self._out.end_line(row=True)
        if self._tables:
            self._tables.pop()

    def _float(self, environment: _Environment, kind: str) -> None:
        captions: list[str] = []
        environment.captions = captions
        depth = self._divert(muted=kind == "Figure")

        def close() -> None:
            if environment.name in commands.TABULAR:
                self._end_table()
            lines = [*captions, *self._collect(depth)]
            if lines:
                self._out.notes.append(lines)

        environment.close = close

    def _theorem(self, theorem: _Theorem) -> None:
        self._out.par()
        self._out.write(theorem.title)
        if theorem.counter:
            self._out.write(f" {self._numbers.step(theorem.counter, theorem.title)}")
        note = self._tokens.option()
        self._tokens.put_back([" (", *note, "). "] if note else [". "])
        self._environments[-1].close = lambda: self._out.par()

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

    def _new_line(self) -> None:
        self._tokens.star()
        if self._tokens.peek().startswith("["):
            self._tokens.option()
        if not self._tables:
            self._out.end_line()
        elif len(self._groups) <= self._tables[-1]:
            self._out.end_line(row=True)
        else:
            self._out.write(" ")

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

    def _caption(self) -> None:
        self._tokens.star()
        self._tokens.option()
        above = next((e for e in reversed(self._environments[-8:]) if e.captions is not None), None)
        prefix = ""
        if above and not (self._open["subfigure"] or self._open["subtable"]):
            kind = commands.FLOATS[above.name]
            prefix = f"{kind} {self._numbers.step(kind.lower(), kind)}: "
        elif self._open["algorithm"]:
            prefix = f"Algorithm {self._numbers.step('algorithm')}: "
        depth = self._divert()
        self._out.write(prefix)

        def close() -> None:
            lines = self._collect(depth)
            if above is not None and above.captions is not None:
                above.captions.extend(lines)
            elif lines:
                self._out.notes.append(lines)

        self._braced(close)

    def _take_title(self) -> None:
        self._tokens.option()
        depth = self._divert()

        def close() -> None:
            self._title = resolve(self._collect(depth), {}).replace("\n", " ")[:500] or self._title

        self._braced(close)

    def _new_theorem(self) -> None:
        starred = self._tokens.star()
        name = self._tokens.word()
        shared = self._tokens.option()
        title = "".join(t for t in self._tokens.argument() if t[0] not in "\\{}").strip()
        outer = self._tokens.option()
        counter = "" if starred else "".join(shared).strip() if shared else name
        if outer and counter:
            self._numbers.within(counter, "".join(outer).strip())
        if name and name not in _KNOWN_ENVIRONMENTS:
            self._theorems[name] = _Theorem(title, counter)

    def _number_within(self) -> None:
        self._numbers.within(self._tokens.word(), self._tokens.word())

    def _as_formula(self) -> None:
        body = [t for t in self._tokens.argument() if t != "$"]
        self._tokens.put_back(["$", *body, "$"] if body else [])

    def _xspace(self) -> None:
        following = self._tokens.peek()
        if following and following[0] not in "{}.,!'/?;:~-)] \n" and following != "\\ ":
            self._out.write(" ")

    def _quantity(self) -> None:
        self._tokens.option()
        value, unit = self._tokens.argument(), self._tokens.argument()
        names = [symbols.UNITS.get(t.rstrip(), t) for t in unit]
        self._tokens.put_back([*value, " ", *names])

    def _stop(self) -> None:
        if self._plain:
            self._done = True


_HANDLERS: dict[str, Callable[[_Renderer], None]] = {
    "\\\\": _Renderer._new_line,
    "\\newline": lambda r: r._out.end_line(),
    "\\cr": _Renderer._new_line,
    "\\tabularnewline": _Renderer._new_line,
    "\\par": lambda r: r._out.par(),
    "\\bigskip": lambda r: r._out.par(),
    "\\medskip": lambda r: r._out.par(),
    "\\smallskip": lambda r: r._out.par(),
    "\\(": lambda r: r._formula("\\("),
    "\\[": lambda r: r._formula("\\["),
    "\\item": _Renderer._item,
    "\\caption": _Renderer._caption,
    "\\tablecaption": _Renderer._caption,
    "\\figcaption": _Renderer._caption,
    "\\title": _Renderer._take_title,
    "\\maketitle": _Renderer._at_body,
    "\\newtheorem": _Renderer._new_theorem,
    "\\numberwithin": _Renderer._number_within,
    "\\appendix": lambda r: r._numbers.appendix(),
    "\\ensuremath": _Renderer._as_formula,
    "\\xspace": _Renderer._xspace,
    "\\SI": _Renderer._quantity,
    "\\qty": _Renderer._quantity,
    "\\bye": _Renderer._stop,
    "\\end": _Renderer._stop,
    "\\enddocument": _Renderer._stop,
}
