"""Templates, links and tables of wikitext, which stand in one another: one pass, no recursion.

What is closed first is rendered first, so a caption or an argument holds plain text when its turn comes.
What is never closed is given back as the text that it is. Time is linear in the page.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from llama_core.corpus.markup.wikitext.names import CATEGORIES, LANGUAGE_CODES, MEDIA
from llama_core.corpus.markup.wikitext.templates import is_citation, render

HOLE = "\x03"  # stands where something was that has no words
MAX_DEPTH = 100  # the limit of MediaWiki's own preprocessor
MAX_PARTS = 10_000  # arguments of a template: bounds memory where a page is all bars

# Of three closing brackets the first is of an external link; of an odd number of braces after a bar the first
# ends a table.
_TOKENS = re.compile(
    r"\{\{|\}\}|\[\[(?!\[)|\]\](?!\](?!\]))|\||\n[ \t:*#;]*+\{\||\{\|(?<=\|\{\|)(?=[^\n{}|]*+\n)"
    r"|\n[ \t]*+\|\}(?=(?:\}\})*+(?!\}))"
)
_ROWS = re.compile(r"\n[ \t]*+[!|][^\n]*+")
_PROJECTS = frozenset({
    "w", "s", "b", "q", "n", "v", "c", "d", "m", "wikt", "wikipedia", "wiktionary", "wikisource", "commons",
    "wikiquote", "wikibooks",
})  # fmt: skip
_QUALIFIER = re.compile(r" ?\([^()]*\)$")


class TooDeepError(ValueError):
    """More is nested, or left open, than MediaWiki itself would read."""


@dataclass
class Nesting:
    """What was found beside the text: names of templates (lower case), the text of citations."""

    title: str = ""
    hidden: Collection[str] = MEDIA | CATEGORIES
    templates: set[str] = field(default_factory=set)
    citations: list[str] = field(default_factory=list)

    def flatten(self, text: str) -> str:
        """`text` without templates, links and tables. Raises TooDeepError."""
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
        if place is None:  # a closing of nothing, but it may be of two external links
            stack[-1][1][-1].append("]]" if kind == "[[" else "")
            return
        while len(stack) - 1 > place:
            _, parts = stack.pop()
            for i, part in enumerate(parts):
                stack[-1][1][-1] += [*["|"] * (i > 0), *part]
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
    """What is never closed is text, but for the first line of a template and the rows of a table."""
    pieces = ["".join(stack[0][1][0])]
    in_table = False
    for kind, parts in stack[1:]:
        left = "|".join(map("".join, parts))
        in_table = in_table or kind == "{|"
        if kind != "[[":
            left = "\n" + left.partition("\n")[2]
        pieces.append(_ROWS.sub("", left) if in_table else left)
    return "".join(pieces)
