"""Templates expanded as MediaWiki does it, bounded in depth, size and steps.

What cannot be known (a module in Lua, another page) makes the whole call unknown, for part of a text may say
something else than all of it. Then the readers by hand are asked (`templates`).
"""

import datetime

from llama_core.corpus.markup.wikitext.call import Call, split_argument
from llama_core.corpus.markup.wikitext.expand import functions
from llama_core.corpus.markup.wikitext.expand.aliases import in_english
from llama_core.corpus.markup.wikitext.expand.definitions import Definitions
from llama_core.corpus.markup.wikitext.expand.frame import (
    MAX_CHARS,
    Frame,
    Later,
    TooLargeError,
    UnknownError,
    sure,
)
from llama_core.corpus.markup.wikitext.templates import render
from llama_core.corpus.markup.wikitext.tree import CALL, HOLE, LINK, PARAMETER, Node, Nodes

MAX_DEPTH = 40  # of calls in definitions of calls
MAX_NESTED = 100  # of nodes that are being expanded: bounds the interpreter's stack
MAX_STEPS = 10_000  # calls and parameters for one call of a page
MAX_PAGE_STEPS = 500_000
MAX_PAGE_CHARS = 1 << 26  # that are written while the calls of a page are expanded


class Expander:
    """Expands calls of one page."""

    def __init__(
        self,
        definitions: Definitions,
        title: str = "",
        language: str = "",
        today: datetime.datetime | None = None,
    ):
        self.definitions, self.language = definitions, language
        self._title, self._today = title, today
        self.knows_page = False  # whether anything so far depends on the page
        self.by_hand = False  # whether the call that was expanded last was read by hand
        self._steps = self._nested = self._chars = 0
        self._page_steps = self._page_chars = 0

    @property
    def title(self) -> str:
        """The page's title."""
        self.knows_page = True
        return self._title

    @property
    def today(self) -> datetime.datetime:
        """The day of the page's revision. Raises UnknownError where that is not known."""
        self.knows_page = True
        if self._today is None:
            raise UnknownError
        return self._today

    def expand(self, call: Node) -> str:
        """Return the wikitext that a call of the page stands for. Raises UnknownError."""
        self._page_steps += self._steps
        self._page_chars += self._chars
        self._steps = self._nested = self._chars = 0
        self.by_hand = self.knows_page = False
        if self._page_steps > MAX_PAGE_STEPS or self._page_chars > MAX_PAGE_CHARS:
            self.knows_page = True
            raise TooLargeError
        return self._call(call, Frame())

    def text(self, nodes: Nodes, frame: Frame) -> str:
        """Return the wikitext that nodes stand for in a frame. Raises UnknownError."""
        if len(nodes) == 1 and isinstance(nodes[0], str):
            return nodes[0]
        text = "".join(node if isinstance(node, str) else self._expanded(node, frame) for node in nodes)
        self._chars += len(text)
        if len(text) > MAX_CHARS or self._chars > 20 * MAX_CHARS:
            raise TooLargeError
        return text

    def known(self, nodes: Nodes, frame: Frame) -> str:
        """Return what `text` does, without spaces at its ends. Raises UnknownError where it has a hole."""
        return sure(self.text(nodes, frame).strip())

    def _expanded(self, node: Node, frame: Frame) -> str:
        self._nested += 1
        self._steps += 1
        if self._nested > MAX_NESTED or self._steps > MAX_STEPS:
            raise TooLargeError
        try:
            if node.kind == PARAMETER:
                return self._parameter(node, frame)
            if node.kind == CALL:
                try:
                    return self._call(node, frame)
                except TooLargeError:
                    raise
                except UnknownError:
                    if frame.depth:
                        raise
                    return HOLE  # an argument on the page itself
            inside = "|".join(self.text(part, frame) for part in node.parts)
            return f"[[{inside}]]" if node.kind == LINK else f"\n{{|{inside}\n|}}"
        finally:
            self._nested -= 1

    def _parameter(self, node: Node, frame: Frame) -> str:
        name = self.text(node.parts[0], frame).strip()
        value = frame.arguments.get(name)
        if isinstance(value, Later):
            text = self.text(value.nodes, value.frame)
            value = frame.arguments[name] = text.strip() if value.is_named else text
        if value is not None:
            return value
        if len(node.parts) > 1:
            return self.text(node.parts[1], frame)
        return "" if not frame.depth else f"{{{{{{{name}}}}}}}"

    def _call(self, node: Node, frame: Frame) -> str:
        name = in_english(self.definitions.bare(self.text(node.parts[0], frame)), self.language)
        parts = node.parts[1:]
        if HOLE in name and ":" not in name:
            raise UnknownError
        result = functions.evaluated(self, name, parts, frame)
        return self._template(name, parts, frame) if result is None else result

    def _template(self, name: str, parts: list[Nodes], frame: Frame) -> str:
        title = self.definitions.title_of(name)
        tree = self.definitions.find(title)
        if tree is not None:
            if frame.depth >= MAX_DEPTH:
                raise TooLargeError
            try:
                return self.text(tree, Frame(frame.depth + 1, self._arguments(parts, frame)))
            except TooLargeError:
                raise
            except UnknownError:
                pass
        for known_as in (name, title) if title != name else (name,):  # the target of a redirect, too
            call = Call(known_as, parts, lambda nodes: self.text(nodes, frame), self.language)
            if (words := render(call)) is not None:
                self.by_hand = self.by_hand or not self._nested
                return words
        raise UnknownError

    def _arguments(self, parts: list[Nodes], frame: Frame) -> dict[str, str | Later]:
        arguments: dict[str, str | Later] = {}
        count = 0
        for part in parts:
            key, value = split_argument(part)
            name = None if key is None else self.text(key, frame).strip()
            if name is None or "<" in name:  # an equals sign of a tag
                count += 1
                arguments[str(count)] = Later(part, frame, is_named=False)
            else:
                arguments[name] = Later(value, frame, is_named=True)
        return arguments
