"""Values with units, as the package siunitx has them, and ions: each command gives way to what it prints."""

from collections.abc import Callable
from functools import partial

from llama_core.corpus.markup.latex.reader import TokenReader
from llama_core.corpus.markup.latex.symbols import UNITS

_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")


def _quantity(tokens: TokenReader) -> None:
    """Print `\\SI{2}{\\metre}`."""
    tokens.option()
    value = tokens.argument()
    _unit(tokens)
    tokens.put_back([*value, " "])


def _unit(tokens: TokenReader) -> None:
    """Print siunitx's `\\unit[settings]{unit}`, or `\\unit[value]{unit}` of the package units."""
    value = tokens.option() or []
    unit = [UNITS.get(t.rstrip(), t) for t in tokens.argument()]
    tokens.put_back([*value, " ", *unit] if value and "=" not in "".join(value) else unit)


def _range(tokens: TokenReader, has_unit: bool) -> None:
    """Print `\\SIrange{1}{2}{\\metre}` or `\\numrange{1}{2}`."""
    tokens.option()
    values = [*tokens.argument(), " to ", *tokens.argument()]
    if has_unit:
        _unit(tokens)
    tokens.put_back([*values, " "] if has_unit else values)


def _list(tokens: TokenReader, has_unit: bool) -> None:
    """Print `\\SIlist{1;2}{\\metre}` or `\\numlist{1;2}`."""
    tokens.option()
    values = [t.replace(";", ", ") for t in tokens.argument()]
    if has_unit:
        _unit(tokens)
    tokens.put_back([*values, " "] if has_unit else values)


def _angle(tokens: TokenReader) -> None:
    """Print `\\ang{degrees;minutes;seconds}`."""
    tokens.option()
    parts = "".join(tokens.argument()).split(";")
    tokens.put_back([part.strip() + mark for part, mark in zip(parts, "°′″", strict=False) if part.strip()])


def _ion(tokens: TokenReader) -> None:
    """Print `\\ion{C}{4}` of the astronomers' classes: C IV."""
    element, stage = tokens.argument(), tokens.argument()
    number = "".join(stage).strip()
    if number and set(number) <= set("ivx"):
        stage = [number.upper()]
    elif number.isascii() and number.isdigit() and len(number) < 3 and int(number) < len(_ROMAN):
        stage = [_ROMAN[int(number)]]
    tokens.put_back([*element, " ", *stage])


# The function that replaces each command by what it prints.
QUANTITIES: dict[str, Callable[[TokenReader], None]] = {
    **dict.fromkeys(("\\si", "\\unit"), _unit),
    **dict.fromkeys(("\\SI", "\\qty"), _quantity),
    **dict.fromkeys(("\\SIrange", "\\qtyrange"), partial(_range, has_unit=True)),
    **dict.fromkeys(("\\SIlist", "\\qtylist"), partial(_list, has_unit=True)),
    "\\numrange": partial(_range, has_unit=False),
    "\\numlist": partial(_list, has_unit=False),
    "\\ang": _angle,
    "\\ion": _ion,
}
