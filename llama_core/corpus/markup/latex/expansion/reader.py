"""Unexpanded tokens from a stack of files, with the arguments that TeX reads off them, within a budget.

This module knows how an argument, an option, a star or a length is read, and bounds the work of macros.
"""

import re
from collections.abc import Iterable

from llama_core.corpus.markup.latex.commands import TAKES_NUMBER, TAKES_WORD, words
from llama_core.corpus.markup.latex.expansion.lexer import PAR, Lexer

# A length or a number as plain TeX writes it: a sign, a number and a unit, any of which may be left out.
_DIMENSION = re.compile(
    r"[-+\s]*+(?:(?P<number>\d+[.,]?\d*|[.,]\d+|\"[0-9A-F]+|'[0-7]+)\s*"
    r"(?P<unit>(?:true\s*)?(?:pt|cm|mm|em|ex|in|pc|bp|dd|cc|sp|mu|fil+))?)?"
)
_REGISTERS = words("\\count \\dimen \\skip \\muskip \\toks \\wd \\ht \\dp \\fontdimen")
_INDEX = re.compile(r"\s*\d+ ?")
_EQUALS = re.compile(r"\s*=?")
_NUMBER = re.compile(r"\s*[-+]?(\d+|\"[0-9A-F]+|'[0-7]+)\s?")
_STRETCH = re.compile(r"\s*(?:plus|minus)(?![a-z])\s*")
_MAX_RUN = 80  # characters up to which tokens are joined, as macros part a length into several

# Characters that may be paid for: those that any paper has, and more for each character of its files.
_BUDGET, _BUDGET_PER_CHAR = 1 << 18, 4
_DEPTH = 50  # how deep files may input one another


class MacroBomb(Exception):
    """The macros of a paper make more text than any paper's do."""


