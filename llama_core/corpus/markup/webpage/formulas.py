"""The formulas of a page: each is said once, as its TeX between dollars, however often the page says it.

Pages hold a formula as TeX in a script (MathJax 2), as MathML with its TeX as annotation or attribute
(KaTeX, MathJax, Wikipedia), and beside it as spans or a picture that show it. MathML without TeX is written
in a line.
"""

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote, unquote_plus

from selectolax.lexbor import LexborHTMLParser, LexborNode

# Without one of these in its source a page has no formula that is known here.
_MARKS = ("math", "MathJax", "atex", "mimetex.cgi", "/equation?tex=", "chart?cht=tx")
_SCRIPTS = 'script[type^="math/"]'
_RENDERED = re.compile(r"(?:^|\s)(?:MathJax|MJX|mjx-)")
# Classes of elements that hold one formula in all of its forms.
_WHOLES = frozenset(
    {"katex", "mwe-math-element", "MathJax", "MathJax_Display", "MathJax_SVG", "MathJax_SVG_Display"}
    | {"MathJax_CHTML", "MathJax_MathML", "MJXc-display", "mjx-chtml", "ztext-math"}
)
_PICTURES = frozenset(
    {"tex", "latex", "latexcenter", "katex", "quicklatex-auto-format", "ql-img-inline-formula"}
    | {"ql-img-displayed-formula", "mwe-math-fallback-image-inline", "mwe-math-fallback-image-display"}
)
# Addresses of pictures that hold their TeX, with plus signs for spaces in the first form.
_SOURCE = re.compile(
    r"(?:latex\.php\?(?:.*&)?latex|/equation\?tex|/render/math\?math|/chart\?cht=tx&chl)=(?P<field>[^&#]*)"
    r"|(?:codecogs\.com/[^?]*|(?:mathtex|mimetex)\.cgi)\?(?P<rest>.*)",
    re.DOTALL,
)
_MAX_ADDRESS = 5000
_TEX_SIGNS = re.compile(r"[\\^_={}+<>]|^.$")
_NO_TEX = frozenset({"", "equation", "formula", "math", "latex", "image", "img"})  # as words for a picture
_LOOKS = re.compile(
    r"(?:\\(?:inline|dpi\{\d*\}|[bf][gn]_\w+|tiny|small|large|Large|LARGE|huge|Huge)(?![a-zA-Z])\s*)+"
)
# TeX in text, as MathJax and KaTeX find it.
_RAW = re.compile(
    r"\\\(.{1,1000}?\\\)|\\\[.{1,1000}?\\\]|\$\$[^$]{1,1000}\$\$"
    r"|\\begin\{((?:equation|align|gather|multline|eqnarray)\*?)\}.{1,2000}?\\end\{\1\}",
    re.DOTALL,
)
_RAW_MARK = re.compile(r"\\[(\[b]|\$\$")  # quick to find
_CODE = frozenset({"code", "pre", "kbd", "samp", "tt"})
_TEX = re.compile(r"(?:application/|text/)?(?:x-)?(?:la)?tex", re.IGNORECASE)
_ATTRIBUTES = ("data-latex", "data-tex", "alttext")
_DISPLAYSTYLE = re.compile(r"\{\s*\\(?:display|text)style\b\s*(.*)\}", re.DOTALL)
_FENCES = re.compile(r"\$\$(.*)\$\$|\$(.*)\$|\\\((.*)\\\)|\\\[(.*)\\\]", re.DOTALL)
# What writers of pages put around TeX in a script for the sake of XHTML, and TeX's own comments.
_CDATA = re.compile(r"(?:%\s*)?(?:<!\[CDATA\[|\]\]>)")
_COMMENT = re.compile(r"(?<!\\)(?:\\\\)*+%")
_GLYPH = re.compile(r"""(?:\bmjx-c|\bdata-c=["'])(1?[0-9A-F]{2,4})\b""")
_PREFIX = re.compile(r"<(mml|m):math[\s>]")
_MAX_DEPTH = 50  # of MathML that is written in a line; what is deeper is left out
_ACCENTS = {
    "^": r"\hat", "ˆ": r"\hat", "¯": r"\bar", "‾": r"\bar", "→": r"\vec", "⃗": r"\vec", "~": r"\tilde",
    "˜": r"\tilde", "˙": r"\dot", "¨": r"\ddot",
}  # fmt: skip
_LEAVES = frozenset({"mi", "mn", "mo", "mtext", "ms"})
_UNSEEN = frozenset({"annotation", "annotation-xml", "mphantom", "none", "mprescripts", "-comment"})
_INVISIBLE = dict.fromkeys(map(ord, "\u2061\u2062\u2063\u2064\u200b"))


