"""The macros of a paper: what \\newcommand, \\def, \\let and their like define, learned as they are read.

This module reads and keeps the definitions; `macros` calls it, and expands the uses.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from llama_core.corpus.markup.latex.commands import words
from llama_core.corpus.markup.latex.lexer import PAR, Verbatim
from llama_core.corpus.markup.latex.reader import TokenReader

NO_VALUE = "-NoValue-"  # what xparse puts in the place of an optional argument that is left out
# A letter of xparse's description of an argument, with the default of an optional one.
_LETTERS = re.compile(r"O\s*\{([^{}]*)\}|[A-Za-z]")
# Commands that only TeX itself can carry out. A macro with one of them in its body is not learned: its uses
# are left out, and their arguments stay.
_INTERNAL = words(
    r"\expandafter \csname \futurelet \catcode \@ifnextchar \@ifstar \afterassignment \aftergroup "
    r"\scantokens \read \advance \setbox \wd \ht \dp \copy \box \unhbox \unvbox \unhcopy \unvcopy \lastbox "
    r"\everypar \output \shipout \fam \hrule \vrule"
)


class Frozen(str):
    """A control word that \\let has saved: it is not expanded any more."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro: the arguments that it takes, and the body that takes their place.

    `after[i]`: what ends argument i; empty if it is a group, `*` if it is a star that may be there. `before`:
    what stands ahead of the first. `options[i]`: what argument i is if it is left out; None if it cannot be.
    `body`: tokens, and the numbers of arguments.
    """

    after: tuple[str, ...]
    body: Sequence[str | int]
    before: str = ""
    options: tuple[list[str] | None, ...] = ()


class Definitions(TokenReader):
    """What a paper defines: `macros` by control word, and `environments` by name.

    `chars`: the size of the files. `known`: control words whose meaning a paper cannot change. Definitions
    hold to the end of the paper: groups do not end them.
    """

    def __init__(self, chars: int, known: Collection[str]):
        super().__init__(chars)
        self.known = known
        self.macros: dict[str, Macro] = {}
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
        if macro is None or any(is_internal(t) for t in macro.body):
            self.macros.pop(name, None)
        else:
            self.macros[name] = macro

    def _define(self) -> None:
        name = self._name()
        pattern: list[str] = []
        while (token := self.raw()) is not None and token != "{":
            if token == PAR or len(pattern) > 40:
                self.put_back([token])
                return
            pattern.append(token)
        body = _body(self._group(long=True))
        self.learn(name, _pattern(pattern, body))

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
        option = self.option() if count.isdecimal() and count != "0" else None
        n = int(count) if len(count) == 1 and count.isdecimal() else 0
        return Macro(("",) * n, _body(self.argument()), options=() if option is None else (option,))

    def _new_document_command(self) -> None:
        name, letters = self._name(), "".join(self.argument())
        body = _body(self.argument())
        after: list[str] = []
        defaults: list[list[str] | None] = []
        for found in _LETTERS.finditer(letters):
            letter = found[0][0]
            if letter not in "mosO":
                return
            after.append("*" if letter == "s" else "")
            defaults.append([NO_VALUE] if letter == "o" else [found[1]] if letter == "O" else None)
        self.learn(name, Macro(tuple(after), body, options=tuple(defaults)))

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
        begin = self._signature()
        end = [t for t in _body(self.argument()) if isinstance(t, str)]
        if f"\\begin{{{name}}}" in self.known or not name:
            return
        if any(map(is_internal, begin.body)):
            begin = Macro(begin.after, [], options=begin.options)
        self.environments[name] = (begin, [t for t in end if not is_internal(t)])


def is_internal(token: str | int) -> bool:
    """Tell whether a token is a command that cannot be expanded: TeX's own, or one with `@` in its name."""
    return isinstance(token, str) and token[0] == "\\" and ("@" in token or token.rstrip() in _INTERNAL)


def _body(tokens: Sequence[str]) -> list[str | int]:
    """Return a body as it is kept: `#1` becomes a number, and `##` of an inner definition loses one `#`."""
    body: list[str | int] = []
    doubled = False
    for token in tokens:
        if token == "#" and not doubled:
            doubled = True
            continue
        if token[0] == "#" and len(token) == 2 and not doubled:
            body.append(int(token[1]))
        else:
            body.append(token)
        doubled = False
    return body


def fill(body: Sequence[str | int], arguments: Sequence[Sequence[str]]) -> list[str]:
    """Return the tokens of a body with the arguments in their places."""
    filled: list[str] = []
    for token in body:
        if isinstance(token, str):
            filled.append(token)
        elif token <= len(arguments):
            filled.extend(arguments[token - 1])
    return filled


def _pattern(pattern: Sequence[str], body: Sequence[str | int]) -> Macro | None:
    """Return the macro of a \\def from its parameter text; None if an argument is not simply delimited."""
    parts: list[str] = [""]
    for token in pattern:
        if token[0] == "#" and len(token) == 2:
            if int(token[1]) != len(parts):
                return None
            parts.append("")
        elif isinstance(token, Verbatim) or (parts[-1] and (token[0] == "\\" or parts[-1][0] == "\\")):
            return None
        else:
            parts[-1] += token.rstrip() if token[0] == "\\" else token
    if len(parts) == 1:
        return Macro((), body) if not parts[0].strip() else Macro((), body, before=parts[0].strip())
    return Macro(tuple(parts[1:]), body, before=parts[0].strip())