class TokenReader:
    """The tokens of a paper as they are written: those that were put back, then those of the innermost file.

    `chars`: the size of the files. What is put back is paid for, by its length, from a budget that grows with
    that size: any input takes linear time and memory, or ends in a MacroBomb.
    """

    def __init__(self, chars: int):
        self._frames: list[tuple[Lexer, list[str]]] = []  # open files; what was put back, the next token last
        self._absent: set[str] = set()  # what `skip` has not found
        self.boxes: dict[str, list[str]] = {}  # what \\setbox has put into a register
        self._left = _BUDGET + _BUDGET_PER_CHAR * chars

    def open(self, lexer: Lexer, chars: int) -> bool:
        """Open a file to be read before the rest. Return False if files are nested too deep or in a circle.

        `chars`: the size of the file. Raises MacroBomb.
        """
        if len(self._frames) >= _DEPTH or any(lexer.name == above.name for above, _ in self._frames):
            return False
        self.pay(chars)
        self._frames.append((lexer, []))
        return True

    @property
    def lexer(self) -> Lexer:
        """The lexer of the innermost file."""
        return self._frames[-1][0]

    def pay(self, chars: int) -> None:
        """Take a number of characters off the budget. Raises MacroBomb if it does not have them."""
        self._left -= chars
        if self._left < 0:
            raise MacroBomb

    def raw(self) -> str | None:
        """Return the next token, not expanded; None at the end of the paper."""
        while self._frames:
            lexer, ahead = self._frames[-1]
            if ahead:
                return ahead.pop()
            if (token := lexer.next()) is not None:
                return token
            if len(self._frames) == 1:
                return None
            self._frames.pop()
        return None

    def leave(self) -> None:
        """End the innermost file here."""
        lexer, ahead = self._frames[-1]
        lexer.stop()
        ahead.clear()

    def put_back(self, tokens: Iterable[str]) -> None:
        """Put tokens back, to be read next. Raises MacroBomb if the budget cannot pay for them."""
        tokens = [t for t in tokens if t]
        self.pay(1 + sum(map(len, tokens)))
        self._frames[-1][1].extend(reversed(tokens))

    def unread(self, token: str) -> None:
        """Put back what was only looked at: a command does so a fixed number of times, and need not pay."""
        self._frames[-1][1].append(token)

    def solid(self) -> str | None:
        """Return the next token that is not white space, or a blank line (`PAR`); None at the end."""
        while (token := self.raw()) is not None and token != PAR:
            if stripped := token if token[0] == "\\" else token.lstrip():
                return stripped if type(token) is str else token
        return token

    def single(self) -> str:
        """Return the next token that is not white space, or the first character of text; empty at the end."""
        token = self.solid() or ""
        if type(token) is str and len(token) > 1 and token[0] not in "\\#\n":
            self.put_back([token[1:]])
            return token[0]
        return token.rstrip()

    def peek(self) -> str:
        """Return the next token without taking it; empty at the end."""
        token = self.raw()
        if token is None:
            return ""
        self.unread(token)
        return token

    @property
    def waiting(self) -> int:
        """The number of tokens of the innermost file that were put back and are not read yet."""
        return len(self._frames[-1][1])

    def forget(self, tokens: int) -> None:
        """Leave out so many of the tokens that were put back."""
        del self._frames[-1][1][len(self._frames[-1][1]) - max(0, tokens) :]

    def group_ahead(self) -> bool:
        """Tell whether a group comes next. White space before it is taken."""
        token = self.raw()
        if token is None:
            return False
        if token != PAR and token.isspace() and self.peek() == "{":
            return True
        self.unread(token)
        return token == "{"

    def argument(self, long: bool = True) -> list[str]:
        """Return the tokens of `{...}` without the braces, or one token.

        If it is not `long`, it ends with the paragraph at the latest.
        """
        token = self.solid()
        if token is None:
            return []
        if token == "{":
            return self._group(long)
        if token in (PAR, "}") or token.startswith("\\end{"):
            self.put_back([token])
            return []
        if token[0] in "\\#" or type(token) is not str:
            return [token]
        self.put_back([token[1:]])
        return [token[0]]

    def _group(self, long: bool) -> list[str]:
        """Return the tokens up to the end of the group that has begun."""
        found: list[str] = []
        depth = 0
        while (token := self.raw()) is not None:
            if token == "{":
                depth += 1
            elif token == "}":
                depth -= 1
                if depth < 0:
                    break
            elif token == PAR and not long:
                self.put_back([token])
                break
            found.append(token)
        self.pay(sum(map(len, found)))
        return found

    def option(self, opening: str = "[", closing: str = "]") -> list[str] | None:
        """Return the tokens of `[...]` without the brackets; None if something else comes next."""
        skipped: list[str] = []
        while (token := self.raw()) is not None and token != PAR and not token.strip():
            skipped.append(token)
        if token is None or type(token) is not str or not token.lstrip().startswith(opening):
            for seen in (token, *reversed(skipped)):
                if seen:
                    self.unread(seen)
            return None
        self.put_back([token.lstrip()[len(opening) :]])
        found = self.until(closing)
        if found is None:
            self.put_back([*skipped, opening])
        return found

    def until(self, closing: str) -> list[str] | None:
        """Return the tokens up to `closing` (characters, or a control word), which is taken too.

        Return None, and take nothing, if the paragraph or the group ends before. A blank line is a `\\par`.
        """
        found: list[str] = []
        depth = 0
        while (token := self.raw()) is not None:
            if token == PAR:
                if closing == "\\par":
                    return found
                break
            if token == "{":
                depth += 1
            elif token == "}":
                depth -= 1
                if depth < 0:
                    break
            elif depth == 0:
                if token[0] == "\\" or closing[0] == "\\":
                    if token.rstrip() == closing:
                        return found
                elif type(token) is str and (at := token.find(closing)) >= 0:
                    found.append(token[:at])
                    self.put_back([token[at + len(closing) :]])
                    return found
            self.pay(len(token))
            found.append(token)
        self.put_back(found if token is None else [*found, token])
        return None

    def skip(self, closing: str) -> bool:
        """Leave out the tokens up to a control word of this file. False if it does not come, and all stay.

        One that has not come once is not looked for again.
        """
        found: list[str] = []
        frames = len(self._frames)
        while closing not in self._absent and (token := self.raw()) is not None:
            found.append(token)
            if len(self._frames) < frames:
                break
            if token.rstrip() == closing:
                return True
        self._absent.add(closing)
        self.put_back(found)
        return False

    def rest_of_paragraph(self) -> list[str]:
        """Return the tokens up to a blank line, which stays, or up to a \\par, which is taken."""
        found: list[str] = []
        while (token := self.raw()) is not None and token.rstrip() != "\\par":
            if token == PAR:
                self.unread(token)
                break
            self.pay(len(token))
            found.append(token)
        return found

    def word(self) -> str:
        """Return the characters of an argument that is a name."""
        return "".join(self.argument(long=False)).strip()

    def star(self) -> bool:
        """Take a star, if one comes next, and tell whether it did."""
        return self.mark("*")

    def mark(self, character: str) -> bool:
        """Take a character, if it comes next, and tell whether it did."""
        token = self.raw()
        if token is None:
            return False
        if type(token) is str and token.startswith(character):
            self.put_back([token[1:]])
            return True
        self.unread(token)
        return False

    def expand_ahead(self) -> None:
        """Expand the macros that come next. This reader knows none."""

    def run(self) -> str:
        """Return the characters that come next, up to a command, a group or another special character."""
        pieces: list[str] = []
        while sum(map(len, pieces)) < _MAX_RUN and (token := self.raw()) is not None:
            if type(token) is not str or token[0] in "\\{}$&#^_~\n":
                self.unread(token)
                break
            pieces.append(token)
        return "".join(pieces)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Take what the pattern matches off the next characters, and return the match, if there is one."""
        run = self.run()
        found = pattern.match(run)
        if rest := run[found.end() :] if found else run:
            self.unread(rest)
        return found

    def number(self) -> str | None:
        """Take a number, after a `=` or without, and return its digits; None if a word stands for it."""
        self.take(_EQUALS)
        self.expand_ahead()
        if self.character_ahead():
            return None
        found = self.take(_NUMBER)
        if found is None:
            self.word_ahead()
        return found[1] if found else None

    def word_ahead(self) -> bool:
        """Take a control word, if one comes next, and tell whether it did."""
        name = self.peek().rstrip()
        if name[:1] != "\\" or not name[-1:].isalpha():
            return False
        self.raw()
        if name in _REGISTERS:
            self.take(_INDEX)
        return True

    def character_ahead(self) -> bool:
        """Take a character's code, such as `` `\\% ``, if one comes next, and tell whether it did."""
        token = self.peek()
        if not token.startswith("`"):
            return False
        self.raw()
        self.put_back([token[1:]])
        self.single()
        return True

    def length(self, name: str) -> None:
        """Leave out what plain TeX reads after `name`: a length, a number or the target of an assignment."""
        equals = self.take(_EQUALS)
        assigns = equals is not None and "=" in equals[0]
        if assigns and self.character_ahead():
            return
        if name in TAKES_NUMBER:
            self._dimension(word=False, factor=False)
            return
        if not self._dimension(word=name in TAKES_WORD or assigns):
            return
        while (found := self.take(_STRETCH)) is not None:
            if not self._dimension(word=True):
                self.put_back([found[0]])
                return

    def _dimension(self, word: bool, factor: bool = True) -> bool:
        """Take a length, and tell whether there was one. `word`: a control word may stand for it.

        `factor`: a number may stand before a control word, as in `2\\baselineskip`.
        """
        if word:
            self.expand_ahead()
        found = self.take(_DIMENSION)
        if found is None or not found["number"]:
            return word and self.word_ahead()
        if factor and not found["unit"] and not self.peek().startswith(" ") and found[0][-1:] != " ":
            self.word_ahead()
        return True

    def box_size(self) -> None:
        """Leave out the size of a box: `\\hbox to 3cm{...}`."""
        for word in ("to", "spread"):
            if type(token := self.peek()) is str and token.lstrip().startswith(word):
                self.raw()
                self.put_back([token.lstrip().removeprefix(word)])
                self.length("\\hskip")
