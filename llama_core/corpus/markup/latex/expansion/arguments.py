"""The arguments that a macro takes: their description in LaTeX, TeX and xparse, and how each is read."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from llama_core.corpus.markup.latex.expansion.lexer import Verbatim, tokens
from llama_core.corpus.markup.latex.expansion.reader import TokenReader

NO_VALUE = "-NoValue-"  # what xparse puts in the place of an optional argument that is left out
_MAX_ARGUMENTS = 9
# A letter of xparse's description of an argument, with its brackets and the default of an optional one.
_NESTED = r"(?:[^{}]++|\{[^{}]*+\})*+"
_LETTER = re.compile(
    rf">\s*\{{(?P<processor>{_NESTED})\}}|(?P<letter>[A-Za-z])"
    rf"(?:(?<=[dr])\s*(?P<pair>\S\S)|(?<=[DR])\s*(?P<pairs>\S\S)\s*\{{(?P<default_of_pair>{_NESTED})\}}"
    rf"|(?<=t)\s*(?P<mark>\S)|(?<=[OG])\s*\{{(?P<default>{_NESTED})\}}"
    rf"|(?<=[eE])\s*\{{(?P<marks>[^{{}}]*)\}}\s*(?:\{{(?P<defaults>{_NESTED})\}})?)?"
)
# What is done to an argument before it takes its place: `\\SplitArgument{2}{,}`.
_PROCESSOR = re.compile(r"\\([A-Za-z]+)\s*(?:\{(\d)\}\s*)?(?:\{([^{}]+)\})?")


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a macro: a group or a token, if nothing else is said.

    `end`: what ends it. `opening`: what an optional one begins with. `default`: its tokens where it is left
    out; None if it cannot be. `is_mark`: `opening` alone, such as a star, is the argument. `processor`: what
    xparse does to it.
    """

    end: str = ""
    opening: str = ""
    default: Sequence[str | int] | None = None
    is_mark: bool = False
    processor: str = ""

    def read(self, reader: TokenReader, before: Sequence[list[str]]) -> list[str]:
        """Take the argument off the tokens, and return its tokens. `before`: the arguments before it."""
        found = self._read(reader, before)
        return _processed(found, self.processor) if self.processor else found

    def _read(self, reader: TokenReader, before: Sequence[list[str]]) -> list[str]:
        if self.is_mark:
            return ["*"] if reader.mark(self.opening) else []
        if self.opening == "{" and reader.group_ahead():
            return reader.argument()
        if self.opening and not self.end and reader.mark(self.opening):
            return reader.argument()
        if self.opening:
            found = reader.option(self.opening, self.end) if self.end and self.opening != "{" else None
            return fill(self.default or (), before) if found is None else found
        return reader.until(self.end) or [] if self.end else reader.argument()


GROUP = Argument()
STAR = Argument(opening="*", is_mark=True)


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro: the arguments that it takes, and the body that takes their place.

    `body`: tokens, and the numbers of arguments. `before`: what stands ahead of the first argument. `inner`:
    the commands with `@` in the body, all of which must be known where the macro is expanded.
    """

    arguments: tuple[Argument, ...]
    body: Sequence[str | int]
    before: str = ""
    inner: frozenset[str] = frozenset()


def option(default: Sequence[str | int]) -> Argument:
    """Return an argument in square brackets that may be left out."""
    return Argument("]", "[", default)


def body_of(tokens: Sequence[str]) -> list[str | int]:
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


def groups_of(group: Iterable[str]) -> list[list[str]]:
    """Return the tokens of each group of `{a}{b}`, without its braces."""
    groups: list[list[str]] = []
    depth = 0
    for token in group:
        depth -= token == "}"
        if depth > 0:
            groups[-1].append(token)
        elif token == "{":
            groups.append([])
        depth += token == "{"
    return groups


def _processed(argument: list[str], processor: str) -> list[str]:
    """Return an argument after one of xparse's processors, such as `\\SplitArgument{2}{,}`."""
    found = _PROCESSOR.match(processor)
    name, number, separator = found.groups() if found else ("", None, None)
    if name == "ReverseBoolean":
        return [] if argument else ["*"]
    if name == "TrimSpaces" and len(argument) == 1:
        return [argument[0].strip()]
    if name not in ("SplitArgument", "SplitList") or not separator or argument == [NO_VALUE]:
        return argument
    parts: list[list[str]] = [[]]
    depth = 0
    for token in argument:
        depth += (token == "{") - (token == "}")
        left = (1 + int(number) - len(parts)) if number else len(token)
        split = depth == 0 and left > 0 and token[0] != "\\"
        first, *rest = token.split(separator, left) if split else [token]
        parts[-1].append(first.rstrip() if rest else first)
        parts += [[piece.strip() if piece is not rest[-1] else piece.lstrip()] for piece in rest]
    parts += [[NO_VALUE]] * (1 + int(number or 0) - len(parts))
    return [t for part in parts for t in ("{", *filter(None, part), "}")]


def macro_of_pattern(pattern: Sequence[str], body: Sequence[str | int]) -> Macro | None:
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
    return Macro(tuple(map(Argument, parts[1:])), body, before=parts[0].strip())


def of_letters(letters: str) -> tuple[Argument, ...] | None:
    """Return the arguments that xparse's letters describe: `s O{1} m`. None if one is not known."""
    found: list[Argument] = []
    processor = ""
    for match in _LETTER.finditer(letters):
        letter, first = match["letter"], len(found)
        default: list[str | int] = [NO_VALUE]
        if (
            said := match["default"] if match["default"] is not None else match["default_of_pair"]
        ) is not None:
            default = body_of(tokens(said))
        if letter is None:
            processor = processor or match["processor"].strip()
            continue
        if letter in "mv":
            found.append(GROUP)
        elif letter in "st":
            found.append(Argument(opening=match["mark"] or "*", is_mark=True))
        elif letter in "oO":
            found.append(option(default))
        elif letter in "gG":
            found.append(Argument("}", "{", default))
        elif letter in "drDR" and (pair := match["pair"] or match["pairs"]):
            found.append(Argument(pair[1], pair[0], default))
        elif letter in "eE":
            defaults = re.findall(r"\{([^{}]*)\}", match["defaults"] or "")
            for at, mark in enumerate((match["marks"] or "").replace(" ", "")):
                found.append(Argument(opening=mark, default=defaults[at : at + 1] or default))
        else:
            return None
        if processor:
            found[first:] = [replace(argument, processor=processor) for argument in found[first:]]
            processor = ""
    return tuple(found[:_MAX_ARGUMENTS])
