"""Templates, parameters, links and tables of wikitext as a tree, in one pass without recursion.

The arguments of a call are split here, before anything in them is expanded, as MediaWiki does it. What is
never closed is given back as the text that it is. Time is linear in the text.
"""

import re
from dataclasses import dataclass, field

HOLE = "\x03"  # stands where something without words was taken out
APART = "\x05"  # parts runs of quotes and marks at a line's start from it, and leaves nothing behind
MAX_DEPTH = 100  # MediaWiki's own preprocessor has the same limit
MAX_PARTS = 10_000  # the arguments of a template that are told apart: bounds memory where a page is all bars

CALL, PARAMETER, LINK, TABLE = "{{", "{{{", "[[", "{|"

# Of three closing brackets the first closes an external link; of an odd number of braces after a bar the
# first ends a table. A bar of a table may be written {{!}}, where the table stands in a template.
_TOKENS = re.compile(
    r"\{{2,}|\}{2,}|\[\[(?!\[)|\]\](?!\](?!\]))|\|"
    r"|\n[ \t:*#;]*+(?:\{\||\{\{\{!\}\}|\{\{\(!\}\})|\{\|(?<=\|\{\|)(?=[^\n{}|]*+\n)"
    r"|\n[ \t]*+(?:\|\}(?=(?:\}\})*+(?!\}))|\{\{!\}\}\}(?!\})|\{\{!\)\}\})"
)
_OPENS_TABLE = ("{|", "{{{!}}", "{{(!}}")
_ROWS = re.compile(r"\n[ \t]*+(?:[!|]|\{\{!\}\})[^\n]*+")


class TooDeepError(ValueError):
    """A page nests more, or leaves more open, than MediaWiki itself would read."""


@dataclass(slots=True)
class Node:
    """A call, a parameter, a link or a table. `parts`: what stands between its bars, the name first."""

    kind: str
    parts: "list[list[str | Node]]"


Nodes = list[str | Node]


@dataclass(slots=True)
class _Open:
    """What is open: a run of `braces`, a link or a table."""

    kind: str
    braces: int = 0
    parts: list[Nodes] = field(default_factory=lambda: [[]])


def parse(text: str) -> Nodes:
    """Return the tree of a text. Raises TooDeepError."""
    stack = [_Open("")]
    text = "\n" + text
    at = 0
    while found := _TOKENS.search(text, at):
        token = found[0]
        if found.start() > at:
            stack[-1].parts[-1].append(text[at : found.start()])
        at = found.end()
        if token == "|":
            top = stack[-1]
            if top.kind in (CALL, LINK) and len(top.parts) < MAX_PARTS:
                top.parts.append([])
            else:
                top.parts[-1].append("|")
        elif token == "[[":
            _open(stack, LINK)
        elif token.endswith(_OPENS_TABLE):
            _open(stack, TABLE)
        elif token[0] == "{":
            _open(stack, CALL, len(token))
        elif token[0] == "}":
            _close_braces(stack, len(token))
        elif token == "]]":
            _close(stack, LINK, "]]")
        elif text.startswith("}", at) and _in_parameter(stack):
            at = found.end() - 2  # the bar and the braces of {{{name<line end>|}}}, which end no table
            stack[-1].parts[-1].append(text[found.start() : at])
        else:
            _close(stack, TABLE, token)
    stack[-1].parts[-1].append(text[at:])
    nodes = _left_open(stack)
    if isinstance(nodes[0], str):
        nodes[0] = nodes[0].removeprefix("\n")
    return nodes


def _open(stack: list[_Open], kind: str, braces: int = 0) -> None:
    stack.append(_Open(kind, braces))
    if len(stack) > MAX_DEPTH or sum(max(1, o.braces // 2) for o in stack) > MAX_DEPTH:
        raise TooDeepError


def _in_parameter(stack: list[_Open]) -> bool:
    """Tell whether the innermost that is open of calls, parameters and tables may be a parameter."""
    innermost = next((o for o in reversed(stack) if o.kind in (CALL, TABLE)), None)
    return innermost is not None and innermost.braces >= 3


def _close(stack: list[_Open], kind: str, otherwise: str) -> None:
    """Close what is open of a kind. Where nothing is, `otherwise` stays: `]]` may close two links."""
    if not _unwind(stack, kind):
        stack[-1].parts[-1].append(otherwise)
        return
    done = stack.pop()
    stack[-1].parts[-1].append(Node(kind, done.parts))


def _close_braces(stack: list[_Open], closing: int) -> None:
    """Match a run of closing braces with those that are open, three where both have as many, else two."""
    while closing >= 2 and _unwind(stack, CALL):
        top = stack[-1]
        taken = 3 if top.braces >= 3 and closing >= 3 else 2
        node = Node(PARAMETER if taken == 3 else CALL, top.parts)
        closing -= taken
        top.braces -= taken
        if top.braces >= 2:
            top.parts = [[node]]
        else:
            stack.pop()
            stack[-1].parts[-1] += ["{", node] if top.braces else [node]
    if closing == 1:
        stack[-1].parts[-1].append("}")


def _unwind(stack: list[_Open], kind: str) -> bool:
    """Make text of what was opened inside the innermost that is open of a kind. False if nothing is."""
    place = next((i for i in range(len(stack) - 1, 0, -1) if stack[i].kind == kind), None)
    if place is None:
        return False
    while len(stack) - 1 > place:
        inner = stack.pop()
        outer = stack[-1].parts[-1]
        for i, part in enumerate(inner.parts):
            if i > 0:
                outer.append("|")
            outer += part
    return True


def _left_open(stack: list[_Open]) -> Nodes:
    """Return the tree of a text together with what it leaves open, which is text too.

    Only the first line of a template or table, and the rows of a table, are left out.
    """
    nodes: Nodes = [*stack[0].parts[0]]
    in_table = False
    for opened in stack[1:]:
        left: Nodes = []
        for i, part in enumerate(opened.parts):
            left += ["|", *part] if i else part
        in_table = in_table or opened.kind == TABLE
        if opened.kind != LINK:
            left = ["\n", *_after_first_line(left)]
        nodes += _without_rows(left) if in_table else left
    return nodes


def _after_first_line(nodes: Nodes) -> Nodes:
    for i, node in enumerate(nodes):
        if isinstance(node, str) and "\n" in node:
            return [node.partition("\n")[2], *nodes[i + 1 :]]
    return []


def _without_rows(nodes: Nodes) -> Nodes:
    """Leave out the lines that begin as rows of a table do."""
    out: Nodes = []
    dropping = False
    for node in _joined(nodes):
        if isinstance(node, Node):
            if not dropping:
                out.append(node)
            continue
        if dropping:
            rest = node.partition("\n")
            node = rest[1] + rest[2]
        if node:
            out.append(_ROWS.sub("", node))
            dropping = _ROWS.search(node[node.rfind("\n") :]) is not None if "\n" in node else False
    return out


def _joined(nodes: Nodes) -> Nodes:
    """Join the strings that stand next to one another."""
    out: Nodes = []
    for node in nodes:
        if isinstance(node, str) and out and isinstance(out[-1], str):
            out[-1] += node
        else:
            out.append(node)
    return out
