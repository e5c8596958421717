"""What the tree of a page becomes: templates and links rendered, tables taken out."""

import datetime
import re
from collections import Counter
from collections.abc import Hashable, Iterator
from urllib.parse import unquote_to_bytes

from llama_core.corpus.markup.wikitext.call import Call
from llama_core.corpus.markup.wikitext.elements import RESERVED, Aside
from llama_core.corpus.markup.wikitext.expand.aliases import in_english
from llama_core.corpus.markup.wikitext.expand.definitions import NONE, Definitions
from llama_core.corpus.markup.wikitext.expand.expander import Expander
from llama_core.corpus.markup.wikitext.expand.frame import UnknownError
from llama_core.corpus.markup.wikitext.expand.functions import is_function
from llama_core.corpus.markup.wikitext.expand.results import has_words, words_of
from llama_core.corpus.markup.wikitext.names import CATEGORIES, LANGUAGE_CODES, MEDIA
from llama_core.corpus.markup.wikitext.quotes import unquote
from llama_core.corpus.markup.wikitext.templates import is_citation, render
from llama_core.corpus.markup.wikitext.tree import (
    APART,
    CALL,
    HOLE,
    LINK,
    TABLE,
    Node,
    Nodes,
    TooDeepError,
    parse,
)

# Prefixes of links to other projects, as in [[wikt:word]].
_PROJECTS = frozenset({
    "w", "s", "b", "q", "n", "v", "c", "d", "m", "wikt", "wikipedia", "wiktionary", "wikisource", "commons",
    "wikiquote", "wikibooks",
})  # fmt: skip
MAX_EXPANDED = 1 << 21  # characters that templates may add to a page; MediaWiki allows as many bytes
_ITALIC_LINE = re.compile(r"''(?!')[^\n]{1,1000}''")
# What the label of a link leaves out where its bar has nothing after it.
_SHORTER = (re.compile(r"^[\w -]+:"), re.compile(r" ?\([^()]*\)$"), re.compile(r", .*"))


