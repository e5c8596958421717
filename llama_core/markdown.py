"""Markdown: text from outside shown as it is, and the tables, lists and code of every report."""

import re
from collections.abc import Iterable, Sequence

from llama_core.html import visible

# A `_` between letters or digits marks nothing. The `:` of a URL and the `.` of `www.` are here because some
# dialects make a link of it, in which every backslash is shown.
_MARKS = re.compile(
    r"[\\`*\[\]<>&|~] | (?<![^\W_])_ | _(?![^\W_]) | (?<!\S)\# | :(?=//) | (?<=www)\.",
    re.VERBOSE | re.IGNORECASE,
)
_LIST_ITEM = re.compile(r"^(\d*)([-+=.)])(?=[\s=+-]|$)")  # or a line below a title


class Markdown(str):
    """Text that is Markdown already, so that `escape` leaves it as it is."""


def escape(value: object) -> Markdown:
    """Return the value as Markdown, in one line, that shows it as it is."""
    if isinstance(value, Markdown):
        return value
    line = _MARKS.sub(r"\\\g<0>", _one_line(str(value)))
    return Markdown(_LIST_ITEM.sub(r"\1\\\2", line))


def code(text: str) -> Markdown:
    """Return text, in one line, as a span of code."""
    line = _one_line(text)
    if not line or "|" in line:  # in a table, a span of code with a `|` cannot be told from two cells
        return escape(line)
    longest = max(map(len, re.findall("`+", line)), default=0)
    marks, space = "`" * (longest + 1), " " if longest else ""
    return Markdown(f"{marks}{space}{line}{space}{marks}")


def code_block(text: str) -> Markdown:
    """Return text as a block of code; its fence is longer than any in the text, which so cannot end it."""
    longest = max([2, *map(len, re.findall("`+", text))])
    fence = "`" * (longest + 1)
    return Markdown(f"{fence}text\n{visible(text)}\n{fence}")


def bullets(items: Iterable[str]) -> Markdown:
    """Return a list. `items`: Markdown, each of which becomes one line."""
    return Markdown("\n".join(f"- {_one_line(item)}" for item in items))


def table(columns: Sequence[str], rows: Iterable[Iterable[object]], align: str = "") -> Markdown:
    """Return a table. `align`: a letter for each column, `l` or `r`; all are set left without it."""
    rules = ("---:" if side == "r" else "---" for side in align or "l" * len(columns))
    head, *body = (" | ".join(map(escape, row)) for row in (columns, *rows))
    lines = [f"| {head} |", f"|{'|'.join(rules)}|", *(f"| {row} |" for row in body)]
    return Markdown("\n".join(lines))


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()))
