"""The macros of a paper: what \\newcommand, \\def, \\let and their like define, learned as they are read.

This module reads and keeps the definitions; `macros` calls it, and expands the uses.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from llama_core.corpus.markup.latex.commands import words
from llama_core.corpus.markup.latex.expansion.arguments import (
    GROUP,
    STAR,
    Macro,
    body_of,
    macro_of_pattern,
    of_letters,
    option,
)
from llama_core.corpus.markup.latex.expansion.lexer import PAR
from llama_core.corpus.markup.latex.expansion.reader import TokenReader

# Commands that only TeX itself can carry out. A macro with one of them in its body is not learned: its uses
# are left out, and their arguments stay.
_INTERNAL = words(
    r"\futurelet \catcode \afterassignment \aftergroup "
    r"\scantokens \read \setbox \wd \ht \dp \copy \box \unhbox \unvbox \unhcopy \unvcopy \lastbox "
    r"\everypar \output \shipout \fam \hrule \vrule"
)

# What makes a macro a program, which may never end where it is not carried out exactly.
_MAY_LOOP = words("\\expandafter \\csname \\advance \\else \\ifx \\ifnum")


class Frozen(str):
    """A control word that \\let has saved: it is not expanded any more."""

    __slots__ = ()


class Definitions(TokenReader):
    """What a paper defines: `macros` by control word, and `environments` by name.

    `chars`: the size of the files. `known`: control words whose meaning a paper cannot change. Definitions
    hold to the end of the paper: groups do not end them.
    """

    def __init__(self, chars: int, known: Collection[str], is_careful: bool = False):
        super().__init__(chars)
        self.is_careful = is_careful  # macros that are like programs are not learned
        self.known = known
        self.macros: dict[str, Macro] = dict.fromkeys(("\\empty", "\\@empty"), Macro((), []))
        self.published: set[str] = (
            set()
        )  # files of packages that others use, too: their inner commands stay so
        self.delimiters: set[str] = set()  # control words that end an argument
        self.counts: dict[str, int] = {}  # numbers: registers by control word, counters by name
        self.flags: dict[str, bool] = {}  # \newif's, by \ifname
        self.toggles: dict[str, bool] = {}  # etoolbox's, by name
        self.units: dict[str, list[str]] = {}  # those that \DeclareSIUnit makes, by control word
        self.packages: set[str] = set()  # the names of those that are loaded, and of the class
        self.languages: set[str] = set()  # babel's names of the language of the paper
        self.environments: dict[str, tuple[Macro, list[str]]] = {}  # what \begin and \end become

    def _name(self) -> str:
        """Return the control word that is defined: `\\name` or `{\\name}`. Empty if it is none."""
        tokens = [t for t in self.argument(long=False) if t.strip()]
        name = tokens[0].rstrip() if len(tokens) == 1 else ""
        return name if name.startswith("\\") and len(name) > 1 else ""

    def learn(self, name: str, macro: Macro | None) -> None:
        """Define a control word, if a paper can. None, or a body that cannot be expanded, undefines it."""
        if not name or name in self.known:
            return
        if macro is not None and not any(is_internal(t) for t in macro.body):
            inner = frozenset(t.rstrip() for t in macro.body if isinstance(t, str) and _has_at(t))
            if self.is_careful and (
                inner or any(t.rstrip() in _MAY_LOOP for t in macro.body if type(t) is str)
            ):
                self.macros.pop(name, None)
                return
            if not inner or self.lexer.name not in self.published:
                self.macros[name] = replace(macro, inner=inner) if inner else macro
                return
        self.macros.pop(name, None)

    def _define(self, expand: bool = False) -> None:
        """Read `\\def\\name#1{...}`. `expand`: the numbers in the body are those of now, as with \\edef."""
        name = self._name()
        pattern: list[str] = []
        while (token := self.raw()) is not None and token != "{":
            if token == PAR or len(pattern) > 40:
                self.put_back([token])
                return
            pattern.append(token)
        body = self._group(long=True)
        macro = macro_of_pattern(pattern, body_of(self._with_numbers(body) if expand else body))
        self.delimiters |= {a.end for a in macro.arguments if a.end[:1] == "\\"} if macro else set()
        self.learn(name, macro)

    def text_of(self, tokens: Sequence[str]) -> str:
        """Return the characters of tokens, with the macros in them expanded once that have no arguments."""
        pieces: list[str] = []
        for token in self._with_numbers(tokens):
            macro = self.macros.get(token.rstrip()) if token[0] == "\\" else None
            if macro and not macro.arguments:
                body = [t for t in macro.body if isinstance(t, str)]
                self.pay(sum(map(len, body)))
                pieces += body
            else:
                pieces.append(token)
        return "".join(pieces).strip()

    def _with_numbers(self, tokens: Sequence[str]) -> list[str]:
        """Return tokens with numbers in the places of `\\the\\register`."""
        found: list[str] = []
        for token in tokens:
            if found and found[-1].rstrip() in ("\\the", "\\number") and token.rstrip() in self.counts:
                found[-1] = str(self.counts[token.rstrip()])
            else:
                found.append(token)
        return found

    def _new_command(self, kind: str) -> None:
        self.star()
        name = self._name()
        macro = self._signature()
        if kind == "\\providecommand" and name in self.macros:
            return
        self.learn(name, macro)

    def _signature(self) -> Macro:
        """Return the macro of `[n][default]{body}`."""
        count = "".join(self.option() or ["0"]).strip()
        default = self.option() if count.isdecimal() and count != "0" else None
        n = int(count) if len(count) == 1 and count.isdecimal() else 0
        first = () if default is None or not n else (option(default),)
        return Macro((*first, *(GROUP,) * (n - len(first))), body_of(self.argument()))

    def _new_document_command(self) -> None:
        name, letters = self._name(), "".join(self.argument())
        body = body_of(self.argument())
        if (arguments := of_letters(letters)) is not None:
            self.learn(name, Macro(arguments, body))

    def _new_document_environment(self) -> None:
        name, letters = self.word(), "".join(self.argument())
        begin, end = body_of(self.argument()), self.argument()
        if (arguments := of_letters(letters)) is not None:
            self._learn_environment(name, Macro(arguments, begin), end)

    def _new_delimiter(self, kind: str) -> None:
        """Read `\\DeclarePairedDelimiter{\\abs}{\\lvert}{\\rvert}`, of which \\abs* sizes its brackets."""
        name = self._name()
        count = "".join(self.option() or ["1"]).strip()
        before = self.argument() if kind.endswith("XPP") else []
        left, right = self.argument(), self.argument()
        after = self.argument() if kind.endswith("XPP") else []
        written = self.argument() if "X" in kind else ["#1"]
        body = [t + 2 if isinstance(t, int) else t for t in body_of(written)]
        delimiter: list[str | int] = ["\\IfBooleanTF", "{", 1, "}"]
        self.learn(
            name,
            Macro(
                (STAR, option([]), *(GROUP,) * (int(count) if count in set("123456") else 1)),
                [
                    *before,
                    *(*delimiter, "{", "\\left ", "}", "{", 2, "}", *left),
                    *[t for t in body if isinstance(t, int) or t.rstrip() != "\\delimsize"],
                    *(*delimiter, "{", "\\right ", "}", "{", 2, "}", *right),
                    *after,
                ],
            ),
        )

    def _new_operator(self) -> None:
        star = "*" if self.star() else ""
        name, body = self._name(), self.argument()
        self.learn(name, Macro((), [f"\\operatorname{star}", "{", *body, "}"]))

    def _let(self) -> None:
        name = self._name()
        token = self.solid()
        if token is not None and token.startswith("="):
            self.put_back([token[1:]])
            token = self.solid()
        if token is None:
            return
        self.unread(token)
        target = self.single()
        if target in self.macros:
            self.learn(name, self.macros[target])
        elif target in ("\\undefined", "\\relax"):
            self.macros.pop(name, None)
        elif target != name and target not in "{}":
            self.learn(name, Macro((), [Frozen(target + " " if target[-1:].isalpha() else target)]))

    def _new_environment(self) -> None:
        self.star()
        name = self.word()
        self._learn_environment(name, self._signature(), self.argument())

    def _learn_environment(self, name: str, begin: Macro, end: Sequence[str]) -> None:
        """Define an environment. What only TeX can carry out is left out of it."""
        if f"\\begin{{{name}}}" in self.known or not name:
            return
        if any(isinstance(t, str) and (is_internal(t) or _has_at(t)) for t in begin.body):
            begin = replace(begin, body=[])
        last = [t for t in body_of(end) if isinstance(t, str)]
        self.environments[name] = (begin, [t for t in last if not (is_internal(t) or _has_at(t))])


def is_internal(token: str | int) -> bool:
    """Tell whether a token is a command that only TeX can carry out."""
    return isinstance(token, str) and token[0] == "\\" and token.rstrip() in _INTERNAL


def _has_at(token: str) -> bool:
    return token[0] == "\\" and "@" in token and len(token) > 2
