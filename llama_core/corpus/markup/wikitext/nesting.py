"""What the tree of a page becomes: templates and links rendered, tables taken out."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from llama_core.corpus.markup.wikitext.call import Call
from llama_core.corpus.markup.wikitext.names import CATEGORIES, LANGUAGE_CODES, MEDIA
from llama_core.corpus.markup.wikitext.quotes import unquote
from llama_core.corpus.markup.wikitext.templates import is_citation, render
from llama_core.corpus.markup.wikitext.tree import APART, CALL, HOLE, LINK, TABLE, Node, Nodes, parse

# Prefixes of links to other projects, as in [[wikt:word]].
_PROJECTS = frozenset({
    "w", "s", "b", "q", "n", "v", "c", "d", "m", "wikt", "wikipedia", "wiktionary", "wikisource", "commons",
    "wikiquote", "wikibooks",
})  # fmt: skip
_QUALIFIER = re.compile(r" ?\([^()]*\)$")


@dataclass
class Nesting:
    """The pass over the text of one page, and what it finds beside the text.

    `title`: the page's own. `language`: the code of its Wikipedia. `hidden`: the namespaces, in lower case,
    whose links leave no words. `templates`: the names of the templates found, in lower case. `citations`: the
    text of those that are citations.
    """

    title: str = ""
    language: str = ""
    hidden: Collection[str] = MEDIA | CATEGORIES
    templates: set[str] = field(default_factory=set)
    citations: list[str] = field(default_factory=list)

    def flatten(self, text: str) -> str:
        """Return `text` with templates and links rendered and tables taken out. Raises TooDeepError."""
        tree = parse(text)
        for call in _calls(tree):
            name = _plain(call.parts[0])
            name = " ".join(name.replace("_", " ").lower().split())
            self.templates.add(name)
            if is_citation(name):
                self.citations.append("|".join(map(_plain, call.parts)))
        return self._text(tree)

    def _text(self, nodes: Nodes) -> str:
        if len(nodes) == 1 and isinstance(nodes[0], str):
            return nodes[0]
        out: list[str] = []
        after_lines = False  # whether a call that stands for whole lines has just ended
        for node in nodes:
            words = node if isinstance(node, str) else self._render(node)
            if after_lines and words:
                words = words.removeprefix("\n")
                after_lines = False
            if isinstance(node, Node) and node.kind == CALL and words.startswith("\n"):
                words = words[1:] if not out or out[-1].endswith("\n") else words
                after_lines = words.endswith("\n")
            if words:
                out.append(words)
        return "".join(out)

    def _render(self, node: Node) -> str:
        if node.kind == TABLE:
            return "\n" + HOLE
        if node.kind == LINK:
            return self._link("|".join(map(self._text, node.parts)).split("|"))
        if node.kind == CALL:
            name = self._text(node.parts[0])
            words = render(Call(name, node.parts[1:], self._text, self.title, self.language))
            return HOLE if words is None else words
        return "|".join(map(self._text, node.parts[1:]))  # a parameter, on a template's own page

    def _link(self, parts: list[str]) -> str:
        target = parts[0].strip()
        if "\n" in target or not target:
            return "|".join(parts)
        prefix, colon, rest = target.partition(":")
        prefix = prefix.strip().lower()
        if colon and (prefix in self.hidden or prefix in LANGUAGE_CODES):
            return HOLE
        label = "|".join(parts[1:])
        if label.strip():
            return _apart(unquote(label))
        while colon and (prefix in _PROJECTS or prefix in LANGUAGE_CODES or not prefix):  # [[:de:Titel]]
            target = rest.strip() or target.strip(":")
            prefix, colon, rest = target.partition(":")
            prefix = prefix.strip().lower()
        target = target.replace("''", f"'{APART}'")  # quotes in a target are its own
        return _apart(_QUALIFIER.sub("", target) if len(parts) > 1 else target.removeprefix("#"))


def _apart(label: str) -> str:
    """Part the apostrophe at an end of a label from quotes outside of the link."""
    label = APART + label if label.startswith("'") else label
    return label + APART if label.endswith("'") else label


def _calls(nodes: Nodes) -> Iterator[Node]:
    """Yield the calls of a tree, also those in the arguments of others."""
    left: list[str | Node] = [*reversed(nodes)]
    while left:
        node = left.pop()
        if isinstance(node, str):
            continue
        if node.kind == CALL:
            yield node
        for part in reversed(node.parts):
            left += [inner for inner in reversed(part) if isinstance(inner, Node)]


def _plain(nodes: Nodes) -> str:
    """Return the text of a part, with a hole for each call in it."""
    return "".join(
        n if isinstance(n, str) else HOLE if n.kind == CALL else "|".join(map(_plain, n.parts)) for n in nodes
    )
