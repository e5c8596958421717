"""Wikitext to plain text: pure functions, linear in the page, that never look anything up.

Kept: words, labels of links, headings and list items as lines, formulas as TeX between dollars, code as it
was written, templates that carry words (`templates`). Not kept: hyperlinks, comments, tables,
pictures, references, categories, all other templates, and sections that only list links or references.

Our own code, not `mwparserfromhell`, which drops the words of templates and is quadratic in hostile pages.
"""

import datetime
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html.entities import html5
from urllib.parse import urlsplit

from llama_core.corpus.markup.html import unescape
from llama_core.corpus.markup.wikitext import scripts
from llama_core.corpus.markup.wikitext.elements import RESERVED, Aside
from llama_core.corpus.markup.wikitext.expand.definitions import NONE, Definitions
from llama_core.corpus.markup.wikitext.lines import layout
from llama_core.corpus.markup.wikitext.names import (
    CASED_SWITCHES,
    CATEGORIES,
    DISAMBIGUATION_SWITCH,
    MEDIA,
    SWITCHES,
    is_disambiguation,
)
from llama_core.corpus.markup.wikitext.nesting import Nesting
from llama_core.corpus.markup.wikitext.quotes import unquote
from llama_core.corpus.markup.wikitext.tree import APART, HOLE

MAX_REFERENCES = 1000

