"""Texts of which one is printed, or several with a sign between: tracked changes, choices, fractions.

What was deleted is left out by `commands.ARGUMENTS`.
"""

import re
from collections.abc import Callable
from functools import partial

from llama_core.corpus.markup.latex.commands import words
from llama_core.corpus.markup.latex.expansion.macros import Expander

_SUM = re.compile(r"[^\s$][-+]")  # what stands in brackets before or after a stroke


def _print(tokens: Expander, which: int, number: int) -> None:
    """Print one of the texts, such as the first of `\\replaced[id=x]{new}{old}`."""
    tokens.option()
    if tokens.group_ahead():  # else another command has this name, such as REVTeX's \\alt
        texts = [tokens.argument() for _ in range(number)]
        tokens.put_back(texts[which])


def _remark(tokens: Expander) -> None:
    """Leave out `\\comment[id=x]{remark}`; easyReview's `\\comment{text}{remark}` prints the text."""
    has_text = "easyReview" in tokens.packages
    tokens.option()
    text = tokens.argument()
    if has_text:
        tokens.argument()
        tokens.put_back(text)


def _fraction(tokens: Expander, joint: str) -> None:
    """Print `\\nicefrac{1}{2}` as 1/2."""
    tokens.option()
    parts = [tokens.argument(), tokens.argument()]
    above, below = (["(", *p, ")"] if _SUM.search("".join(p)) and joint == "/" else p for p in parts)
    tokens.put_back([*above, joint, *below])


def _quotient(tokens: Expander) -> None:
    """Print `\\unitfrac[3]{m}{s}` as 3 m/s."""
    value = tokens.option()
    above, below = tokens.argument(), tokens.argument()
    tokens.put_back([*(value or ()), *([" "] if value else []), *above, "/", *below])


def _isotope(tokens: Expander) -> None:
    """Print `\\isotope[14]{C}` as 14C."""
    tokens.put_back([*(tokens.option() or ()), *tokens.argument()])


def _drawing(tokens: Expander) -> None:
    """Leave out `\\tikz[options]{...}` and `\\tikz \\draw ...;`."""
    tokens.option()
    if tokens.group_ahead():
        tokens.argument()
    else:
        tokens.until(";")


def _mark_over(tokens: Expander) -> None:
    """Leave out the text of `\\markoverwith{rule}\\ULon{text}` if the rule is raised and strikes it."""
    if "\\rule[0." in "".join(tokens.argument()) and tokens.until("\\ULon") is not None:
        tokens.argument()


# What is done for each command.
CHANGES: dict[str, Callable[[Expander], None]] = {
    **dict.fromkeys(words("\\replaced \\chreplaced \\alt \\annote"), partial(_print, which=0, number=2)),
    **dict.fromkeys(words("\\change \\replace"), partial(_print, which=1, number=2)),
    **dict.fromkeys(words("\\pdfmarkupcomment \\pdftooltip"), partial(_print, which=0, number=2)),
    "\\comment": _remark,
    **dict.fromkeys(words("\\nicefrac \\sfrac \\textfrac \\slantfrac"), partial(_fraction, joint="/")),
    **dict.fromkeys(words("\\diagbox \\backslashbox \\slashbox"), partial(_fraction, joint=" / ")),
    "\\unitfrac": _quotient,
    "\\isotope": _isotope,
    "\\tikz": _drawing,
    "\\markoverwith": _mark_over,
    "\\temporal": partial(_print, which=1, number=3),
}
