"""The small HTML of posts to plain text: a pure function, one pass, no tree, linear in the text.

Kept: words, labels of links, code with its white space, formulas between dollars, list items as lines.
Not kept: tags, pictures, comments, scripts. Entities are decoded once.
"""

import html
import re

_TOKEN = re.compile(
    r"<!--|<(/?)([a-zA-Z][a-zA-Z0-9]*)\b((?>[^<>\"']+|\"[^\"<]*\"|'[^'<]*'|[\"'])*+)>", re.DOTALL
)
_SPACES = re.compile(r"[ \t\r\f\v]+")
_PARAGRAPHS = frozenset({
    "p", "div", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "hr", "section",
    "article", "details", "summary", "figure", "figcaption", "caption", "main", "header", "footer", "aside",
    "nav", "address", "form", "fieldset", "center", "hgroup",
})  # fmt: skip
_LINES = frozenset(("br", "dt", "dd", "tr"))
_HIDDEN = frozenset(("script", "style", "template", "noscript", "iframe", "object", "rp"))
_AROUND = {"q": "“”", "rt": "()"}  # what is seen around an element, or helps to read it beside its base
_START = re.compile(r"\bstart\s*=\s*[\"']?\s*(\d{1,6})\b", re.IGNORECASE)
_SMALL = re.compile(r"[+−–-]?(?:\d{1,9}|[ijkmnptxyN])")
_SUM = re.compile(r"[\dijkmnptxyN]{1,9}[+−–*/-][\dijkmnptxyN]{1,9}")  # as in 2<sup>n-1</sup>
_RESERVED = dict.fromkeys(range(1, 9))
_INVISIBLE = _RESERVED | dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff")) | {0xA0: " "}
_MAX_INDENT = 20  # deeper lists are indented no further

# Characters that mark places while the text is built; `_RESERVED` takes them out of the input.
_PARAGRAPH, _INDENT, _KEPT, _KEPT_END, _MARK, _BAR = "\x01", "\x02", "\x03", "\x04", "\x05", "\x06"
_EMPTY_ITEM = re.compile(rf"{_INDENT}*{_MARK}(?:-|\d+\.)|[{_BAR} ]+")  # or a row of empty cells
_MANY_SPACES = re.compile(" {2,}")
_LONG_REFERENCE = re.compile(r"&#(?:\d{9,}|[xX][0-9a-fA-F]{9,});?")


def to_text(markup: str) -> str:
    """Return the text of an HTML fragment, with an empty line between paragraphs."""
    builder = TextBuilder()
    at = 0
    for found in _TOKEN.finditer(markup):
        if found.start() < at:
            continue  # it stands inside a comment
        builder.add(unescape(markup[at : found.start()]))
        at = found.end()
        if found[2]:
            builder.tag(found[2].lower(), found[1] == "", found[3])
        else:
            end = markup.find("-->", at)
            at = end + 3 if end >= 0 else len(markup)
    builder.add(unescape(markup[at:]))
    return builder.text()


def unescape(text: str) -> str:
    """Decode the entities of `text`, once. A character reference of nine digits or more becomes U+FFFD."""
    if "&" not in text:
        return text
    # `html.unescape` raises ValueError on numbers of thousands of digits.
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text))


