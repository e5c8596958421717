"""A parsed web page as flat lists in document order, so that what is said of its parts takes linear time.

Node i is an element or a text. Its subtree is the nodes i to `end[i]` - 1. What never holds text to be read,
such as scripts, is not among them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from selectolax.lexbor import LexborNode

from llama_core.corpus.markup.webpage.formulas import Formulas, in_text

MAX_DEPTH = 512  # browsers cut there

_NEVER = frozenset(
    {"script", "style", "template", "noscript", "iframe", "frame", "frameset", "noframes", "object", "embed"}
    | {
        "applet",
        "audio",
        "video",
        "source",
        "track",
        "param",
        "canvas",
        "svg",
        "map",
        "head",
        "link",
        "meta",
        "title",
    }
    | {
        "base",
        "nav",
        "dialog",
        "menu",
        "button",
        "select",
        "input",
        "textarea",
        "option",
        "datalist",
        "label",
    }
    | {"progress", "meter"}
)
# What opens a part of the page is its title, where it stands first in one of these.
_CONTROLS = frozenset({"button", "label"})
_TITLES = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "dt"})
_LEFT_OUT = _NEVER - _CONTROLS | {"", "-comment"}  # processing instructions have no name
_NO_LANDMARKS = frozenset(
    {"navigation", "search", "dialog", "alert", "menu", "menubar", "toolbar", "tooltip"}
)
_CONTROLLED = re.compile(r"""aria-controls=["']?([\w:.-]+)""")
_HIDING_ATTRIBUTES = frozenset({"hidden", "aria-hidden", "style", "role"})  # that `_is_hidden` looks at
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:left|top|text-indent)\s*:\s*-\d{4}", re.IGNORECASE
)
_EMOJI = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff][\u2600-\u27bf\U0001f000-\U0001faff\u200d\ufe0f]*")
_PROSE_CHARS = 25  # a text of fewer characters, such as a label or a date, says nothing about where prose is


class TooDeepError(ValueError):
    """The page's elements are nested more than MAX_DEPTH deep."""


@dataclass(slots=True)
class PageTree:
    """The nodes of a page. `tag` is empty for a text; node 0 has no parent."""

    tag: list[str] = field(default_factory=list)
    text: dict[int, str] = field(default_factory=dict)
    parent: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    attributes: dict[int, dict[str, str | None]] = field(default_factory=dict)
    """The elements that have any are its keys."""
    dropped: set[int] = field(default_factory=set)
    """Nodes whose subtrees are left out."""
    sums: list[tuple[int, int, int]] = field(default_factory=lambda: [(0, 0, 0)])
    """What `chars`, `linked` and `prose` count, summed over the nodes before one."""
    lost: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """The same of what was dropped below an element."""

    def chars(self, node: int) -> int:
        """Return the number of characters of text below a node that are not dropped."""
        return self._count(0, node)

    def linked(self, node: int) -> int:
        """Return how many of the characters are inside links."""
        return self._count(1, node)

    def prose(self, node: int) -> int:
        """Return how many of the characters are outside links, in texts that are long enough to be prose."""
        return self._count(2, node)

    def _count(self, what: int, node: int) -> int:
        found = self.sums[self.end[node]][what] - self.sums[node][what]
        return found - self.lost[node][what] if node in self.lost else found

    def drop(self, node: int) -> None:
        """Leave a subtree out, also of the counts of the elements around it."""
        chars, linked, prose = self.chars(node), self.linked(node), self.prose(node)
        self.dropped.add(node)
        while chars and (node := self.parent[node]) >= 0:
            before = self.lost.get(node, (0, 0, 0))
            self.lost[node] = (before[0] + chars, before[1] + linked, before[2] + prose)

    def children(self, node: int) -> Iterator[int]:
        """Yield the nodes right below an element that are not dropped."""
        at, end = node + 1, self.end[node]
        while at < end:
            if at not in self.dropped:
                yield at
            at = self.end[at]

    def left(self) -> Iterator[int]:
        """Yield the elements that are not dropped, in document order, but for the first."""
        at, size = 1, len(self.tag)
        while at < size:
            if at in self.dropped:
                at = self.end[at]
                continue
            if self.tag[at]:
                yield at
            at += 1


def tree_of(
    body: LexborNode,
    formulas: Formulas | None,
    html: str = "",
    with_hidden: bool = False,
) -> PageTree:
    """Return the nodes below `body`, which is node 0. Each of the `formulas` is one text.

    `html`: the source, in which buttons may say that they show an element which is hidden: it is read.
    `with_hidden`: all that is hidden is read.

    Raises TooDeepError.
    """

    @cache
    def shown() -> set[str]:
        """Return the ids of elements that a button shows."""
        return set(_CONTROLLED.findall(html))

    tree = PageTree()
    tags, texts, parents, ends, sums = tree.tag, tree.text, tree.parent, tree.end, tree.sums
    last = sums[0]
    places: dict[int, int] = {}  # of the elements, by their address
    open_ = [-1]
    link = -1  # the outermost open link
    for node in body.traverse(include_text=True):
        name = node.tag or ""
        if name in _LEFT_OUT and not (formulas and name == "script"):
            continue
        above = -1
        if places:
            parent = node.parent  # each time that it is asked for, an object is made
            above = places.get(parent.mem_id, -1) if parent is not None else -1
            if above < 0:
                continue  # it stands inside what is left out
        here = len(tags)
        while open_[-1] != above:
            ends[open_[-1]] = here
            if open_.pop() == link:
                link = -1
        words: str | None = None
        if name == "-text":
            words = node.text_content or ""
            if len(words) == 1 and "\ue000" <= words <= "\uf8ff":
                continue  # of a font of icons
            if formulas:
                words = in_text(node, words)
        else:
            own = node.attributes
            if formulas and (words := formulas.of(node, name, own)) is not None:
                pass
            elif name == "img" and _EMOJI.fullmatch(own.get("alt") or ""):
                words = own["alt"] or ""
            elif (
                name in _NEVER
                and not (name in _CONTROLS and tags[above] in _TITLES and sums[above][0] == last[0])
            ) or (
                places
                and not with_hidden
                and not _HIDING_ATTRIBUTES.isdisjoint(own)
                and _is_hidden(own)
                and own.get("id") not in shown()
            ):
                continue
            else:
                if len(open_) > MAX_DEPTH:
                    raise TooDeepError
                places[node.mem_id] = here
                if own:
                    tree.attributes[here] = own
                open_.append(here)
                if name == "a" and link < 0 and not ("name" in own and "href" not in own):
                    link = here
        if words is not None:
            name, texts[here] = "", words
            if size := len(words.strip()):
                chars, linked, prose = last
                if link >= 0:
                    linked += size
                elif size >= _PROSE_CHARS:
                    prose += size
                last = (chars + size, linked, prose)
        tags.append(name)
        parents.append(above)
        ends.append(here + 1)
        sums.append(last)
    for element in open_[1:]:
        ends[element] = len(tags)
    return tree


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    """Tell whether readers of the page do not see an element, or it has a role that is no content."""
    if attributes.get("role") == "tabpanel":
        return False
    if "hidden" in attributes or (attributes.get("aria-hidden") or "").lower() == "true":
        return True
    if (style := attributes.get("style")) and _HIDING.search(style):
        return True
    return attributes.get("role") in _NO_LANDMARKS
