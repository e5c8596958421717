"""The text of a web page: its encoding, its title and its main content, without what surrounds it."""

import re
from collections import Counter

from resiliparse.parse.html import DOMContext, HTMLTree, traverse_dom
from selectolax.lexbor import LexborHTMLParser

from llama_core.corpus.markup.webpage.formulas import Formulas, has_formulas, without_prefixes
from llama_core.corpus.markup.webpage.main_content import choose
from llama_core.corpus.markup.webpage.page_charset import decode
from llama_core.corpus.markup.webpage.page_text import text_of
from llama_core.corpus.markup.webpage.page_tree import MAX_DEPTH, TooDeepError, tree_of

# The parser's time grows with the square of the number of attributes in a tag, the extraction's with the
# square of the depth, and both with the number of elements. The parser also opens every unclosed `<b>` or
# `<font>` again in each paragraph, as the standard says. All limits are far above what pages have (browsers
# cut at a depth of 512).
_MAX_ATTRIBUTES = 2000
_MAX_TAGS = 100_000
_MAX_REOPENED = 1_000_000
_MANY_TAGS = 2400  # with fewer tags, unclosed elements do not cost much
_MOST_NESTED = 20_000  # with fewer tags, depth does not cost more than two seconds
# What a tokenizer of HTML sees: comments and scripts, which hold no tags, and tags with their attributes.
_TOKENS = re.compile(
    r"""<!--(?:[^-]++|-(?!->))*+|<(?P<raw>script|style|textarea|title)\b(?:[^<]++|<(?!/(?P=raw)))*+
    |<[a-z][^\s/>]*+(?P<attributes>(?:[\s/]++|=?[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+|=)*+)""",
    re.IGNORECASE | re.VERBOSE,
)
# The tags of elements that are opened again. (`<a>` and `<nobr>` are not here: a new one closes the last.)
_FORMATTING = re.compile(
    r"""<(?:big|b|code|em|font|i|small|strike|strong|s|tt|u)(?=[\s/>])(?:[^>"']++|"[^"]*+"|'[^']*+'|["'])*+""",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"""[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+))?+""")


def extract(data: bytes, charset: str) -> tuple[str, str] | str:
    """Return the title and the text of a page, or the name of what is wrong with it.

    `data`: the HTML as bytes. `charset`: the encoding that the server declares, empty if it declares none.
    """
    html = decode(data, charset)
    if _has_too_many_attributes(html):
        return "too_many_attributes"
    tags = html.count("<")
    if tags > _MANY_TAGS and (tags > _MAX_TAGS or tags * _reopened(html) > _MAX_REOPENED):
        return "too_many_elements"
    if tags > _MOST_NESTED and _is_too_deep(html):
        return "too_deep"
    is_mathematical = has_formulas(html)
    page = LexborHTMLParser(without_prefixes(html) if is_mathematical else html)
    title = page.css_first("title")
    body = page.body
    if body is None:
        return "", ""
    try:
        formulas = Formulas(page) if is_mathematical else None
        tree = tree_of(body, formulas, html)
        if not tree.prose(0):  # a script may show what is hidden
            whole = tree_of(body, formulas, with_hidden=True)
            tree = whole if whole.prose(0) else tree
    except TooDeepError:
        return "too_deep"
    choose(tree)
    return " ".join((title.text() if title else "").split()), text_of(tree).strip("\ufeff\n")


def _has_too_many_attributes(html: str) -> bool:
    """Tell whether any one tag has more attributes than the limit."""
    tags = (m["attributes"] for m in _TOKENS.finditer(html) if m.end() - m.start() > 2 * _MAX_ATTRIBUTES)
    return any(len(_ATTRIBUTE.findall(tag)) > _MAX_ATTRIBUTES for tag in tags if tag)


def _reopened(html: str) -> int:
    """Return how many elements the parser may open again at one place: of equal tags it opens three."""
    return sum(min(3, n) for n in Counter(_FORMATTING.findall(html)).values())


def _is_too_deep(html: str) -> bool:
    """Tell whether elements are nested too deep, by a parser whose time does not grow with the depth."""
    tree = HTMLTree.parse(html)
    context = DOMContext()
    deepest = 0

    def enter(context: DOMContext) -> None:
        nonlocal deepest
        deepest = max(deepest, context.depth)

    if tree.body is not None:
        traverse_dom(tree.body, enter, context=context, elements_only=True)
    return deepest > MAX_DEPTH
