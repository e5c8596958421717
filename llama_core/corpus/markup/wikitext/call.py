"""A call of a template: its name and arguments, which are split before anything in them is expanded."""

import re
from collections.abc import Callable
from functools import cached_property

from llama_core.corpus.markup.wikitext.tree import Nodes

_NAME = re.compile(r"[\w .-]{1,40}|[±×]")


class Call:
    """A call on a page. Its arguments are expanded, by `text`, when a reader asks for them.

    `language`: the code of the page's Wikipedia.
    """

    def __init__(self, name: str, parts: list[Nodes], text: Callable[[Nodes], str], language: str = ""):
        self.name = " ".join(name.replace("_", " ").split())
        self.key = self.name.lower()
        self.language = language
        self.n_parts = len(parts)
        self._parts, self._text = parts, text

    @cached_property
    def args(self) -> list[str]:
        """The arguments by position, in order; one that is named by its place has no spaces around it."""
        return self._arguments[0]

    @cached_property
    def named(self) -> dict[str, str]:
        """The arguments by name, in lower case."""
        return self._arguments[1]

    @cached_property
    def words(self) -> list[str]:
        """The arguments by position that are not empty, without the spaces around them."""
        return [word for arg in self.args if (word := arg.strip())]

    @property
    def first(self) -> str:
        """The first argument, which may have a name."""
        return self.args[0].strip() if self.args else self.given("text", "quote")

    def given(self, *names: str) -> str:
        """Return the first of these named arguments that is not empty, without the spaces around it."""
        return next((value for name in names if (value := self.named.get(name, "").strip())), "")

    @cached_property
    def _arguments(self) -> tuple[list[str], dict[str, str]]:
        places: dict[int, str] = {}
        named: dict[str, str] = {}
        count = 0
        for part in self._parts:
            key, value = split_argument(part)
            name = self._text(key).strip() if key is not None else ""
            if key is None or not _NAME.fullmatch(name):
                count += 1
                places[count] = self._text(part)
            elif name.isascii() and name.isdigit() and len(name) < 4:
                places[int(name)] = self._text(value).strip()
            else:
                named[name.lower()] = self._text(value)
        return [places[place] for place in sorted(places)], named


def split_argument(part: Nodes) -> tuple[Nodes | None, Nodes]:
    """Return an argument's name, None if it has none, and its value.

    An equals sign inside of a link, a parameter or another call parts nothing.
    """
    for i, node in enumerate(part):
        if isinstance(node, str) and "=" in node:
            name, _, value = node.partition("=")
            return [*part[:i], name], [value, *part[i + 1 :]]
    return None, part