class Nesting:
    """The pass over the text of one page, and what it finds beside the text.

    `title`: the page's own. `language`: the code of its Wikipedia. `hidden`: the namespaces, in lower case,
    whose links leave no words. `today`: what the page calls so. `templates`: the names of the templates
    found, in lower case. `citations`: the text of those that are citations. `outcomes`: how many calls within
    lines came to what (see `_words`).
    """

    def __init__(
        self,
        title: str = "",
        language: str = "",
        hidden: frozenset[str] = MEDIA | CATEGORIES,
        definitions: Definitions = NONE,
        aside: Aside | None = None,
        today: datetime.datetime | None = None,
    ):
        self._title, self._language, self._hidden = title, language, hidden
        self._definitions, self._aside = definitions, aside or Aside()
        self._expander = Expander(definitions, title, language, today)
        self.templates: set[str] = set()
        self.citations: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self._expanded_chars = 0

    def flatten(self, text: str) -> str:
        """Return `text` with templates and links rendered and tables taken out. Raises TooDeepError."""
        tree = parse(text)
        for call in _calls(tree):
            name = _plain(call.parts[0])
            name = " ".join(name.replace("_", " ").lower().split())
            self.templates |= {name, self._definitions.title_of(self._definitions.bare(name)).lower()}
            if is_citation(name):
                self.citations.append("|".join(map(_plain, call.parts)))
        return self._text(tree)

    def _text(self, nodes: Nodes) -> str:
        if len(nodes) == 1 and isinstance(nodes[0], str):
            return nodes[0]
        out: list[str] = []
        after_lines = False  # whether a call that stands for whole lines has just ended
        for place, node in enumerate(nodes):
            words = node if isinstance(node, str) else self._render(node, _is_within_line(nodes, place))
            if after_lines and words:
                words = words.removeprefix("\n")
                after_lines = False
            if isinstance(node, Node) and node.kind == CALL and words.startswith("\n"):
                words = words[1:] if not out or out[-1].endswith("\n") else words
                after_lines = words.endswith("\n")
            if words:
                out.append(words)
        return "".join(out)

    def _render(self, node: Node, within_line: bool) -> str:
        if node.kind == TABLE:
            return "\n" + HOLE
        if node.kind == LINK:
            return self._link("|".join(map(self._text, node.parts)).split("|"))
        if node.kind == CALL:
            words, outcome = self._words(node)
            if within_line:
                self.outcomes[outcome] += 1
            elif outcome == "expanded" and words and _ITALIC_LINE.fullmatch(words.strip()):
                return HOLE  # a line that leads to another page
            return HOLE if words is None else words
        return "".join(map(self._text, node.parts[1:2]))  # a parameter, on a template's own page

    def _words(self, node: Node) -> tuple[str | None, str]:
        """Return the words of a call, None if it has none, and how they were found.

        That is by its `expanded` definition or `by_hand`. Without words it is `dropped` (a box, a notice, or
        nothing), `unknown` (it takes a program) or `undefined`.
        """
        name = in_english(self._definitions.bare(self._text(node.parts[0])), self._language)
        title = self._definitions.title_of(name)
        outcome = "undefined"
        if is_function(name) or (self._definitions.find(title) is not None and not is_citation(name)):
            try:
                words, outcome = self._expansion(node)
            except UnknownError:
                outcome = "unknown"
            else:
                self._expanded_chars += len(words or "")
                if words is not None and self._expanded_chars <= MAX_EXPANDED:
                    return (words, outcome) if has_words(words) else (None, "dropped")
                outcome = "dropped"
        for known_as in (name, title) if title.lower() != name.lower() else (name,):  # a redirect's target
            call = Call(known_as, node.parts[1:], self._text, self._language)
            if (words := render(call)) is not None:
                return _apart(words), "by_hand"  # the template's own tags stand around the words
        return None, outcome

    def _expansion(self, node: Node) -> tuple[str | None, str]:
        """Return the words of a call's expansion, None if it is a box or a notice, and how they were found.

        Raises UnknownError.
        """
        results, key = self._definitions.results, self._key(node)
        result = None if key is None else results.get(key)
        if result is None:
            result = self._made(node)
            if key is not None and not self._expander.knows_page:
                results[key] = result
        if isinstance(result, UnknownError):
            raise result
        return result

    def _made(self, node: Node) -> tuple[str | None, str] | UnknownError:
        try:
            words = words_of(self._aside.take(self._expander.expand(node)))
            outcome = "by_hand" if self._expander.by_hand else "expanded"
            if words and ("[[" in words or "{|" in words):
                words = self._text(parse(words))
        except TooDeepError:
            return None, "dropped"
        except UnknownError as error:
            return error.with_traceback(None)
        return words, outcome

    def _key(self, node: Node) -> tuple[Hashable, ...] | None:
        """Return what the result of a call depends on if all of it is plain text, else None."""
        key: list[Hashable] = [self._language, self._hidden]
        for part in node.parts:
            text = part[0] if part else ""
            if len(part) > 1 or isinstance(text, Node) or "\x01" in text:
                return None
            key.append(text)
        return tuple(key)

    def _link(self, parts: list[str]) -> str:
        target = parts[0].strip()
        if "\n" in target or not target:
            return "|".join(parts)
        prefix, colon, rest = target.partition(":")
        prefix = prefix.strip().lower()
        if colon and (prefix in self._hidden or prefix in LANGUAGE_CODES):
            return HOLE
        label = "|".join(parts[1:])
        if label.strip():
            return _apart(unquote(label))
        while colon and (prefix in _PROJECTS or prefix in LANGUAGE_CODES or not prefix):  # [[:de:Titel]]
            target = rest.strip() or target.strip(":")
            prefix, colon, rest = target.partition(":")
            prefix = prefix.strip().lower()
        if len(parts) > 1:
            return _apart(_shortened(target))
        target = target.replace("''", f"'{APART}'")  # quotes in a target are its own
        return _apart(_decoded(target).removeprefix("#"))


def _shortened(target: str) -> str:
    """Return what `[[Help:Rome (city)|]]` or `[[Rome, Italy|]]` shows: no namespace, qualifier or region."""
    for pattern in _SHORTER:
        target = pattern.sub("", target) or target
    return target


def _decoded(target: str) -> str:
    """Return a target whose characters may be written as in addresses: `Caf%C3%A9`."""
    if "%" not in target:
        return target
    try:
        return RESERVED.sub("", unquote_to_bytes(target).decode())
    except UnicodeError:
        return target


def _is_within_line(nodes: Nodes, place: int) -> bool:
    """Tell whether a node shares its line with anything."""
    before = nodes[place - 1] if place else "\n"
    after = nodes[place + 1] if place + 1 < len(nodes) else "\n"
    alone = isinstance(before, str) and isinstance(after, str) and before[-1:] == "\n" and after[:1] == "\n"
    return not alone


def _apart(words: str) -> str:
    """Part the apostrophe at an end of a link's or a template's words from quotes outside of it."""
    words = APART + words if words.startswith("'") else words
    return words + APART if words.endswith("'") else words


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