_TAG = re.compile(
    r"<(/?)(abbr|b|bdi|bdo|big|blockquote|br|caption|center|cite|code|data|dd|del|dfn|div|dl|dt|em|font|h[1-6]|hr"
    r"|i|ins|kbd|li|mark|nowiki|ol|p|phonos|pre|poem|q|rb|ref|references|rp|rt|rtc|ruby|s"
    r"|samp|small|span|strike|strong|sub|sup|table|td|th|time|tr|tt|u|ul|var|wbr|gallery|source"
    r"|syntaxhighlight|math|includeonly|section|chem|ce)\b"
    r"""(?:[^<>]*+>|(?:[^<>"]++|"[^">\n]*+")*+>)""",
    re.IGNORECASE,
)
_TABLE = re.compile(r"<(/?)table\b[^<>]*+(?<!/)>", re.IGNORECASE)
_BREAKS = frozenset({
    "br", "p", "div", "li", "blockquote", "center", "dd", "dt", "dl", "ul", "ol", "hr", "table", "tr", "h1",
    "h2", "h3", "h4", "h5", "h6", "poem", "td", "th", "caption",
})  # fmt: skip
_SUPERSCRIPT = re.compile(
    r"(?<=[\w)\]>'])<sup\b[^<>]*>\s*([+−–-]?\d{1,9}(?:[./]\d{1,9})?|''[+−–-]?\w''|[+−–-]\w)\s*</sup\s*>"
    r"(?!&frasl;|⁄)",  # the upper half of a fraction
    re.IGNORECASE,
)
_NUMERO = re.compile(r"\b([nN])<sup\b[^<>]{0,200}>[oº]</sup>")
_EXTERNAL = re.compile(
    r"\[(?:(?i:https?|ftp|irc|news|gopher):)?//[^\s\[\]<>]*+"
    r"(?:((?:[^\[\]\n]++|\[[^\[\]\n]*+\])*+)\]|([^\]\n]{0,300}+)\])"  # or one with an unclosed bracket
    r"|\[mailto:[^\s\[\]]*+([^\[\]\n]*+)\]"
)
_QUOTED_LABEL = re.compile(r"(\[(?:https?:|ftp:)?//[^\s\[\]<>']*+)(?='')")  # it ends the address
_BARE = re.compile(r"\b(?i:https?|ftp)://[^\s\[\]<>|\"\x03]+")
_BRACKETED = re.compile(rf"<({_BARE.pattern})>")
_MARKUP = re.compile(r"''|\{\{|\}\}")  # what ends an address in a citation
_APART = re.compile(f"{APART}+")
_SWITCH = re.compile(rf"__(?!_)(?:(?i:{'|'.join(sorted(SWITCHES))})|{'|'.join(sorted(CASED_SWITCHES))})__")
_LEFT_OPEN = re.compile(r"\{\{+|\}\}+|\[\[+|\]\]+")
_ENTITY = re.compile(r"&(?:#[xX]?)?[0-9A-Za-z]{1,40};")  # unlike in HTML the semicolon is needed
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff]")
_SPACE = re.compile("[\u00a0\u2002\u2003\u2009\u200a\u202f]")
_WIKIS = ("wikipedia.org", "wikimedia.org", "wikidata.org", "wiktionary.org")
_ARCHIVED = re.compile(r"https?://(?:web\.|www\.)?archive\.org/(?:web/)?\d+\w*/(https?://.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """What is read from a page: its text and three facts.

    `references`: the distinct web addresses that the page cites, in its order, at most 1,000.
    `is_disambiguation`: whether the page says that it only lists the pages of one name.
    `outcomes`: how many of the calls within its lines came to what (see `Nesting`).
    """

    text: str
    references: list[str]
    is_disambiguation: bool
    outcomes: Mapping[str, int]


def read_page(
    wikitext: str,
    title: str = "",
    hidden: Collection[str] = (),
    language: str = "",
    definitions: Definitions = NONE,
    today: datetime.datetime | None = None,
) -> Page:
    """Read a page. Raises TooDeepError if more is nested in it than MediaWiki would read.

    `title`: the page's own. `hidden`: more names of the namespaces of pictures and categories, in lower case.
    `language`: the code of the Wikipedia that the page is from. `definitions`: of its templates.
    `today`: the day that the page's templates take for the present one.
    """
    aside = Aside()
    nesting = Nesting(title, language, _hidden(frozenset(hidden)), definitions, aside, today)
    text = aside.take(RESERVED.sub("", wikitext.replace("\r", "")))
    in_scripts = scripts.applies_to(language)
    if in_scripts:
        text = scripts.before_templates(text)
    text = nesting.flatten(_TABLE.sub(lambda found: "\n|}\n" if found[1] else "\n{|\n", text))
    if in_scripts:
        text = scripts.after_templates(text)
    text = _inline(text)
    text = layout(text).replace(APART, "")
    text = aside.put_back(text)
    addresses = _addresses([*aside.cited, *nesting.citations])
    disambiguates = DISAMBIGUATION_SWITCH.search(wikitext) is not None
    disambiguates = disambiguates or any(map(is_disambiguation, nesting.templates))
    return Page(text.strip(), addresses, disambiguates, nesting.outcomes)


@lru_cache(maxsize=64)
def _hidden(more: frozenset[str]) -> frozenset[str]:
    """Return all namespaces whose links leave no words, the same object for the pages of a dump."""
    return MEDIA | CATEGORIES | more


def _inline(text: str) -> str:
    """Render what stands within lines: external links, HTML tags, magic words and entities."""
    text = _NUMERO.sub(r"\1°", text)
    text = _QUOTED_LABEL.sub(r"\1 ", text)
    text = _APART.sub(_apart, unquote(_SUPERSCRIPT.sub(_power, text)))
    text = _EXTERNAL.sub(lambda found: (found[1] or found[2] or found[3] or "").strip() or HOLE, text)
    text = _BRACKETED.sub(r"\1", text)
    text = _BARE.sub(lambda found: HOLE + found[0][len(_address(found[0])) :], text)
    text = _TAG.sub(_instead_of_tag, text)
    text = _SWITCH.sub(HOLE, text)
    text = _LEFT_OPEN.sub("", text)
    text = _ENTITY.sub(_entity, text)
    return _INVISIBLE.sub("", _SPACE.sub(" ", text))


def _instead_of_tag(found: re.Match[str]) -> str:
    name = found[2].lower()
    if name in _BREAKS:
        return "\n"
    if name == "phonos":
        return HOLE
    return _apart(found)


def _entity(found: re.Match[str]) -> str:
    """Decode an entity. A name that HTML does not know stays, if it begins with one, too: `&copyright;`."""
    is_known = found[0][1] == "#" or found[0][1:] in html5
    return unescape(found[0]) if is_known else found[0]


def _apart(found: re.Match[str]) -> str:
    """Part the mark of a list or a heading from a line's start, where something stands before it."""
    text, start, end = found.string, found.start(), found.end()
    is_first = start == 0 or text[start - 1] == "\n"
    return APART if is_first and text[end : end + 1] in tuple("*#:;=|!{-") else ""


def _power(found: re.Match[str]) -> str:
    digits = found[1].strip("'").replace("−", "-").replace("–", "-")
    return {"2": "²", "3": "³"}.get(digits, f"^{digits}")


def _address(found: str) -> str:
    """Return an address without the marks of the sentence after it: a bracket is one if it closes none."""
    unopened = found.count(")") - found.count("(")
    end = len(found)
    while end and (found[end - 1] in ".,;:!?'" or (found[end - 1] == ")" and unopened > 0)):
        unopened -= found[end - 1] == ")"
        end -= 1
    return found[:end]


def _addresses(cited: list[str]) -> list[str]:
    """Return the distinct web addresses in citations. An archived page counts as the original."""
    found: dict[str, None] = {}
    for text in cited:
        for match in _BARE.finditer(unescape(text)):
            url = _address(_MARKUP.split(match[0], maxsplit=1)[0])
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
