"""Wikitext to plain text: pure functions, linear in the page, that never look anything up.

Kept: words, labels of links, headings and list items as lines, formulas as TeX between dollars, code as it
was written, templates that carry words (`templates`). Not kept: hyperlinks, comments, tables,
pictures, references, categories, all other templates, and sections that only list links or references.

Our own code, not `mwparserfromhell`, which drops the words of templates and is quadratic in hostile pages.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from llama_core.corpus.markup.html import unescape
from llama_core.corpus.markup.wikitext import scripts
from llama_core.corpus.markup.wikitext.lines import layout
from llama_core.corpus.markup.wikitext.names import (
    CASED_SWITCHES,
    CATEGORIES,
    DISAMBIGUATION_SWITCH,
    MEDIA,
    SWITCHES,
    is_disambiguation,
)
from llama_core.corpus.markup.wikitext.nesting import HOLE, Nesting

MAX_REFERENCES = 1000

_FORMULAS = ("math", "chem", "ce")
_BLOCKS = ("pre", "syntaxhighlight", "source", "poem")
_CODE = ("code", "tt", "samp", "kbd", "nowiki")
_REMOVED = (
    "ref", "references", "gallery", "timeline", "imagemap", "score", "hiero", "mapframe", "maplink", "graph",
    "templatestyles", "inputbox", "categorytree", "indicator", "includeonly", "section", "charinsert",
    "languages", "templatedata",
)  # fmt: skip
_SPECIAL = re.compile(
    rf"<!--|<({'|'.join((*_FORMULAS, *_BLOCKS, *_CODE, *_REMOVED))})\b([^<>]*+)>", re.IGNORECASE
)
_TAG = re.compile(
    r"<(/?)(abbr|b|bdi|bdo|big|blockquote|br|caption|center|cite|code|data|dd|del|dfn|div|dl|dt|em|font|h[1-6]|hr"
    r"|i|ins|kbd|li|mark|noinclude|nowiki|ol|onlyinclude|p|phonos|pre|poem|q|rb|ref|references|rp|rt|rtc|ruby|s"
    r"|samp|small|span|strike|strong|sub|sup|table|td|th|time|tr|tt|u|ul|var|wbr|gallery|source"
    r"|syntaxhighlight|math|includeonly|noinclude|section|chem|ce)\b[^<>]*>",
    re.IGNORECASE,
)
_TABLE = re.compile(r"<(/?)table\b[^<>]*+(?<!/)>", re.IGNORECASE)
_BREAKS = frozenset({
    "br", "p", "div", "li", "blockquote", "center", "dd", "dt", "dl", "ul", "ol", "hr", "table", "tr", "h1",
    "h2", "h3", "h4", "h5", "h6", "poem", "td", "th", "caption",
})  # fmt: skip
_SUPERSCRIPT = re.compile(
    r"(?<=[\w)\]>'])<sup\b[^<>]*>\s*([+−–-]?\d{1,9}(?:[./]\d{1,9})?|''[+−–-]?\w''|[+−–-]\w)\s*</sup\s*>",
    re.IGNORECASE,
)
_EXTERNAL = re.compile(
    r"\[(?:(?:https?|ftp|irc|news|gopher):)?//[^\s\[\]<>]*+((?:[^\[\]\n]++|\[[^\[\]\n]*+\])*+)\]"
    r"|\[mailto:[^\s\[\]]*+([^\[\]\n]*+)\]"
)
_BARE = re.compile(r"\b(?:https?|ftp)://[^\s\[\]<>|\"\x03]*[^\s\[\]<>|\"\x03.,;:!?)']")
_SWITCH = re.compile(rf"__(?!_)(?:(?i:{'|'.join(sorted(SWITCHES))})|{'|'.join(sorted(CASED_SWITCHES))})__")
_PARAMETER = re.compile(r"\{\{\{[^{}|]*+\|?([^{}]*+)\}\}\}")  # on a template's own page
_LEFT_OPEN = re.compile(r"\{\{+|\}\}+|\[\[+|\]\]+")
_RESERVED = dict.fromkeys(range(1, 9))
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff"))
_INVISIBLE |= dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2009\u200a\u202f"), " ")
_WIKIS = ("wikipedia.org", "wikimedia.org", "wikidata.org", "wiktionary.org")
_ARCHIVED = re.compile(r"https?://(?:web\.|www\.)?archive\.org/(?:web/)?\d+\w*/(https?://.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """What is read from a page: its text and two facts.

    `references`: the distinct web addresses that the page cites, in its order, at most 1,000.
    `is_disambiguation`: whether the page says that it only lists the pages of one name.
    """

    text: str
    references: list[str]
    is_disambiguation: bool


def read_page(wikitext: str, title: str = "", hidden: Collection[str] = (), language: str = "") -> Page:
    """Read a page. Raises TooDeepError if more is nested in it than MediaWiki would read.

    `title`: the page's own. `hidden`: more names of the namespaces of pictures and categories, in lower case.
    `language`: the code of the Wikipedia that the page is from.
    """
    kept: list[str] = []
    cited: list[str] = []
    nesting = Nesting(title, MEDIA | CATEGORIES | set(hidden))
    text = _set_aside(wikitext.replace("\r", "").translate(_RESERVED), kept, cited)
    in_scripts = scripts.applies_to(language)
    if in_scripts:
        text = scripts.before_templates(text)
    text = _PARAMETER.sub(r"\1", text)
    text = nesting.flatten(_TABLE.sub(lambda found: "\n|}\n" if found[1] else "\n{|\n", text))
    if in_scripts:
        text = scripts.after_templates(text)
    text = _inline(text)
    text = layout(text)
    text = _put_back(text, kept)
    addresses = _addresses([*cited, *nesting.citations])
    disambiguates = DISAMBIGUATION_SWITCH.search(wikitext) is not None
    disambiguates = disambiguates or any(map(is_disambiguation, nesting.templates))
    return Page(text.strip(), addresses, disambiguates)


def _set_aside(text: str, kept: list[str], cited: list[str]) -> str:
    """Take comments, references and other elements without words out, and set code and formulas aside.

    Each piece of code and each formula moves to `kept`, and a mark with its number takes its place. The
    content of references moves to `cited`.
    """
    out: list[str] = []
    at = 0
    without_end: set[str] = set()  # names of which no end tag follows any more
    as_wikitext: dict[str, int] = {}  # by name: the end of code that is read as wikitext
    for found in _SPECIAL.finditer(text):
        if found.start() < at:
            continue
        out.append(text[at : found.start()])
        name = (found[1] or "--").lower()
        at = found.end()
        alone = found[1] and found[2].rstrip().endswith("/")
        if alone or found.start() < as_wikitext.get(name, 0):
            continue
        end = None if name in without_end else _END[name].search(text, at)
        if end is None:
            without_end.add(name)
            if name == "--":
                at = len(text)  # as MediaWiki does
                break
            continue
        inside = text[at : end.start()]
        if name == "--":
            at = end.end()
            if text.endswith("\n", 0, found.start()) and text.startswith("\n", at):
                at += 1  # a comment that has a line of its own takes the line with it
        elif name in _REMOVED:
            at = end.end()
            if name in ("ref", "references"):
                cited.append(inside)
            out.append("" if name == "ref" else HOLE)
        elif name not in _CODE or name == "nowiki" or not _is_wikitext(inside):
            at = end.end()
            out.append(_keep(name, found[2], inside, kept))
        else:
            as_wikitext[name] = end.start()
    out.append(text[at:])
    return "".join(out)


_END = {
    name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in (*_FORMULAS, *_BLOCKS, *_CODE, *_REMOVED)
}
_END["--"] = re.compile("-->")


def _is_wikitext(code: str) -> bool:
    """Tell whether code holds markup that MediaWiki would render."""
    return "<nowiki" not in code and any(mark in code for mark in ("''", "[[", "{{"))


def _keep(name: str, attributes: str, inside: str, kept: list[str]) -> str:
    """Put the content of an element into `kept`, and return what takes its place in the text."""
    if name == "poem":
        return "\n" + inside.strip("\n") + "\n"
    place = f"\x01{len(kept)}\x02"
    if name in _FORMULAS:
        mark = "$$" if "block" in attributes else "$"
        kept.append(f"{mark}{' '.join(inside.split())}{mark}" if inside.strip() else "")
        return place
    if name in ("syntaxhighlight", "source"):
        kept.append(inside.strip("\n").rstrip())
        return place if re.search(r"\binline\b", attributes) else f"\n{place}\n"
    inside = unescape(re.sub(r"</?nowiki\s*/?>", "", inside)).translate(_RESERVED)
    kept.append(inside.strip("\n").rstrip() if name == "pre" else inside)
    return f"\n{place}\n" if name == "pre" else place


def _put_back(text: str, kept: list[str]) -> str:
    return re.sub(r"\x01(\d+)\x02", lambda found: kept[int(found[1])], text)


def _inline(text: str) -> str:
    """Render what stands within lines: external links, HTML tags, magic words and entities."""
    text = _EXTERNAL.sub(lambda found: (found[1] or found[2] or "").strip() or HOLE, text)
    text = _BARE.sub(HOLE, text)
    text = _SUPERSCRIPT.sub(_power, text)
    text = _TAG.sub(_instead_of_tag, text)
    text = _SWITCH.sub(HOLE, text)
    text = _LEFT_OPEN.sub("", text)
    return unescape(text).translate(_INVISIBLE)


def _instead_of_tag(found: re.Match[str]) -> str:
    name = found[2].lower()
    if name in _BREAKS:
        return "\n"
    return HOLE if name == "phonos" else ""


def _power(found: re.Match[str]) -> str:
    digits = found[1].strip("'").replace("−", "-").replace("–", "-")
    return {"2": "²", "3": "³"}.get(digits, f"^{digits}")


def _addresses(cited: list[str]) -> list[str]:
    """Return the distinct web addresses in citations. An archived page counts as the original."""
    found: dict[str, None] = {}
    for text in cited:
        for match in _BARE.finditer(unescape(text)):
            url = match[0].split("''")[0].rstrip(".,;:!?)'}")
            if archived := _ARCHIVED.fullmatch(url):
                url = archived[1]
            if _is_outside(url):
                found.setdefault(url)
            if len(found) >= MAX_REFERENCES:
                return list(found)
    return list(found)


def _is_outside(url: str) -> bool:
    """Tell whether a web address leads away from Wikipedia and its sister projects."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and "." in host and not host.endswith(_WIKIS)
