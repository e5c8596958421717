"""Texts of which one is printed: tracked changes (changes, trackchanges, easyReview), and beamer's choices.

What was deleted is left out by `commands.ARGUMENTS`.
"""

from collections.abc import Callable
from functools import partial

from llama_core.corpus.markup.latex.commands import words
from llama_core.corpus.markup.latex.macros import Expander


def _print(tokens: Expander, which: int, number: int) -> None:
    """Print one of the texts, such as the first of `\\replaced[id=x]{new}{old}`."""
    tokens.option()
    if tokens.group_ahead():  # else another command has this name, such as REVTeX's \\alt
        texts = [tokens.argument() for _ in range(number)]
        tokens.put_back(texts[which])


# What is done for each command.
CHANGES: dict[str, Callable[[Expander], None]] = {
    **dict.fromkeys(words("\\replaced \\chreplaced \\alt \\annote"), partial(_print, which=0, number=2)),
    **dict.fromkeys(words("\\change \\replace"), partial(_print, which=1, number=2)),
    "\\temporal": partial(_print, which=1, number=3),
}
