"""What an expansion works with: the arguments of a call, what expands them, and what stops it."""

import datetime
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from llama_core.corpus.markup.wikitext.tree import HOLE, Nodes

MAX_CHARS = 65_536  # of an expansion
ERROR = '<strong class="error">error</strong>'  # what a parser function writes that cannot be evaluated


class UnknownError(Exception):
    """What a call gives cannot be known from the dump."""


class TooLargeError(UnknownError):
    """A call takes more than its bounds: nothing that calls it is expanded."""


@dataclass(slots=True)
class Later:
    """An argument that has not been expanded, and the frame in which it will be."""

    nodes: Nodes
    frame: "Frame"
    is_named: bool


@dataclass(slots=True)
class Frame:
    """The arguments of a call, which are expanded where they are used. The page's own frame has none.

    `depth`: of how many calls in one another this is the innermost; 0 for the page's own.
    """

    depth: int = 0
    arguments: dict[str, str | Later] = field(default_factory=dict)


class Expands(Protocol):
    """What parser functions ask of the expander."""

    language: str
    by_hand: bool

    @property
    def title(self) -> str:
        """The page's title."""
        ...

    @property
    def today(self) -> datetime.datetime:
        """The day of the page's revision. Raises UnknownError where that is not known."""
        ...

    def text(self, nodes: Nodes, frame: Frame) -> str:
        """Return the wikitext that nodes stand for in a frame. Raises UnknownError."""
        ...

    def known(self, nodes: Nodes, frame: Frame) -> str:
        """Return what `text` does, without spaces at its ends. Raises UnknownError where it has a hole."""
        ...


def give_up() -> NoReturn:
    """Raise UnknownError."""
    raise UnknownError


def replaced(source: str, old: str, new: str) -> str:
    """Return `source` with `new` for each `old`. Raises TooLargeError where that would write too much."""
    if len(new) > len(old) and source.count(old) * (len(new) - len(old)) > MAX_CHARS:
        raise TooLargeError
    return source.replace(old, new)


def sure(text: str) -> str:
    """Return a text on which something depends. Raises UnknownError where it has a hole."""
    if HOLE in text:
        raise UnknownError
    return text
