"""The text of a web page: its encoding, its title and its main content, without what surrounds it."""

import codecs
import re
from collections import Counter

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5
from resiliparse.parse.html import DOMContext, HTMLTree, traverse_dom

_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# The parser's time grows with the square of the number of attributes in a tag, the extraction's with the
# square of the depth, and both with the number of elements. The parser also opens every unclosed `<b>` or
# `<font>` again in each paragraph, as the standard says. All limits are far above what pages have (browsers
# cut at a depth of 512).
_MAX_ATTRIBUTES = 2000
_MAX_DEPTH = 512
_MAX_TAGS = 100_000
_MAX_REOPENED = 1_000_000
_EMPTY_LINES = re.compile(r"\n{3,}")
_MANY_TAGS = 2400  # with fewer tags, neither depth nor unclosed elements cost much
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
    try:
        html = bytes_to_str(data, _encoding(data, charset))
    except (UnicodeError, LookupError):
        return "unknown_charset"
    if _has_too_many_attributes(html):
        return "too_many_attributes"
    tags = html.count("<")
    if tags > _MANY_TAGS and (tags > _MAX_TAGS or tags * _reopened(html) > _MAX_REOPENED):
        return "too_many_elements"
    tree = HTMLTree.parse(html)
    if tags > _MANY_TAGS and _is_too_deep(tree):
        return "too_deep"
    # These options have the best F1 on the Scrapinghub article benchmark.
    text = extract_plain_text(tree, main_content=True, alt_texts=False, comments=False, post_meta=False)
    return " ".join((tree.title or "").split()), _tidy(text)


def _tidy(text: str) -> str:
    """Take off the spaces at the ends of lines, of which pages have many, and repeated empty lines."""
    text = "\n".join(map(str.rstrip, text.split("\n")))
    return _EMPTY_LINES.sub("\n\n", text).strip("\ufeff\n")


def _encoding(data: bytes, charset: str) -> str:
    """Tell a page's encoding: by its byte order mark, as UTF-8 if it is valid, as declared, or by a guess."""
    for bom, name in _BOMS.items():
        if data.startswith(bom):
            return name
    declared = map_encoding_to_html5(charset, fallback_utf8=False) if charset else None
    if not declared or not declared.startswith(("utf-16", "iso2022", "iso-2022")):
        try:
            # Text in another encoding is hardly ever valid UTF-8, so this goes before what is declared.
            data.decode()
            return "utf-8"
        except UnicodeDecodeError:
            pass
    return declared or detect_encoding(data, from_html_meta=True) or "utf-8"


def _has_too_many_attributes(html: str) -> bool:
    """Tell whether any one tag has more attributes than the limit."""
    tags = (m["attributes"] for m in _TOKENS.finditer(html) if m.end() - m.start() > 2 * _MAX_ATTRIBUTES)
    return any(len(_ATTRIBUTE.findall(tag)) > _MAX_ATTRIBUTES for tag in tags if tag)


def _reopened(html: str) -> int:
    """Return how many elements the parser may open again at one place: of equal tags it opens three."""
    return sum(min(3, n) for n in Counter(_FORMATTING.findall(html)).values())


def _is_too_deep(tree: HTMLTree) -> bool:
    context = DOMContext()
    deepest = 0

    def enter(context: DOMContext) -> None:
        nonlocal deepest
        deepest = max(deepest, context.depth)

    if tree.body is not None:
        traverse_dom(tree.body, enter, context=context, elements_only=True)
    return deepest > _MAX_DEPTH
