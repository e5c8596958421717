"""A parsed web page as flat lists in document order, so that what is said of its parts takes linear time.

Node i is an element or a text. Its subtree is the nodes i to `end[i]` - 1. What never holds text to be read,
such as scripts, is not among them.
"""

from dataclasses import dataclass, field

from selectolax.lexbor import LexborNode

from llama_core.corpus.markup.webpage.formulas import Formulas

MAX_DEPTH = 512  # browsers cut there

_NEVER = frozenset(
    ["script", "style", "template", "noscript", "iframe", "frame", "frameset", "object", "embed", "applet", "audio", "video", "canvas", "svg", "map", "head", "link", "meta", "base", "nav", "dialog", "menu", "button", "select", "input", "textarea", "option", "datalist", "progress", "meter", "label", "noframes", "param", "source", "track"]
)
_NO_LANDMARKS = frozenset({"navigation", "search", "dialog", "alert", "menu", "menubar", "toolbar", "tooltip"})
_PROSE_CHARS = 25  # a text of fewer characters, such as a label or a date, says nothing about where prose is


class TooDeepError(ValueError):
    """The page's elements are nested more than MAX_DEPTH deep."""


@dataclass(slots=True)
class PageTree:
    """The nodes of a page. `tag` is empty for a text.

    `chars`, `linked`, `prose`: characters of text in the subtree, those of them inside links, and those of
    texts outside links that are long enough to be prose.
    """

    tag: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    attributes: list[dict[str, str | None]] = field(default_factory=list)
    chars: list[int] = field(default_factory=list)
    linked: list[int] = field(default_factory=list)
    prose: list[int] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)
    """Nodes whose subtrees are left out."""

    def drop(self, node: int) -> None:
        """Leave a subtree out, also of the sums of the elements around it."""
        self.dropped.add(node)
        chars, linked, prose = self.chars[node], self.linked[node], self.prose[node]
        while chars and (node := self.parent[node]) >= 0:
            self.chars[node] -= chars
            self.linked[node] -= linked
            self.prose[node] -= prose

    def children(self, node: int) -> list[int]:
        """Return the nodes right below an element that are not dropped."""
        found = []
        at, end = node + 1, self.end[node]
        while at < end:
            if at not in self.dropped:
                found.append(at)
            at = self.end[at]
        return found


def tree_of(body: LexborNode, formulas: Formulas | None) -> PageTree:
    """Return the nodes below `body`, which is node 0; each of the `formulas` is one text. Raises TooDeepError."""
    tree = PageTree()
    tag, text, parent, end = tree.tag, tree.text, tree.parent, tree.end
    places: dict[int, int] = {}  # of the elements, by their address
    links: set[int] = set()  # elements that are links or stand inside one
    none: dict[str, str | None] = {}
    open_: list[int] = []
    for node in body.traverse(include_text=True):
        name = node.tag or ""
        if name == "-comment" or (name in _NEVER and not (formulas and name == "script")):
            continue
        here = len(tag)
        above = places.get(node.parent.mem_id, -1) if open_ and node.parent is not None else -1
        if open_ and above < 0:
            continue  # it stands inside what is left out
        while open_ and open_[-1] != above:
            end[open_.pop()] = here
        is_link = above in links
        own: dict[str, str | None] = none
        words, size = "", 0
        if name == "-text":
            name, words = "", node.text_content or ""
            size = len(words.strip())
        else:
            own = node.attributes or none
            formula = formulas.of(node, name, own) if formulas else None
            if formula is not None:
                name, words, own = "", formula, none
            elif name in _NEVER:
                continue
        if name:
            if own and _is_hidden(own) and open_:
                continue
            places[node.mem_id] = here
            if is_link or name == "a":
                links.add(here)
            if len(open_) > MAX_DEPTH:
                raise TooDeepError
            open_.append(here)
        tag.append(name)
        text.append(words)
        parent.append(above)
        end.append(here + 1)
        tree.attributes.append(own)
        tree.chars.append(size)
        tree.linked.append(size if is_link else 0)
        tree.prose.append(size if size >= _PROSE_CHARS and not is_link else 0)
    for node_ in open_:
        end[node_] = len(tag)
    for node_ in range(len(tag) - 1, 0, -1):
        above = parent[node_]
        tree.chars[above] += tree.chars[node_]
        tree.linked[above] += tree.linked[node_]
        tree.prose[above] += tree.prose[node_]
    return tree


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    """Tell whether readers of the page do not see an element, or it has a role that is no content."""
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    style = attributes.get("style")
    if style and ("none" in style or "hidden" in style):
        plain = "".join(style.split()).lower()
        if "display:none" in plain or "visibility:hidden" in plain:
            return True
    return attributes.get("role") in _NO_LANDMARKS
