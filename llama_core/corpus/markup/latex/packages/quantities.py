"""Values with units, as the package siunitx has them, and ions: each command gives way to what it prints."""

import re
from collections.abc import Callable, Sequence
from functools import partial

from llama_core.corpus.markup.latex.expansion.definitions import Definitions
from llama_core.corpus.markup.latex.expansion.lexer import Verbatim, tokens
from llama_core.corpus.markup.latex.packages.units import is_unit, unit

_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_NO_SPACE = frozenset("°′″")  # signs that stand at their number
_MAX_STEPS = 500  # tokens of a unit in which macros are expanded
_EXPONENT = re.compile(r"(?<=[\d).])\s*[eEdD]\s*\+?(-?\d+)")
_UNCERTAIN = re.compile(r"^([^±]+ ± [^±×]+?) ?( × 10\^-?\d+)$")
_POWER_ALONE = re.compile(r"^\s*([-+]?)[eEdD]\+?(-?\d+)")
_SIGNS = re.compile(r"\s*(?:\+-|\\pm(?![A-Za-z]))\s*")
_TIMES = re.compile(r"(?<=[\d)])\s*x\s*(?=[\d.])")
_NO_ZERO = re.compile(r"(?<![\d.,])\.(?=\d)")
# What makes a number a formula, after the signs that a number may have.
_FORMULA = re.compile(r"\\[A-Za-z]|[_^{}]")


def _unit_tokens(reader: Definitions) -> list[str]:
    """Return what a unit in braces prints, as tokens. Macros without arguments are expanded in it."""
    argument: list[str] = []
    waiting = reader.argument()[::-1]
    steps = 0
    while waiting:
        token = waiting.pop()
        steps += 1
        if token.rstrip() == "\\csname":
            name = ""
            while waiting and waiting[-1].rstrip() != "\\endcsname":
                name += waiting.pop()
            token = f"\\{name}"
            del waiting[-1:]
        macro = reader.macros.get(token.rstrip()) if token[0] == "\\" and steps < _MAX_STEPS else None
        if macro is None or macro.arguments:
            argument.append(token)
        else:
            waiting += [t for t in macro.body if isinstance(t, str)][::-1]
    reader.pay(steps)
    text = unit("".join(argument), argument, reader.units)
    return [Verbatim(text)] if text else []


def _joined(value: Sequence[str], unit: Sequence[str], before: Sequence[str] = ()) -> list[str]:
    """Return a number with its unit after it. Before it may stand the currency of a price: `$3/kg`."""
    if not unit:
        return [*before, *value]
    first = unit[0]
    if before and first.startswith("1/"):
        return [*before, *value, first[1:], *unit[1:]]
    space = [] if first in _NO_SPACE or not value else [" "]
    return [*before, *value, *space, *unit]


def _value(reader: Definitions) -> list[str]:
    """Return a number as it is printed: `1.5e-3` is 1.5 × 10^-3. What is no plain number is a formula."""
    argument = reader.argument()
    text = _SIGNS.sub(" ± ", "".join(argument)).strip(" ~")
    text = f"±{text[2:]}" if text.startswith("± ") else text
    if "$" in text:
        return argument
    if _FORMULA.search(text):
        return ["$", *tokens(text), "$"]
    text = _TIMES.sub(" × ", _NO_ZERO.sub("0.", text))
    text = _POWER_ALONE.sub(r"\g<1>10^\2", text)
    text = _EXPONENT.sub(r" × 10^\1", text)
    return tokens(_UNCERTAIN.sub(r"(\1)\2", text))


def _quantity(reader: Definitions) -> None:
    """Print `\\SI[settings]{2}[what stands before]{\\metre}`, and version 3's `\\qty{2}{\\metre}`."""
    reader.option()
    value = _value(reader)
    before = reader.option() or []
    reader.put_back(_joined(value, _unit_tokens(reader), before))


def _unit(reader: Definitions) -> None:
    """Print siunitx's `\\unit[settings]{unit}`, or `\\unit[value]{unit}` of the package units."""
    if "SIunits" in reader.packages:
        _quantity(reader)
        return
    value = "".join(reader.option() or []).strip()
    if value and "=" not in value:
        reader.put_back(["{", *tokens(value), "}"])
        reader.put_back(_joined(_value(reader), _unit_tokens(reader)))
    else:
        reader.put_back(_unit_tokens(reader))


