"""What is left of a page as text: paragraphs, lists, tables and code, as `html` writes them."""

import re

from llama_core.corpus.markup.html import TextBuilder
from llama_core.corpus.markup.webpage.page_tree import PageTree

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_BLOCKS = frozenset({"p", "div", "section", "center", "article", "br"})
_CELLS = frozenset({"td", "th"})
_NOT_IN_ROWS = _HEADINGS | {"ul", "ol", "dl", "blockquote", "pre"}
_MOST_BLOCKS = 2  # texts in blocks or lines of their own that a cell of a row may have
_VERBATIM = frozenset({"pre", "xmp", "listing"})
# Scripts that are written without spaces: there the end of a line of the source is none, but what stands far
# to the right on the next line is another thing.
_UNSPACED = "[\u2e80-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
_NO_SPACE = re.compile(rf"(?<={_UNSPACED})[ \t]*\r?\n[ \t]{{0,8}}(?={_UNSPACED})")


def text_of(tree: PageTree) -> str:
    """Return the text of the nodes that are not dropped."""
    layout = _layout_tables(tree)
    builder = TextBuilder()
    open_: list[tuple[int, str]] = []  # where an element ends, and its name
    preformatted = 0  # where the outermost open <pre> ends
    places, last_break = 0, -1  # texts so far that are no white space, and those before the last line break
    at = 0
    while at < len(tree.tag):
        while open_ and open_[-1][0] <= at:
            builder.tag(open_.pop()[1], False)
        if at in tree.dropped:
            at = tree.end[at]
            continue
        name = tree.tag[at]
        if not name:
            words = tree.text[at]
            places += not words.isspace()
            if at >= preformatted and "\n" in words:
                words = (words if words.isascii() else _NO_SPACE.sub("", words)).replace("\n", " ")
            builder.add(words)
            at += 1
            continue
        if name in _VERBATIM:
            name = "pre"
            preformatted = max(preformatted, tree.end[at])
        elif at in layout:
            name = "div"
        if name == "br":
            name, last_break = ("p" if last_break == places else "br"), places
        start = tree.attributes[at].get("start") if name == "ol" and at in tree.attributes else None
        builder.tag(name, True, f"start={start}" if start else "")
        open_.append((tree.end[at], name))
        at += 1
    while open_:
        builder.tag(open_.pop()[1], False)
    return builder.text()


def _layout_tables(tree: PageTree) -> set[int]:
    """Return the rows and cells of the tables that lay a page out.

    Such a table has no row with text in two cells, or it has a cell that holds another table, a heading, a
    list or several blocks, or it is an equation with its number, as LaTeXML writes it.
    """
    found: set[int] = set()
    tables: list[list[int]] = []  # of the open ones: where it ends, its widest row, 1 if it is one, its parts
    cells = 0  # that have text, in the row that is open
    blocks = 0  # that have text, in the cell that is open
    is_new = False  # whether a block has begun since the last text
    is_empty = False  # whether the cell that is open has no text yet
    for at, name in enumerate(tree.tag):
        while tables and tables[-1][0] <= at:
            _close(tables.pop(), found)
        if name == "table":
            if tables:
                tables[-1][2] = 1
            names = tree.attributes[at].get("class") or "" if at in tree.attributes else ""
            tables.append([tree.end[at], 0, int("ltx_eqn_table" in names)])
        elif not tables:
            continue
        elif name == "tr":
            cells = 0
            tables[-1].append(at)
        elif name in _CELLS:
            blocks, is_new, is_empty = 0, True, True
            tables[-1].append(at)
        elif name in _NOT_IN_ROWS:
            tables[-1][2] = 1
        elif name in _BLOCKS:
            is_new = True
        elif (is_new or is_empty) and not name and not tree.text[at].isspace():
            blocks, is_new = blocks + is_new, False
            if blocks > _MOST_BLOCKS:
                tables[-1][2] = 1
            if is_empty:
                cells, is_empty = cells + 1, False
                tables[-1][1] = max(tables[-1][1], cells)
    for table in reversed(tables):
        _close(table, found)
    return found


def _close(table: list[int], found: set[int]) -> None:
    _, width, is_layout, *parts = table
    if is_layout or width == 1:
        found.update(parts)
