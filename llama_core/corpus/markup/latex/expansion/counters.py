"""The numbers that a paper keeps in registers of TeX and counters of LaTeX: set, advanced and printed."""

import re
from collections.abc import Callable
from functools import partial

from llama_core.corpus.markup.latex.expansion.arguments import Macro
from llama_core.corpus.markup.latex.expansion.definitions import Definitions

_NUMBER = re.compile(r"\s*([-+]?)\s*(?:(\d{1,18})|\"([0-9A-F]{1,15})|'([0-7]{1,18}))\s?")
_EQUALS = re.compile(r"\s*=?")
_BY = re.compile(r"\s*(?:by(?![a-z]))?\s*")
_MOST = 10**18
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
          (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_MOST_ROMAN = 4000


def number(reader: Definitions) -> int | None:
    """Take a number, and return it; None where what stands for it is not known."""
    reader.expand_ahead()
    if (name := reader.peek().rstrip()) in reader.counts:
        reader.raw()
        return reader.counts[name]
    if name == "\\value":
        reader.raw()
        return reader.counts.get(reader.word())
    if reader.character_ahead() or not (found := reader.take(_NUMBER)):
        reader.word_ahead()
        return None
    sign, decimal, hexadecimal, octal = found.groups()
    value = int(decimal) if decimal else int(hexadecimal, 16) if hexadecimal else int(octal, 8)
    return -value if sign == "-" else value


def assign(reader: Definitions, name: str) -> None:
    """Obey `\\n=3`."""
    reader.take(_EQUALS)
    _set(reader, name, number(reader))


def advance(reader: Definitions, name: str) -> None:
    """Obey what follows the register in `\\advance\\n by 3`."""
    reader.take(_BY)
    _set(reader, name, number(reader), add=True)


def _set(reader: Definitions, name: str, value: int | None, add: bool = False) -> None:
    if value is not None:
        value += reader.counts[name] if add else 0
        reader.counts[name] = max(-_MOST, min(value, _MOST))


def _new(reader: Definitions, name: str) -> None:
    """Obey `\\newcounter{name}[outer]`: \\thename prints it from now on."""
    counter = reader.word()
    reader.option()
    if counter:
        reader.counts[counter] = 0
        reader.learn(f"\\the{counter}", Macro((), ["\\arabic", "{", counter, "}"]))


def _change(reader: Definitions, name: str, add: bool) -> None:
    """Obey `\\setcounter{name}{3}` and `\\addtocounter{name}{3}`."""
    counter, tokens = reader.word(), reader.argument()
    if counter in reader.counts:
        before = reader.waiting
        reader.put_back([*tokens, "\\relax "])
        _set(reader, counter, number(reader), add)
        reader.forget(reader.waiting - before)


def _step(reader: Definitions, name: str) -> None:
    counter = reader.word()
    if counter in reader.counts:
        _set(reader, counter, 1, add=True)


def printed(value: int, form: str) -> str:
    """Return a number as \\arabic, \\roman, \\Roman, \\alph or \\Alph prints it."""
    if form in ("roman", "Roman") and 0 < value < _MOST_ROMAN:
        text = ""
        for worth, sign in _ROMAN:
            text, value = text + sign * (value // worth), value % worth
        return text if form == "roman" else text.upper()
    if form in ("alph", "Alph") and 0 < value <= 26:
        return chr(ord("a" if form == "alph" else "A") + value - 1)
    return str(value)


def _print(reader: Definitions, name: str) -> None:
    value = reader.counts.get(reader.word())
    reader.put_back([] if value is None else [printed(value, name[1:])])


# What is done for each command: it is called with the reader and the command's name.
COUNTERS: dict[str, Callable[[Definitions, str], None]] = {
    "\\newcounter": _new,
    "\\setcounter": partial(_change, add=False),
    "\\addtocounter": partial(_change, add=True),
    **dict.fromkeys(("\\stepcounter", "\\refstepcounter"), _step),
    **dict.fromkeys(("\\arabic", "\\roman", "\\Roman", "\\alph", "\\Alph", "\\fnsymbol"), _print),
}
