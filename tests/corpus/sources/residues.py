"""Markup that a cleaned text must not hold, counted by pattern: this measures whether it "reads like prose".

Formulas (`$...$`, `$$...$$`, `\\[...\\]`, `\\(...\\)`) and code are kept on purpose, so they are taken out
before counting. What is code, the raw input says: whoever counts finds the passages there and hands them over
as `code`; each is taken out once for every time it is given. What is left is prose, and all of it is counted.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

_ENTITY = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,24}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")
_HTML_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|br|center|cite|code|dd|del|div|dl|dt|em|font|h[1-6]|hr|i|img|ins|kbd|li|nowiki|ol"
    r"|p|pre|q|s|samp|small|span|strike|strong|sub|sup|table|tbody|td|th|thead|tr|tt|u|ul)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)

PATTERNS: dict[str, dict[str, re.Pattern[str]]] = {
    "wikipedia": {
        "wiki link": re.compile(r"\[\[|\]\]"),
        "external link": re.compile(r"\[(?:https?:)?//\S|\bhttps?://\S"),
        "template": re.compile(r"\{\{|\}\}"),
        "table": re.compile(
            r"(?m)^\s*(?:\{\||\|\}|\|-|\|\+|!!)|\|\|"
            r"|\b(?:style|class|width|align|colspan|rowspan|bgcolor|scope)\s*=\s*\""
        ),
        "reference": re.compile(r"</?ref\b|<references\b|\{\{reflist", re.IGNORECASE),
        "comment": re.compile(r"<!--|-->"),
        "heading": re.compile(r"(?m)^={2,6}.*={2,6}\s*$"),
        "bold or italics": re.compile(r"''+"),
        "picture or category": re.compile(
            r"(?im)^\s*(?:file|image|category|datei|kategorie|файл):|\bthumb\||\|\s*thumb\b"
        ),
        "parameter": re.compile(r"(?m)^\s*\|\s*[\w -]{1,40}\s*="),
        "magic word": re.compile(r"__[A-Z]{3,}__|\{\{\{"),
        "empty brackets": re.compile(r"\(\s*[;,:]*\s*\)"),
        "bracket with a hole": re.compile(r"\(\s*[;,:]\s|\s[;,:]\s*\)"),
        "empty list item": re.compile(r"(?m)^\s*[-*#:;]+\s*$"),
        "space before a mark": re.compile(r"(?<=\w) [,;](?=\s)"),
        "tag": _HTML_TAG,
        "entity": _ENTITY,
    },
    "stackexchange": {
        "tag": _HTML_TAG,
        "comment": re.compile(r"<!--"),
        "entity": _ENTITY,
        "row of XML": re.compile(r"<row\b|\bPostTypeId="),
        "empty list item": re.compile(r"(?m)^\s*(?:-|\d+\.)\s*$"),
    },
    "arxiv": {
        "command": re.compile(r"\\[A-Za-z@]+"),
        "control symbol": re.compile(r"\\[^A-Za-z@\s]"),
        "environment": re.compile(r"\\(?:begin|end)\s*\{"),
        "brace": re.compile(r"[{}]"),
        "comment": re.compile(r"(?m)^\s*%|(?<=[a-z.,]) ?%(?=\s|$)"),
        "bibliography": re.compile(
            r"(?m)bibitem|thebibliography|\\newblock|^(?:References|Bibliography|Literatur|Références)$"
            r"|^\[\d+\] [A-Z]\. "
        ),
        "dollar": re.compile(r"\$(?!\d)"),
        "parameter": re.compile(r"#\d"),
        "tie": re.compile(r"(?<=\w)~(?=\w)"),
        "quotes or dashes": re.compile(r"``|''|(?<!-)--(?!-)"),
        "option": re.compile(
            r"\[[!htbpH]{1,5}\]|\b(?:width|height|scale|angle|trim|label|caption)\s?=\s?[\w.\\{]|\[-?[\d.]+(?:pt|cm|mm|em|ex|in)\]"
        ),
        "length": re.compile(r"(?<![\w.])-?\d*\.?\d+(?:pt|em|ex|truecm|truein)\b"),
        "citation without a name": re.compile(r"\[\?+\]|\(\?+\)|\?\?"),
        "empty brackets": re.compile(r"(?<!\w)\(\s*[;,:]*\s*\)|(?<!\w)\[\s*[;,:]*\s*\]"),
        "bracket with a hole": re.compile(r"\(\s*[;,:]\s|\s[;,:]\s*\)"),
        "space before a mark": re.compile(r"(?<=\w) [,;](?=\s)"),
        "empty list item": re.compile(r"(?m)^\s*(?:-|\d+\.)\s*$"),
        "glued sentences": re.compile(r"(?<=[a-z]{3}[.!?])[A-Z][a-z]{2,}"),
    },
}  # fmt: skip

_FORMULAS = re.compile(
    r"\$\$.{1,4000}?\$\$|(?<![\\$\d])\$(?![\s$])[^$\n]{1,1000}?(?<![\s\\])\$(?!\d)"
    r"|\\\[.{1,4000}?\\\]"
    r"|\\\(.{1,1000}?\\\)",
    re.DOTALL,
)
# In a paper a dollar is TeX's own, also next to a number, and \text{...} may hold other formulas.
_DISPLAYS = (
    "equation|align|eqnarray|gather|multline|alignat|flalign|math|displaymath|dmath|IEEEeqnarray|subeqnarray"
    "|xalignat|xxalignat|empheq"
)
_TEX_FORMULAS = re.compile(
    rf"\\begin\{{(?P<name>(?:{_DISPLAYS})\*?)\}}.{{1,40000}}?\\end\{{(?P=name)\}}"
    r"|\$\$.{1,8000}?\$\$|\\\[.{1,8000}?\\\]|\\\(.{1,4000}?\\\)"
    r"|\$(?:[^$\n{}\\]|\\.|\{(?:[^\n{}\\]|\\.|\{(?:[^\n{}\\]|\\.|\{[^\n{}]*\})*\})*\})+\$|\$[^$\n]{1,4000}\$",
    re.DOTALL,
)


def prose(text: str, code: Iterable[str] = (), kind: str = "") -> str:
    """Return the text with a word in the place of each formula and of each passage of `code`."""
    for passage in sorted(code, key=len, reverse=True):
        text = text.replace(passage, "code", 1) if passage.strip() else text
    return (_TEX_FORMULAS if kind == "arxiv" else _FORMULAS).sub("formula", text)


def residues(text: str, kind: str, code: Iterable[str] = ()) -> Counter[str]:
    """Count the patterns of `kind` that occur in the prose of a text."""
    left = prose(text, code, kind)
    return Counter({name: n for name, pattern in PATTERNS[kind].items() if (n := len(pattern.findall(left)))})


def table(before: Mapping[str, int], after: Mapping[str, int], kind: str, size: int) -> str:
    """Return counts by pattern before and after, and for every 100 kB of the `size` bytes after."""
    rows = [f"{kind:24}{'before':>10}{'after':>8}{'per 100 kB':>12}"]
    rows += [
        f"{name:24}{was:>10,}{now:>8,}{now * 1e5 / max(1, size):>12.3f}"
        for name, was, now in (
            *((name, before.get(name, 0), after.get(name, 0)) for name in PATTERNS[kind]),
            ("all", sum(before.values()), sum(after.values())),
        )
    ]
    return "\n".join(rows)