def free_unit(reader: Definitions, name: str, in_table: bool) -> bool:
    """Print units that stand in the text, with the package SIunits, or in a table with siunitx."""
    packages = {"SIunits", "siunitx"} if in_table else {"SIunits"}
    if not is_unit(name) or not reader.packages & packages:
        return False
    found = [name]
    while is_unit(reader.peek().rstrip()):
        found.append((reader.raw() or "").rstrip())
    reader.put_back([Verbatim(unit("".join(found), found, reader.units))])
    return True


def _number(reader: Definitions) -> None:
    reader.option()
    reader.put_back(_value(reader))


def _range(reader: Definitions, has_unit: bool) -> None:
    """Print `\\SIrange{1}{2}{\\metre}` or `\\numrange{1}{2}`."""
    reader.option()
    values = [*_value(reader), " to ", *_value(reader)]
    reader.put_back(_joined(values, _unit_tokens(reader)) if has_unit else values)


def _list(reader: Definitions, has_unit: bool) -> None:
    """Print `\\SIlist{1;2}{\\metre}` or `\\numlist{1;2}`."""
    reader.option()
    first, _, last = "".join(_value(reader)).rpartition(";")
    joined = re.sub(r"\s*;\s*", ", ", first)
    values = tokens(f"{joined} and {last.strip()}" if first else last)
    reader.put_back(_joined(values, _unit_tokens(reader)) if has_unit else values)


def _product(reader: Definitions, has_unit: bool) -> None:
    """Print `\\qtyproduct{2 x 3}{\\metre}` or `\\numproduct{2 x 3}`."""
    reader.option()
    values = _value(reader)
    reader.put_back(_joined(values, _unit_tokens(reader)) if has_unit else values)


def _angle(reader: Definitions) -> None:
    """Print `\\ang{degrees;minutes;seconds}`."""
    reader.option()
    parts = "".join(reader.argument()).split(";")
    reader.put_back([part.strip() + mark for part, mark in zip(parts, "°′″", strict=False) if part.strip()])


def _declare(reader: Definitions) -> None:
    """Learn `\\DeclareSIUnit[settings]\\parsec{pc}`, or `\\newunit` of version 1."""
    reader.option()
    name = "".join(reader.argument()).strip()
    reader.units[name] = reader.argument()


def _ion(reader: Definitions) -> None:
    """Print `\\ion{C}{4}` of the astronomers' classes: C IV."""
    element, stage = reader.argument(), reader.argument()
    number = "".join(stage).strip()
    if number and set(number) <= set("ivx"):
        stage = [number.upper()]
    elif number.isascii() and number.isdigit() and len(number) < 3 and int(number) < len(_ROMAN):
        stage = [_ROMAN[int(number)]]
    reader.put_back([*element, " ", *stage])


def _table_number(reader: Definitions) -> None:
    """Print siunitx's number; in the classes of astronomers, it is that of a table, which we count."""
    reader.option()
    value = _value(reader)
    reader.put_back(value if "siunitx" in reader.packages else [])


# The function that replaces each command by what it prints.
QUANTITIES: dict[str, Callable[[Definitions], None]] = {
    **dict.fromkeys(("\\si", "\\unit"), _unit),
    **dict.fromkeys(("\\SI", "\\qty", "\\complexqty"), _quantity),
    **dict.fromkeys(("\\num", "\\complexnum"), _number),
    "\\tablenum": _table_number,
    **dict.fromkeys(("\\SIrange", "\\qtyrange"), partial(_range, has_unit=True)),
    **dict.fromkeys(("\\SIlist", "\\qtylist"), partial(_list, has_unit=True)),
    "\\numrange": partial(_range, has_unit=False),
    "\\numlist": partial(_list, has_unit=False),
    "\\numproduct": partial(_product, has_unit=False),
    "\\qtyproduct": partial(_product, has_unit=True),
    "\\ang": _angle,
    "\\ion": _ion,
    **dict.fromkeys(("\\DeclareSIUnit", "\\newunit", "\\DeclareSIPrefix"), _declare),
}