class Formulas:
    """Tells which elements of a page are formulas, and what each says."""

    def __init__(self, page: LexborHTMLParser):
        self._shown: set[int] = set()  # elements that show what a script behind them says
        scripts = page.css(_SCRIPTS)
        self._has_scripts = bool(scripts)
        for script in scripts:
            before = script.prev
            while before is not None and _shows(before):
                self._shown.add(before.mem_id)
                before = before.prev

    def of(self, node: LexborNode, tag: str, attributes: dict[str, str | None]) -> str | None:
        """Return what a formula says, empty if it is said elsewhere, or None where `node` is no formula."""
        if node.mem_id in self._shown:
            return ""
        if tag == "script":
            kind = attributes.get("type") or ""
            if not kind.startswith("math/"):
                return None
            source = node.text(deep=True) or ""
            return _of_mathml(source) if "mml" in kind else dollars(source)
        classes = (attributes.get("class") or "").split()
        if tag == "img":
            address = _SOURCE.search((attributes.get("src") or "")[:_MAX_ADDRESS])
            words = (attributes.get("alt") or "").strip()
            is_math = not _PICTURES.isdisjoint(classes) or ("math" in classes and _TEX_SIGNS.search(words))
            return _of_picture(words, address) if address or is_math else None
        if tag in ("math", "mjx-container") or not _WHOLES.isdisjoint(classes):
            return _formula(node, attributes)
        # A preview may stand in another paragraph than its script.
        return "" if self._has_scripts and "MathJax_Preview" in classes else None


def has_formulas(html: str) -> bool:
    """Tell whether the source of a page may hold a formula."""
    return any(mark in html for mark in _MARKS)


def without_prefixes(html: str) -> str:
    """Return the source of a page with its MathML as HTML has it, which knows no prefixes of XML."""
    found = _PREFIX.search(html)
    if not found:
        return html
    return html.replace(f"<{found[1]}:", "<").replace(f"</{found[1]}:", "</")


def in_text(node: LexborNode, words: str) -> str:
    """Return the words of a text node, with TeX that stands in them as a script would find it in dollars."""
    if not _RAW_MARK.search(words) or (node.parent is not None and node.parent.tag in _CODE):
        return words
    return _RAW.sub(lambda found: dollars(found[0]), words)


def _of_picture(words: str, source: re.Match[str] | None) -> str:
    """Return what a picture of a formula says: the words for it, or else what its address holds."""
    if source and words.lower() in _NO_TEX:
        words = unquote_plus(source["field"]) if source["field"] else unquote(source["rest"] or "")
        words = words.replace("&space;", " ").replace("&plus;", "+")
    return dollars(_LOOKS.sub("", words, count=1) if source else words)


def dollars(tex: str) -> str:
    """Return TeX between dollars, without the delimiters, the style and the comments that it came with."""
    tex = " ".join(_without_comments(_CDATA.sub("", tex)).split())
    for pattern in (_FENCES, _DISPLAYSTYLE):
        if found := pattern.fullmatch(tex):
            tex = next(group for group in found.groups() if group is not None).strip()
    return f"${tex}$" if tex else ""


def _without_comments(tex: str) -> str:
    """Take out what stands behind a `%`, and the end of its line."""
    if "%" not in tex or "\n" not in tex:
        return tex
    *lines, last = tex.split("\n")
    for at, line in enumerate(lines):
        found = _COMMENT.search(line)
        lines[at] = line[: found.end() - 1] if found else line + " "
    return "".join([*lines, last])


def _shows(node: LexborNode) -> bool:
    """Tell whether a node is white space, or what MathJax 2 has put before a script."""
    if node.tag == "-text":
        return not (node.text_content or "").strip()
    return bool(node.is_element_node and _RENDERED.search(node.attributes.get("class") or ""))


