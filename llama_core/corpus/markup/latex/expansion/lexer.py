"""TeX text to tokens, as TeX's own reader cuts it: comments, ends of lines and verbatim are dealt with here.

A token is a string: a control word with the white space that it swallows (`\\alpha `), a control symbol,
`\\begin{name}` and `\\end{name}` whole, one of `{ } $ & ~ ^ _ #`, `#1`, an end of line, `PAR`, or a run of
other characters. The tokens of a text, comments apart, are the text: formulas stay as they were written.
"""

import re
from collections.abc import Collection

from llama_core.corpus.markup.latex.commands import words

PAR = "\n\n"  # a blank line

# The white space that a control word swallows: never a blank line.
_AFTER_WORD = r"[ \t]*+(?:\n(?![ \t]*+\n)[ \t]*+)?+"
# One token. Group 1: a blank line after a comment.
_PATTERN = r"""
    [^\\%${{}}~&\#^_\n]++
  | \\(?:begin|end)[ \t]*+\{{[^{{}}\\%$\n\#]*+\}}
  | \\(?:[{letters}]++{after}|[^{letters}\n]|\n[ \t]*+|\Z)
  | %[^\n]*+(?:\n[ \t]*+(\n\s*+)?+)?+
  | \n[ \t]*+(?:\n\s*+)?+
  | \#[1-9]
  | .
"""
# In styles, @ is a letter.
_TEX, _STYLE = (
    re.compile(_PATTERN.format(letters=letters, after=_AFTER_WORD), re.VERBOSE | re.DOTALL)
    for letters in ("A-Za-z", "A-Za-z@")
)

# Commands whose argument is no TeX, and what that may look like.
_VERB = frozenset(("\\verb", "\\lstinline", "\\mintinline"))
_VERB_BODY = re.compile(
    r"\*?+(?:\[[^]\n]{0,200}\])?(?:\{([^{}\n]{0,1000})\}|([^\sA-Za-z{])([^\n]{0,1000}?)\2)"
)
_URL = frozenset(("\\url", "\\path", "\\nolinkurl", "\\href"))
_HREF_OPTION = re.compile(r"[ \t]*+\[[^][{}\n]{0,300}\](?=\s*+\{)")
_URL_BODY = re.compile(r"[ \t]*+\{((?:[^{}\\\n]|\\[%_#&~{}]|\{[^{}\\\n]*+\})*+)\}")
_URL_BETWEEN = re.compile(r"([|!+])((?:(?!\1)[^\s\\{}])++)\1")  # as \verb has it
_ESCAPED = re.compile(r"\\(.)")
# Environments that are printed as they are.
_BLOCKS = words(
    "verbatim verbatim* Verbatim Verbatim* BVerbatim LVerbatim lstlisting minted alltt verbatimtab "
    "boxedverbatim python pythoncode code Code"
)
# Environments that are left out.
COMMENTS = words("comment filecontents filecontents* luacode luacode* pycode asy")
# The options after the `\begin{name}` of a block.
_BLOCK_OPTIONS = re.compile(
    r"[ \t]*+(?:\[(?:[^]{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\]|\{[^{}\n]*+\})*+[ \t]*+\n?"
)
_NO_OPTIONS = words("verbatim verbatim* alltt")  # blocks without any


class Verbatim(str):
    """A token whose text is no TeX: what \\verb prints, or a URL."""

    __slots__ = ()


class Listing(Verbatim):
    """A token that is a block of lines: what an environment prints as it is."""

    __slots__ = ()


class Lexer:
    """The tokens of one file, one at a time.

    `name`: the path of the file; in a style or a class, `@` is a letter. `comments`: the names of the
    environments that are left out.
    """

    def __init__(self, text: str, name: str = "", comments: Collection[str] = COMMENTS):
        self.name = name
        self._comments = comments
        self._text, self._at = text, 0
        self._pattern = _STYLE if name.endswith((".sty", ".cls")) else _TEX
        self._endless: set[str] = set()  # ends of blocks that do not come in the rest of the text

    def at_is_letter(self, yes: bool) -> None:
        """Take `@` for a letter from here on, or no longer: \\makeatletter and \\makeatother."""
        self._pattern = _STYLE if yes else _TEX

    def stop(self) -> None:
        """Leave out the rest of the file."""
        self._at = len(self._text)

    def next(self) -> str | None:
        """Return the next token; None at the end of the file."""
        while self._at < len(self._text):
            match = self._pattern.match(self._text, self._at)
            assert match is not None, "the last alternative takes any character"
            token, self._at = match.group(), match.end()
            first = token[0]
            if first == "\\":
                raw = self._raw(token)
                if raw != "":
                    return raw
            elif first == "\n":
                return PAR if token.count("\n") > 1 else "\n"
            elif first != "%":
                return token
            elif match.group(1):
                return PAR
        return None

    def _raw(self, token: str) -> str:
        """Return a token, or what is read in its place if TeX changes its rules here; empty for nothing."""
        if token.startswith(("\\begin", "\\end")) and token.endswith("}"):
            head, _, name = token[1:-1].partition("{")
            name = name.strip()
            if head.rstrip() == "begin" and (name in _BLOCKS or name in self._comments):
                return self._block(name)
            return f"\\{head.rstrip()}{{{name}}}"
        word = token.rstrip()
        if word in _VERB:
            at = self._at - (len(token) - len(word))
            if word == "\\mintinline" and (language := _URL_BODY.match(self._text, at)):
                at = language.end()
            if body := _VERB_BODY.match(self._text, at):
                self._at = body.end()
                return Verbatim(body[1] or body[3] or " ")
        elif word in _URL and (body := self._url(word)):
            if word == "\\href":
                self._at = body.end()  # the text of the link follows
                return ""
            if not re.search(r"#[1-9]", body[1]):  # else it is the body of a macro
                self._at = body.end()
                return Verbatim(_ESCAPED.sub(r"\1", body[1]).replace("{}", "") or " ")
        elif word in _URL and word != "\\href" and (body := _URL_BETWEEN.match(self._text, self._at)):
            self._at = body.end()
            return Verbatim(body[2])
        elif token == "\\":
            return ""  # the last character of the file
        return token

    def _url(self, word: str) -> re.Match[str] | None:
        """Match the argument of a command with a URL, after an option that \\href may have."""
        option = _HREF_OPTION.match(self._text, self._at) if word == "\\href" else None
        return _URL_BODY.match(self._text, option.end() if option else self._at)

    def _find(self, closing: str) -> int:
        """Return where a text comes next, or -1. One that does not come is not looked for again."""
        at = -1 if closing in self._endless else self._text.find(closing, self._at)
        if at < 0:
            self._endless.add(closing)
        return at

    def _block(self, name: str) -> str:
        """Return the environment that has begun as one token; empty if it is left out.

        If the environment does not end, its \\begin is a token like any other.
        """
        start, closing = self._at, f"\\end{{{name}}}"
        end = self._find(closing)
        if end < 0:
            return f"\\begin{{{name}}}"
        self._at = end + len(closing)
        if name in self._comments:
            return ""
        if name not in _NO_OPTIONS and (options := _BLOCK_OPTIONS.match(self._text, start, end)):
            start = options.end()
        elif self._text.startswith("\n", start):
            start += 1
        return Listing(self._text[start:end].rstrip() or " ")


def tokens(text: str) -> list[str]:
    """Return the tokens of a text."""
    lexer = Lexer(text)
    return list(iter(lexer.next, None))
