"""TeX's own conditionals, decided where their operands are written out or are macros.

One of a register, of a box or of a mode is not decided. The syntax is in the TeXbook, chapter 20.
"""

import re
from collections.abc import Callable

from llama_core.corpus.markup.latex.expansion.counters import number
from llama_core.corpus.markup.latex.expansion.definitions import Definitions

_SIGN = re.compile(r"\s*([<=>])")
_LENGTH = re.compile(r"\s*([-+]?)\s*(\d{1,9}(?:[.,]\d{0,9})?|[.,]\d{1,9})\s*(?:true\s*)?([a-z]{2})\s?")
# Scaled points in each unit, as TeX has them.
_UNITS = {
    "pt": 65536.0, "pc": 786432.0, "in": 4736286.0, "bp": 65781.0, "cm": 1864679.0,
    "mm": 186467.0, "dd": 70124.0, "cc": 841489.0, "sp": 1.0,
}  # fmt: skip
_MAX_NAME = 100  # tokens of the name between \ifcsname and \endcsname


def in_points(text: str) -> float | None:
    """Return a length in scaled points; None where it is not one of a fixed unit."""
    found = _LENGTH.fullmatch(text)
    return _scaled(found) if found else None


def _scaled(found: re.Match[str]) -> float | None:
    if found[3] not in _UNITS:
        return None
    value = float(found[2].replace(",", ".")) * _UNITS[found[3]]
    return -value if found[1] == "-" else value


def _length(reader: Definitions) -> float | None:
    """Take a length, and return it in scaled points; None where it is not one of a fixed unit."""
    reader.expand_ahead()
    found = reader.take(_LENGTH)
    if not found or found[3] not in _UNITS:
        reader.word_ahead()
        return None
    return _scaled(found)


def _compared(reader: Definitions, operand: Callable[[Definitions], float | None]) -> bool:
    """Decide `1<2` between two operands."""
    first = operand(reader)
    reader.expand_ahead()
    sign, second = reader.take(_SIGN), operand(reader)
    if first is None or second is None or not sign:
        return False
    return {"<": first < second, "=": first == second, ">": first > second}[sign[1]]


def _is_odd(reader: Definitions) -> bool:
    value = number(reader)
    return value is not None and value % 2 == 1


def _are_alike(reader: Definitions) -> bool:
    """Decide \\if: whether the next two characters, after expansion, are the same."""
    reader.expand_ahead()
    first = reader.single()
    reader.expand_ahead()
    if reader.peek().rstrip() == "\\detokenize":
        reader.raw()
        reader.put_back(reader.argument())
    second = reader.single()
    return first == second != ""


def _is_named(reader: Definitions) -> bool:
    """Decide \\ifcsname: whether there is a macro or a flag of the name before \\endcsname."""
    name = ""
    for _ in range(_MAX_NAME):
        reader.expand_ahead()
        token = reader.raw()
        if token is None or token.rstrip() == "\\endcsname":
            break
        name += token
    return "\\" + name in reader.macros or "\\" + name in reader.flags


def _mean_the_same(reader: Definitions) -> bool:
    """Decide \\ifx: whether two tokens mean the same."""
    first, second = reader.single(), reader.single()
    if "\\undefined" in (first, second):
        other = second if first == "\\undefined" else first
        return not (other in reader.macros or other in reader.flags or other in reader.known)
    a, b = reader.macros.get(first), reader.macros.get(second)
    return a == b if a or b else first == second


def _is_defined(reader: Definitions) -> bool:
    name = reader.single()
    return name in reader.macros or name in reader.flags


# The function that takes the operands of each conditional, and decides it.
COMPARISONS: dict[str, Callable[[Definitions], bool]] = {
    "\\ifnum": lambda reader: _compared(reader, number),
    "\\ifdim": lambda reader: _compared(reader, _length),
    "\\ifodd": _is_odd,
    "\\if": _are_alike,
    "\\ifcsname": _is_named,
    "\\ifx": _mean_the_same,
    "\\ifdefined": _is_defined,
}
