"""The templates that a dump defines: what of their pages is transcluded, and which page a name stands for."""

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from llama_core.corpus.markup.html import unescape
from llama_core.corpus.markup.wikitext.elements import RESERVED
from llama_core.corpus.markup.wikitext.names import TEMPLATES
from llama_core.corpus.markup.wikitext.tree import APART, Nodes, TooDeepError, parse

MAX_CHARS = 16_384  # of a definition; longer ones are boxes, or tables of data
A_BOX = "{|"  # stands for a definition of which only this matters: it is a box
MAX_TABLE_CHARS = 1 << 26  # of all definitions of a language; beyond it the longest are left out
_ENTRY_CHARS = 64  # what an entry of the table takes beside its text
_MAX_PARSED = 4096
_MAX_RESULTS = 1 << 15
_MAX_REDIRECTS = 3

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_ONLY = re.compile(r"<onlyinclude\b[^<>]*>(.*?)(?:</onlyinclude\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_NOT = re.compile(
    r"<noinclude\b[^<>]*(?<=/)>|<noinclude\b[^<>]*>.*?(?:</noinclude\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_MARKS = re.compile(r"</?(?:includeonly|onlyinclude|noinclude)\b[^<>]*>", re.IGNORECASE)
_REFERENCE = re.compile(
    r"<ref\b[^<>]*(?<=/)>|<ref\b[^<>]*>.*?</ref\s*>|<templatestyles\b[^<>]*>", re.IGNORECASE | re.DOTALL
)
_NOWIKI = re.compile(r"<nowiki\s*>(.*?)</nowiki\s*>", re.IGNORECASE | re.DOTALL)
_EMPTY_NOWIKI = re.compile(r"<nowiki\s*/\s*>", re.IGNORECASE)
_PREFIXES = re.compile(r"\A(?:safesubst|subst|msg|msgnw|raw)\s*:\s*", re.IGNORECASE)
_MARKUP = re.compile(r"[{}\[\]|='<>*#:;!_-]")
_SUBPAGES = re.compile(r"/(?:doc|dok|documentation|sandbox|testcases|tests?|bac à sable|doku|preload)$", re.I)
# How definitions begin that are boxes whatever they are called with: they hold no words of the page.
_BOXES = re.compile(
    r"\s*+(?:\{\||<table\b|<gallery\b|\{\{\s*(?:#invoke:\s*)?(?:infobox|navbox|taxobox|sidebar|userbox|ambox"
    r"|asbox|message box|navigationsleiste|palette|méta palette|infoboîte|карточка|навигационная|szablon"
    r" nawig|navigatie|navigacijska|successi|cytat box)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A template as its page defines it, or one that is another by a redirect.

    `title`: without its namespace, as `normal` writes it. `target`: of the redirect, empty if it is none.
    """

    title: str
    target: str
    text: str


def defined(title: str, target: str, wikitext: str) -> Definition | None:
    """Return what a page of the template namespace defines, None if that is nothing or too long.

    `title`, `target`: with the namespace before their colon.
    """
    name = normal(title.partition(":")[2])
    if not name or _SUBPAGES.search(name):
        return None
    if target:
        other = normal(target.partition(":")[2].partition("#")[0])
        return Definition(name, other, "") if other else None
    text = transcluded(RESERVED.sub("", wikitext.replace("\r", "")))
    if _BOXES.match(text):
        return Definition(name, "", A_BOX)
    return Definition(name, "", text) if text.strip() and len(text) <= MAX_CHARS else None


def transcluded(wikitext: str) -> str:
    """Return the part of a template's page that stands where the template is called."""
    text = _without_comments(wikitext)
    if only := _ONLY.findall(text):
        text = "".join(only)
    return _MARKS.sub("", _NOT.sub("", text))


def _without_comments(text: str) -> str:
    """Take comments out. One that has a line of its own takes the line with it."""
    out: list[str] = []
    at = 0
    for found in _COMMENT.finditer(text):
        before, at_end = text[at : found.start()], found.end()
        line = before.rpartition("\n")
        rest = text[at_end : text.find("\n", at_end) + 1]
        if rest and not rest.strip() and not line[2].strip() and (line[1] or not at):
            before, at_end = line[0] + line[1], at_end + len(rest)
        out.append(before)
        at = at_end
    return "".join([*out, text[at:]])


def normal(name: str) -> str:
    """Return a title as MediaWiki writes it: single spaces, and its first letter large."""
    name = " ".join(name.replace("_", " ").split())
    return name[:1].upper() + name[1:]


class Definitions:
    """All templates of a Wikipedia, each parsed when it is first called.

    `namespaces`: the names of the template namespace, in lower case.
    """

    def __init__(self, found: Iterable[Definition], namespaces: Iterable[str] = ()):
        self._namespaces = TEMPLATES | {name.lower() for name in namespaces}
        self._redirects: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        for definition in found:
            if definition.target:
                self._redirects.setdefault(definition.title, definition.target)
            else:
                self._texts.setdefault(definition.title, definition.text)
        self._parsed: dict[str, Nodes | None] = {}
        self.results: dict[tuple[Hashable, ...], Any] = _Bounded(_MAX_RESULTS)  # what callers found of calls

    def __len__(self) -> int:
        return len(self._texts) + len(self._redirects)

    def bare(self, name: str) -> str:
        """Return the name in a call without the template namespace and without what says how to call it."""
        name = _PREFIXES.sub("", unescape(name).strip(), count=1).strip()
        prefix, colon, rest = name.partition(":")
        if colon and " ".join(prefix.replace("_", " ").lower().split()) in self._namespaces:
            return rest.strip()
        return name

    def title_of(self, name: str) -> str:
        """Return the title that a bare name stands for. Redirects are followed."""
        title = normal(name.partition("#")[0])
        for _ in range(_MAX_REDIRECTS):
            if title in self._texts or title not in self._redirects:
                break
            title = self._redirects[title]
        return title

    def find(self, title: str) -> Nodes | None:
        """Return the tree of a template, None if the dump has no definition of it that can be read."""
        if title in self._parsed:
            return self._parsed[title]
        if len(self._parsed) >= _MAX_PARSED:
            self._parsed.clear()
        text = self._texts.get(title)
        tree = None
        if text is not None:
            try:
                tree = parse(_without_elements(text))
            except TooDeepError:
                tree = None
        self._parsed[title] = tree
        return tree


class _Bounded(dict[tuple[Hashable, ...], Any]):
    """A dictionary that is emptied when it is full."""

    def __init__(self, most: int):
        super().__init__()
        self._most = most

    def __setitem__(self, key: tuple[Hashable, ...], value: Any) -> None:
        if len(self) >= self._most:
            self.clear()
        super().__setitem__(key, value)


NONE = Definitions(())


def bounded(found: Iterable[Definition]) -> list[Definition]:
    """Return definitions, the shortest first, as long as they fit into MAX_TABLE_CHARS.

    Their order does not matter, nor does the memory grow with those that do not fit.
    """
    kept: list[Definition] = []
    size = 0
    for definition in found:
        kept.append(definition)
        size += _size(definition)
        if size > 2 * MAX_TABLE_CHARS:
            kept, size = _shortest(kept)
    return _shortest(kept)[0]


def _shortest(found: list[Definition]) -> tuple[list[Definition], int]:
    """Return the shortest of these that fit, and their size."""
    found = sorted(found, key=lambda d: (len(d.text), d.title, d.target, d.text))
    size = 0
    for place, definition in enumerate(found):
        if size + _size(definition) > MAX_TABLE_CHARS:
            return found[:place], size
        size += _size(definition)
    return found, size


def _size(definition: Definition) -> int:
    return _ENTRY_CHARS + len(definition.text) + len(definition.title) + len(definition.target)


def _without_elements(text: str) -> str:
    """Take references out of a definition, and make text of what it marks as no wikitext."""
    text = _REFERENCE.sub(APART, text)
    text = _NOWIKI.sub(lambda found: _MARKUP.sub(lambda mark: f"&#{ord(mark[0])};", found[1]), text)
    return _EMPTY_NOWIKI.sub(APART, text)
