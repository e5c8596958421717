"""The marks of bold and italics, told from apostrophes line by line as MediaWiki tells them."""

import re

from llama_core.corpus.markup.wikitext.tree import APART

_QUOTES = re.compile(r"('{2,})")


def unquote(text: str) -> str:
    """Take the marks of bold and italics off a text whose tags and external links are still there.

    What parts two runs of quotes on the page must still stand between them: a tag, or APART in the place of
    a reference or of a link's end.
    """
    if "''" not in text:
        return text
    return "\n".join(_unquote(line) if "''" in line else line for line in text.split("\n"))


def _unquote(line: str) -> str:
    parts = _QUOTES.split(line)
    for i in range(1, len(parts), 2):  # four are an apostrophe and bold; over five, apostrophes and both
        length = len(parts[i])
        extra = 1 if length == 4 else max(0, length - 5)
        parts[i - 1] += "'" * extra
        parts[i] = parts[i][extra:]
    runs = [len(run) for run in parts[1::2]]
    bold = sum(length != 2 for length in runs)
    italic = sum(length != 3 for length in runs)
    if bold % 2 and italic % 2 and (place := _apostrophe(parts)) is not None:
        parts[place - 1] += "'"
    return "".join(parts[0::2])


def _apostrophe(parts: list[str]) -> int | None:
    """Return the place in `parts` of the run of three that is an apostrophe before italics.

    That is the first one after a word of one letter, else the first after any word, else the first of all.
    """
    after_word = after_space = None
    for place in range(1, len(parts), 2):
        if len(parts[place]) != 3:
            continue
        before = parts[place - 1].rstrip(APART)
        if before.endswith(" "):
            after_space = after_space or place
        elif before[-2:-1] == " ":
            return place
        else:
            after_word = after_word or place
    return after_word or after_space
