"""Templates, links and tables of wikitext, which stand in one another: one pass, no recursion.

What is closed first is rendered first, so a caption or an argument holds plain text when its turn comes.
What is never closed is given back as the text that it is. Time is linear in the page.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from llama_core.corpus.markup.wikitext.names import CATEGORIES, LANGUAGE_CODES, MEDIA
from llama_core.corpus.markup.wikitext.templates import is_citation, render

HOLE = "\x03"  # stands where something without words was taken out
MAX_DEPTH = 100  # MediaWiki's own preprocessor has the same limit
MAX_PARTS = 10_000  # the arguments of a template that are told apart: bounds memory where a page is all bars

# Of three closing brackets the first closes an external link; of an odd number of braces after a bar the
# first ends a table.
_TOKENS = re.compile(
    r"\{\{|\}\}|\[\[(?!\[)|\]\](?!\](?!\]))|\||\n[ \t:*#;]*+\{\||\{\|(?<=\|\{\|)(?=[^\n{}|]*+\n)"
    r"|\n[ \t]*+\|\}(?=(?:\}\})*+(?!\}))"
)
_ROWS = re.compile(r"\n[ \t]*+[!|][^\n]*+")
# Prefixes of links to other projects, as in [[wikt:word]].
_PROJECTS = frozenset({
    "w", "s", "b", "q", "n", "v", "c", "d", "m", "wikt", "wikipedia", "wiktionary", "wikisource", "commons",
    "wikiquote", "wikibooks",
})  # fmt: skip
_QUALIFIER = re.compile(r" ?\([^()]*\)$")


class TooDeepError(ValueError):
    """A page nests more, or leaves more open, than MediaWiki itself would read."""


@dataclass
class Nesting:
    """The pass over the text of one page, and what it finds beside the text.

    `title`: the page's own. `hidden`: the namespaces, in lower case, whose links leave no words. `templates`:
    the names of the templates found, in lower case. `citations`: the text of those that are citations.
    """

    title: str = ""
    hidden: Collection[str] = MEDIA | CATEGORIES
    templates: set[str] = field(default_factory=set)
    citations: list[str] = field(default_factory=list)

    def flatten(self, text: str) -> str:
        """Return `text` with templates and links rendered and tables taken out. Raises TooDeepError."""
        stack: list[tuple[str, list[list[str]]]] = [("", [[]])]
        text = "\n" + text
        at = 0
        for found in _TOKENS.finditer(text):
            token = found[0]
            stack[-1][1][-1].append(text[at : found.start()])
            at = found.end()
            if token == "|":
                kind, parts = stack[-1]
                if kind in ("{{", "[[") and len(parts) < MAX_PARTS:
                    parts.append([])
                else:
                    parts[-1].append("|")
            elif token in ("{{", "[[") or token.endswith("{|"):
                if len(stack) > MAX_DEPTH:
                    raise TooDeepError
                stack.append((token[-2:], [[]]))
            else:
                self._close(stack, {"}}": "{{", "]]": "[["}.get(token, "{|"))
        stack[-1][1][-1].append(text[at:])
        return _left_open(stack)[1:]

    def _close(self, stack: list[tuple[str, list[list[str]]]], kind: str) -> None:
        place = next((i for i in range(len(stack) - 1, 0, -1) if stack[i][0] == kind), None)
        if place is None:  # nothing is open; but `]]` may close two external links
            stack[-1][1][-1].append("]]" if kind == "[[" else "")
            return
        while len(stack) - 1 > place:  # what was opened inside and never closed is text
            _, parts = stack.pop()
            outer = stack[-1][1][-1]
            for i, part in enumerate(parts):
                if i > 0:
                    outer.append("|")
                outer += part
        words = ["".join(part) for part in stack.pop()[1]]
        stack[-1][1][-1].append(self._render(kind, words))

    def _render(self, kind: str, parts: list[str]) -> str:
        if kind == "{|":
            return "\n" + HOLE
        if kind == "[[":
            return self._link(parts)
        name = " ".join(parts[0].replace("_", " ").lower().split())
        self.templates.add(name)
        if is_citation(name):
            self.citations.append("|".join(parts))
        words = render(parts, self.title)
        return HOLE if words is None else words

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
            return label
        while colon and (prefix in _PROJECTS or prefix in LANGUAGE_CODES or not prefix):  # [[:de:Titel]]
            target = rest.strip() or target.strip(":")
            prefix, colon, rest = target.partition(":")
            prefix = prefix.strip().lower()
        return _QUALIFIER.sub("", target) if len(parts) > 1 else target.removeprefix("#")


def _left_open(stack: list[tuple[str, list[list[str]]]]) -> str:
    """Return the text of a page together with what it leaves open, which is text too.

    Only the first line of a template or table, and the rows of a table, are left out.
    """
    pieces = ["".join(stack[0][1][0])]
    in_table = False
    for kind, parts in stack[1:]:
        left = "|".join(map("".join, parts))
        in_table = in_table or kind == "{|"
        if kind != "[[":
            left = "\n" + left.partition("\n")[2]
        pieces.append(_ROWS.sub("", left) if in_table else left)
    return "".join(pieces)
