"""The words that an expansion adds to a page, without boxes and what readers or printers do not see."""

import re

from llama_core.corpus.markup.html import unescape
from llama_core.corpus.markup.wikitext.tree import APART, HOLE

_HIDDEN = re.compile(
    r"""<(?P<name>span|sup|sub|small|div|i|b|em|strong|font|abbr|p|ul|li|style|table|cite|bdi|q|s|u)\b
    (?=[^<>]{0,400}(?:
        \bclass\s{0,3}=\s{0,3}["']?[^"'<>]{0,200}\b(?:noprint|inline-template|metadata|hatnote|navbox|[a-z]?mbox|sortkey|geo
            |geo-default|coordinates|need_ref_tag|rellink|dablink|bandeau[\w-]*|navigation|stub|infobox|noexcerpt
            |searchaux|reference|z3988)(?![\w-])
        |\bstyle\s{0,3}=\s{0,3}["']?[^"'<>]{0,200}
            (?:display\s{0,3}:\s{0,3}none|visibility\s{0,3}:\s{0,3}hidden|speak\s{0,3}:\s{0,3}none)
        |\baria-hidden\s{0,3}=\s{0,3}["']?true|\bid\s{0,3}=\s{0,3}["']?coordinates\b
        |\brole\s{0,3}=\s{0,3}["']?(?:note|navigation)\b
    ))[^<>]*+>""",
    re.IGNORECASE | re.VERBOSE,
)
_BOX = re.compile(
    r"(?:^|\n)[ \t:]*\{\||(?:^|\n)\|[-}]|(?:^|\n)!|(?:^|\n)={1,6}[^=\n]"
    r"|<(?:table|tr|td|th|caption|gallery|hr|h[1-6]|dl|form|imagemap)\b",
    re.IGNORECASE,
)
_BLOCK = re.compile(r"<div\b(?![^<>]{0,400}display\s{0,3}:\s{0,3}inline)", re.IGNORECASE)
_QUOTATION = re.compile(
    rf"[\s{APART}]*<div\b[^<>]{{0,400}}\bclass=[^<>]{{0,200}}(?:quot(?!ebox)|zita|cita|cyta|poem)",
    re.IGNORECASE,
)
_NOTE = re.compile(r"<sup\b([^<>]*)>((?:[^<]|<(?!/?sup\b))*+)</sup\s*>", re.IGNORECASE)
_HATNOTE = re.compile(
    r":+\s*(?:<[^<>]+>\s*|\[\[[^\[\]|]+:[^\[\]]*\]\]\s*|&nbsp;)*+(?:''[^\n]*''|(?<=<i>)[^\n]*)"
    r"[.\s]*(?:<[^<>]+>\s*)*"
)
_HATNOTE_CHARS = 1000
# A link to another Wikipedia in brackets, as after the label of a link whose page is missing here.
_ELSEWHERE = re.compile(
    r"(?:\s|&nbsp;|<(?:small|sup|span)\b[^<>]*>){0,6}+[(\[]\s?\[\[:[a-z-]{2,12}:[^\[\]|]*(?:\|[^\[\]]*)?"
    r"\]\]\s?[)\]]"
)
_PLUS = re.compile(r"""<span class=["']?sr-only["']?>\+</span>""")  # 3 and 1/2, read aloud
_QUOTES = re.compile("'{2,}")
_TAG = re.compile(r"<[^<>]*>")
_LINK = re.compile(r"\[\[(?:[^|\[\]]*\|)?([^|\[\]]*)\]\]")
MAX_CHARS = 20_000  # more is a page of its own


def words_of(expanded: str) -> str | None:
    """Return the wikitext of an expansion that readers see within the text, None if it is a box or a notice.

    References and comments are no longer in it.
    """
    if len(expanded) > MAX_CHARS or any(mark in expanded for mark in ("{{", "}}", 'class="error"')):
        return None
    text = expanded
    if "<" in text:
        text = _PLUS.sub(" ", text)
        text = _NOTE.sub(_without_note, _without_hidden(text)).replace("\n</span>", "</span>")
    if "[[:" in text:
        text = _ELSEWHERE.sub("", text)
    text = text.strip("\n")
    is_box = _BOX.search(text) or (_BLOCK.search(text) and not _QUOTATION.match(text))
    if is_box or (len(text) < _HATNOTE_CHARS and _HATNOTE.fullmatch(text.strip())):
        return None
    if text.startswith(("*", "#", ":", ";")):  # MediaWiki, too, begins a new line for these
        return f"\n{text}\n"
    return text


def _without_hidden(text: str) -> str:
    """Take out the elements that are hidden, not printed, or no part of the text, with what is in them."""
    out: list[str] = []
    at = 0
    while found := _HIDDEN.search(text, at):
        out.append(text[at : found.start()])
        at = len(text)
        depth = 0
        tags = re.compile(rf"<(/?){found['name']}\b[^<>]*(?<!/)>", re.IGNORECASE)
        for tag in tags.finditer(text, found.start()):
            depth += -1 if tag[1] else 1
            if depth == 0:
                at = tag.end()
                break
        if found[0].endswith("/>"):
            at = found.end()
        if out[-1].endswith((" ", ";", "\n")):  # also after &nbsp;
            out.append(HOLE)
    return "".join([*out, text[at:]])


def _without_note(found: re.Match[str]) -> str:
    """Leave out a raised note, as templates put them: [citation needed], or one that leads to a footnote."""
    if "[[#" in found[2] or re.search(r"\bid\s?=", found[1]):
        return ""
    seen = unescape(_TAG.sub("", _LINK.sub(r"\1", found[2]))).replace("'", "").strip()
    return "" if seen.startswith("[") and seen.endswith("]") else found[0]


def has_words(text: str) -> bool:
    """Tell whether a text without links still says something, if only a space or where a line may break."""
    if "<br" in text or "<wbr" in text:
        return True
    text = _TAG.sub("", text).replace(APART, "")
    if HOLE in text:
        text = text.replace(HOLE, "").replace("&nbsp;", "").replace("\u00a0", "")
    return bool(_QUOTES.sub("", text).strip(" \t\n"))
