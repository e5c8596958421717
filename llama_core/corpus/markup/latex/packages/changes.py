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


# What is done for each command.
CHANGES: dict[str, Callable[[Expander], None]] = {
    **dict.fromkeys(words("\\replaced \\alt"), _replaced),
    **dict.fromkeys(words("\\change \\replace \\temporal"), _second),
}
