"""Texts of which one is printed: tracked changes (changes, trackchanges, easyReview), and beamer's choices.

What was deleted is left out by `commands.ARGUMENTS`.
"""

from collections.abc import Callable

from llama_core.corpus.markup.latex.commands import words
from llama_core.corpus.markup.latex.macros import Expander


def _replaced(tokens: Expander) -> None:
    """Print the first of the texts of `\\replaced[id=x]{new}{old}`, or of beamer's `\\alt{a}{b}`."""
    tokens.option()
    first, _ = tokens.argument(), tokens.argument()
    tokens.put_back(first)


def _second(tokens: Expander) -> None:
    """Print the second of the texts of `\\change[editor]{old}{new}`."""
    tokens.option()
    tokens.argument()


def _middle(tokens: Expander) -> None:
    """Print the second of the three texts of beamer's `\\temporal<2>{before}{then}{after}`."""
    tokens.argument()
    then, _ = tokens.argument(), tokens.argument()
    tokens.put_back(then)


# What is done for each command.
CHANGES: dict[str, Callable[[Expander], None]] = {
    **dict.fromkeys(words("\\replaced \\alt \\annote"), _replaced),
    **dict.fromkeys(words("\\change \\replace"), _second),
    "\\temporal": _middle,
}