class TextBuilder:
    """The text of a fragment while its tags and its text, whose entities are decoded, are added in order."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._code: list[str] = []  # pieces of code, which keep their white space; `_out` holds their places
        self._held: list[str] = []  # the text so far of the code that is open
        self._depth = 0  # how many <pre> and <code> are open
        self._is_block = False  # whether the code that is open is a <pre>
        self._lists: list[int | None] = []  # for each open list the next number, None if it is not numbered
        self._fresh = False  # whether the current list item has no words yet
        self._hidden = ""  # the open element whose content is left out
        self._raised: list[int] = []  # the lengths of `_out` at each open <sup>
        self._row = -1  # the length of `_out` at the first cell of the current table row, -1 without one

    def add(self, text: str) -> None:
        if not text or self._hidden:
            return
        if self._depth:
            self._held.append(text.translate(_RESERVED))
            return
        if self._fresh:
            text = text.lstrip()
            self._fresh = not text
        if not (text.isascii() and text.isprintable()):  # most text is; to look is quicker than to replace
            text = text.translate(_INVISIBLE)
        self._out.append(_SPACES.sub(" ", text))

    def tag(self, name: str, opens: bool, attributes: str = "") -> None:
        if self._hidden:
            if name == self._hidden and not opens:
                self._hidden = ""
        elif name in _HIDDEN:
            self._hidden = name if opens else ""
        elif name in ("pre", "code"):
            self._verbatim(name, opens)
        elif self._depth:
            if name == "br":
                self._held.extend("\n" * opens)
            elif (
                (name in _PARAGRAPHS or name in _LINES or name == "li")
                and self._held
                and self._held[-1][-1:] != "\n"
            ):
                self._held.append("\n")
        elif name == "li":
            self._item(opens)
        elif name == "sup":
            self._power(opens)
        elif name in _AROUND:
            self._out.append(_AROUND[name][not opens])
        elif name in ("td", "th"):
            self._cell(opens)
        elif name == "br" and self._row >= 0:
            self._out.append(" ")
        elif name in _LINES:
            if not self._fresh:
                self._out.append("\n")
            if name == "tr":
                self._row = -1
        elif name in _PARAGRAPHS:
            self._paragraph(name, opens, attributes)

    def text(self) -> str:
        self._close_code()
        paragraphs = []
        for paragraph in _MANY_SPACES.sub(" ", "".join(self._out)).split(_PARAGRAPH):
            lines = [line.strip() for line in paragraph.split("\n")]
            lines = [line for line in lines if line and not _EMPTY_ITEM.fullmatch(line)]
            if lines:
                paragraphs.append("\n".join(lines))
        text = "\n\n".join(paragraphs).replace(_INDENT, "  ").replace(_MARK, "").replace(_BAR, "|")
        return re.sub(rf"{_KEPT}(\d+){_KEPT_END}", lambda found: self._code[int(found[1])], text)

    def _cell(self, opens: bool) -> None:
        """Put a bar between two cells, whatever white space stands between their tags."""
        if not opens:
            return
        if self._row < 0:
            self._row = len(self._out)
            return
        while len(self._out) > self._row and self._out[-1].isspace():
            self._out.pop()
        self._out.append(f" {_BAR} ")

    def _paragraph(self, name: str, opens: bool, attributes: str) -> None:
        if name in ("ul", "ol"):
            if opens:
                start = _START.search(attributes)
                first = int(start[1]) if start else 1
                self._lists.append(first if name == "ol" else None)
            elif self._lists:
                self._lists.pop()
            in_list = len(self._lists) > (1 if opens else 0)
            self._out.append("\n" if in_list else _PARAGRAPH)
        elif name == "table":
            self._row = -1
            self._out.append(_PARAGRAPH)
        elif self._row >= 0:
            self._out.append(" ")
        elif not self._fresh:  # the words of `<li><p>` stay on the line of the item's mark
            self._out.append(_PARAGRAPH)

    def _item(self, opens: bool) -> None:
        if not opens:
            self._fresh = False
            return
        number = self._lists[-1] if self._lists else None
        if number is not None:
            self._lists[-1] = number + 1
        indent = _INDENT * min(_MAX_INDENT, len(self._lists) - 1)
        self._out.append(f"\n{indent}{_MARK}{'-' if number is None else f'{number}.'} ")
        self._fresh = True

    def _power(self, opens: bool) -> None:
        """Write `10<sup>6</sup>` as `10^6` and `2<sup>n-1</sup>` as `2^(n-1)`."""
        if opens:
            self._raised.append(len(self._out))
        elif self._raised:
            start = min(self._raised.pop(), len(self._out))  # a cell takes white space away
            raised = "".join(self._out[start:]).strip() if len(self._out) - start < 3 else ""
            if not start or not self._out[start - 1][-1:].isalnum():
                return
            if _SMALL.fullmatch(raised):
                self._out[start:] = ["^", raised]
            elif _SUM.fullmatch(raised):
                self._out[start:] = ["^", f"({raised})"]

    def _verbatim(self, name: str, opens: bool) -> None:
        if opens:
            if name == "pre" and not self._depth:
                self._is_block = True
            self._depth += 1
        elif self._depth:
            self._depth -= 1
            if not self._depth:
                self._close_code()

    def _close_code(self) -> None:
        """Put the code that was open aside, and its place into the text."""
        code, self._held = "".join(self._held), []
        if code.strip():
            place = f"{_KEPT}{len(self._code)}{_KEPT_END}"
            self._code.append(code.strip("\r\n").rstrip() if self._is_block else code)
            self._out.append(f"{_PARAGRAPH}{place}{_PARAGRAPH}" if self._is_block else place)
        self._fresh, self._is_block = False, False