def _formula(node: LexborNode, attributes: dict[str, str | None]) -> str:
    """Return the one formula that an element holds, in the best of its forms."""
    for annotation in node.css("annotation"):
        if _TEX.fullmatch(annotation.attributes.get("encoding") or ""):
            return dollars(annotation.text(deep=True) or "")
    for name in _ATTRIBUTES:
        held = attributes if attributes.get(name) else None
        if held is None and (inner := node.css_first(f"[{name}]")) is not None:
            held = inner.attributes
        if held and (found := dollars(held[name] or "")):
            return found
    for script in node.css(_SCRIPTS):
        return dollars(script.text(deep=True) or "")
    if "data-mathml" not in attributes and (inner := node.css_first("[data-mathml]")) is not None:
        attributes = inner.attributes
    if mathml := attributes.get("data-mathml"):
        return _of_mathml(mathml)
    if (image := node.css_first("img")) is not None and (image.attributes.get("alt") or "").strip():
        return dollars(image.attributes["alt"] or "")
    math = node if node.tag == "math" else node.css_first("math")
    if math is None and (plain := node.css_first(".katex-mathml")) is not None:
        # What a site has left of MathML is what is shown, and then the TeX.
        return dollars((plain.text(deep=True) or "").strip().rpartition("\n")[2])
    if math is not None:
        return _in_line(math)
    # MathJax 3 shows each glyph by the class of an element or a path that is named after the character.
    return " ".join((node.text(deep=True) or "").split()) or unicodedata.normalize(
        "NFKC", "".join(chr(int(code, 16)) for code in _GLYPH.findall(node.html or ""))
    )


def _of_mathml(source: str) -> str:
    """Return the formula in a piece of MathML."""
    math = LexborHTMLParser(source).css_first("math")
    return _formula(math, math.attributes) if math is not None else ""


def _in_line(math: LexborNode) -> str:
    """Write MathML without TeX: as TeX if a part is raised, lowered or above another, else as it stands."""
    line = " ".join(_line(math, 0).translate(_INVISIBLE).split())
    return f"${line}$" if any(mark in line for mark in "^_\\") else line


def _line(node: LexborNode, depth: int) -> str:
    tag = node.tag or ""
    if tag == "-text":
        return (node.text_content or "").strip()
    if tag in _UNSEEN or depth > _MAX_DEPTH:
        return ""
    if tag in _LEAVES:
        words = " ".join((node.text(deep=True) or "").split())
        return f"{words} " if tag == "mi" and len(words) > 1 else f" {words} " if tag == "mtext" else words
    parts = list(_parts(node, depth))
    first, second, third = (*parts, "", "", "")[:3]
    match tag:
        case "semantics":
            return first
        case "mfrac":
            return rf"\frac{{{first}}}{{{second}}}"
        case "msqrt":
            return rf"\sqrt{{{''.join(parts)}}}"
        case "mroot":
            return rf"\sqrt[{second}]{{{first}}}"
        case "mover" if second.strip() in _ACCENTS:
            return f"{_ACCENTS[second.strip()]}{{{first}}}"
        case "msup" | "mover":
            return f"{first}^{_argument(second)}"
        case "msub" | "munder":
            return f"{first}_{_argument(second)}"
        case "msubsup" | "munderover":
            return f"{first}_{_argument(second)}^{_argument(third)}"
        case "mtable":
            return r"\begin{matrix}" + r" \\ ".join(parts) + r"\end{matrix}"
        case "mtr" | "mlabeledtr":
            return " & ".join(parts)
        case "mfenced":
            own = node.attributes
            return (own.get("open") or "(") + ",".join(parts) + (own.get("close") or ")")
        case "mspace":
            return " "
        case _:
            return "".join(parts)


def _parts(node: LexborNode, depth: int) -> Iterator[str]:
    for child in node.iter(include_text=True):
        is_blank = child.tag == "-text" and not (child.text_content or "").strip()
        if not is_blank and child.tag not in _UNSEEN:
            yield _line(child, depth + 1)


def _argument(text: str) -> str:
    return text if len(text) == 1 else f"{{{text.strip()}}}"
