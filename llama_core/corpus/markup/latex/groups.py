"""The groups and writers that are open while a paper is read, and the arguments that are left out.

This is the lowest layer of the renderer: the means by which the layers above divert text and leave out
arguments.
"""

import re
from collections.abc import Callable

from llama_core.corpus.markup.latex.expansion.macros import Expander
from llama_core.corpus.markup.latex.text import TextWriter

# When beamer shows what follows.
_OVERLAY = re.compile(
    r"<(?:[\d+*.,|:@ -]|beamer|article|handout|presentation|trans|second|all|alert|visible|only)+>"
)
_MAX_WRITERS = 30  # that are open at once


class Groups:
    """The writers and groups that are open, over the tokens of a paper.

    A writer collects lines. Text that interrupts a paragraph is diverted to another writer, and follows it.
    """

    def __init__(self, tokens: Expander):
        self._tokens = tokens
        self._writers = [TextWriter()]
        self._groups: list[Callable[[], None] | None] = []  # what is called at the end of each open brace

    @property
    def _out(self) -> TextWriter:
        return self._writers[-1]

    # --- groups, and the writers that they divert to

    def _braced(self, close: Callable[[], None]) -> None:
        """Open the group of the argument that follows; `close` is called at its end."""
        token = self._tokens.solid()
        if token != "{":
            self._tokens.put_back([token or ""])
            self._tokens.put_back([*self._tokens.argument(), "}"])
        self._groups.append(close)

    def _close_group(self) -> None:
        if self._groups and (close := self._groups.pop()):
            close()

    def _divert(self, muted: bool = False) -> int:
        """Send what is written from now on to a new writer, and return the number of writers below it.

        A muted one forgets what is written. If too many writers are open, the text stays where it is.
        """
        if len(self._writers) >= _MAX_WRITERS:
            return len(self._writers)
        self._writers.append(TextWriter(muted))
        return len(self._writers) - 1

    def _collect(self, depth: int) -> list[str]:
        """Return the lines that were diverted since `_divert` gave `depth`, and close their writer."""
        if len(self._writers) <= depth:
            return []
        self._unwind(depth + 1)
        return self._writers.pop().finish()

    def _unwind(self, depth: int) -> None:
        """Close all writers but the first `depth`: the lines of each become a note of the one below it."""
        while len(self._writers) > depth:
            lines = self._writers.pop().finish()
            if lines:
                self._out.notes.append(lines)

    def _open_note(self, head: str = "") -> None:
        """Turn the next argument into a note, which begins with `head`."""
        depth = self._divert()
        self._out.write(head)
        self._braced(lambda: self._note(depth))

    def _note(self, depth: int) -> None:
        lines = self._collect(depth)
        if lines:
            self._out.notes.append(lines)

    # --- arguments that are no text

    def _eat(self, letters: str, name: str = "") -> None:
        """Leave out the arguments of the command `name` that the letters stand for (see `commands`)."""
        for letter in letters:
            if letter == "*":
                self._tokens.star()
            elif letter in "ml":
                self._tokens.argument(long=letter == "l")
            elif letter == "o":
                self._tokens.option()
            elif letter == "a":
                self._tokens.option("<", ">")
            elif letter == "t":
                self._tokens.box_size()
            elif letter == "p":
                self._tokens.option("(", ")")
            else:
                self._tokens.length(name)

    def _eat_overlay(self) -> None:
        """Leave out beamer's `<2->` after a command."""
        token = self._tokens.peek()
        found = _OVERLAY.match(token)
        if found:
            self._tokens.raw()
            if rest := token[found.end() :]:
                self._tokens.unread(rest)
