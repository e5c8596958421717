"""The columns of a table: what is printed between two of them, such as the decimal point of `r@{.}l`."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

_GROUP = r"\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\}"
_REPEATED = re.compile(rf"\*\s*\{{\s*(\d{{1,2}})\s*\}}\s*({_GROUP})")
_PART = re.compile(
    rf"[@!]\s*({_GROUP})|>\s*({_GROUP})|<\s*{_GROUP}|([A-Za-z])(?:\[[^]]*+\])?(?:\s*{_GROUP})*+"
)
# Commands and lengths that only part two columns, and what is printed.
_SPACE = re.compile(
    r"\\(?!text|ensuremath|math)[A-Za-z]+\*?\s*\{[^{}]*\}|\\[^A-Za-z]|-?[\d.]++\s*+(?:[a-z]{2}|\\)"
)
_PRINTED = re.compile(r"[-.,:/=±–]|\\(?:pm|times|cdot|to)(?![A-Za-z])")
_MAX_CHARS = 2000


@dataclass(slots=True)
class Table:
    """A table that is open.

    `groups`: the number of open braces around it. `joints`: what is printed after a column, by its number.
    `formulas`: the columns whose cells are formulas. `column`: that of the cell that is read. `spans`: the
    cell has a \\multicolumn, after which nothing is.
    """

    groups: int
    joints: dict[int, str] = field(default_factory=dict)
    formulas: set[int] = field(default_factory=set)
    column: int = 0
    spans: bool = False

    def next_cell(self) -> str:
        """Go on to the next cell, and return what is printed before it; empty where it is only a space."""
        joint = "" if self.spans else self.joints.get(self.column, "")
        self.column, self.spans = self.column + 1, False
        return joint


def table_of(columns: str, groups: int = 0, formulas: Collection[str] = ()) -> Table:
    """Return a table with columns such as `l r@{.}l >{$}c<{$}`. `formulas`: letters that stand for such."""
    for _ in range(2):
        columns = _REPEATED.sub(lambda m: m[2][1:-1] * int(m[1]), columns[:_MAX_CHARS])
    table = Table(groups)
    column = 0
    for joint, before, letter in _PART.findall(columns[:_MAX_CHARS]):
        if "$" in before or letter in formulas:
            table.formulas.add(column)
        if letter:
            column += 1
        elif joint and _PRINTED.search(_SPACE.sub("", joint)):
            table.joints[column - 1] = joint[1:-1]
    return table
