"""Parser functions and variables of MediaWiki, as far as they say the same to any reader."""

import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from llama_core.corpus.markup.wikitext.call import split_argument
from llama_core.corpus.markup.wikitext.elements import RESERVED
from llama_core.corpus.markup.wikitext.expand.aliases import DEFAULTS
from llama_core.corpus.markup.wikitext.expand.dates import time, written_as
from llama_core.corpus.markup.wikitext.expand.expressions import ExpressionError, evaluate, written
from llama_core.corpus.markup.wikitext.expand.frame import ERROR, Expands, Frame, give_up, replaced, sure
from llama_core.corpus.markup.wikitext.expand.modules import invoked
from llama_core.corpus.markup.wikitext.expand.plurals import plural
from llama_core.corpus.markup.wikitext.numbers import formatted, plain
from llama_core.corpus.markup.wikitext.tree import HOLE, Nodes

_Function = Callable[[Expands, str, list[Nodes], Frame], str]

_NUMBER = re.compile(r"[+-]?(?:\d{1,15}\.?\d{0,15}|\.\d{1,15})(?:[eE][+-]?\d{1,2})?")
_LINKS = re.compile(r"\[\[(?:[^|\[\]]*\|)?([^|\[\]]*)\]\]")
_MAX_WIDTH = 500
_PAGE_NAMES = frozenset({
    "PAGENAME", "FULLPAGENAME", "SUBPAGENAME", "BASEPAGENAME", "ROOTPAGENAME", "SUBJECTPAGENAME",
    "ARTICLEPAGENAME",
})  # fmt: skip
_CONSTANTS = {
    "NAMESPACE": "", "NAMESPACEE": "", "NAMESPACENUMBER": "0", "SUBJECTSPACE": "", "ARTICLESPACE": "",
    "!": "|", "=": "=", "REVISIONUSER": "", "REVISIONID": "",
}  # fmt: skip
_NAMESPACES = {
    "0": "", "1": "Talk", "2": "User", "4": "Project", "6": "File", "8": "MediaWiki", "10": "Template",
    "12": "Help", "14": "Category", "100": "Portal", "828": "Module",
}  # fmt: skip
_TODAY = {  # in the formats of `#time`
    "YEAR": "Y", "MONTH": "m", "MONTH2": "m", "MONTH1": "n", "MONTHNAME": "F", "MONTHNAMEGEN": "xg",
    "MONTHABBREV": "M", "DAY": "j", "DAY2": "d", "DAYNAME": "l", "DOW": "w", "HOUR": "H", "TIME": "H:i",
    "TIMESTAMP": "YmdHis",
}  # fmt: skip
_OF_TODAY = re.compile(rf"(?:CURRENT|LOCAL|REVISION)({'|'.join(_TODAY)})")
# What depends on the reader, or on the server.
_UNKNOWN = re.compile(
    r"(?:CURRENT|LOCAL|REVISION|NUMBEROF|PAGESIN|SITE|SERVER|SCRIPT|STYLE|CONTENTLANG|PAGEID|PAGELANG|TALK"
    r"|CASCADING|PROTECTION)[A-Z0-9]*(?::.*)?|(?:int|#property|#statements|#language|#lst[a-z]*|#section"
    r"|#dateformat|pagesize|protectionlevel|bidi|#shortdesc|#special|#bereich|#abschnitt)\s*:.*",
    re.DOTALL,
)
_SILENT = frozenset({
    "displaytitle", "defaultsort", "defaultsortkey", "defaultcategorysort", "#coordinates", "#related",
    "noexternallanglinks", "#assessment", "shortdesc", "ordena", "sortierung", "clefdetri", "ключ_сортировки",
    "padsort", "sortuj", "domyślniesortuj", "ordenar", "clavedeordenación", "standaardsortering",
    "standardsortering", "standardsortierung", "alapértrendezés", "řadit_podle",
})  # fmt: skip


def evaluated(expander: Expands, name: str, parts: list[Nodes], frame: Frame) -> str | None:
    """Return the wikitext that a function or variable gives, None if `name` is that of a template.

    `parts`: its further arguments. Raises UnknownError.
    """
    if not parts:
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name in _PAGE_NAMES or name.removesuffix("E") in _PAGE_NAMES:
            return expander.title
        if found := _OF_TODAY.fullmatch(name):
            return written_as(_TODAY[found[1]], expander.today, expander.language)
    if _UNKNOWN.fullmatch(name):
        give_up()
    function, colon, argument = name.partition(":")
    function = function.strip()
    if not colon:
        return None
    if function in _PAGE_NAMES or function in ("NAMESPACE", "NAMESPACENUMBER"):
        return _about_page(function, argument.strip())
    key = function.lower()
    if key in _SILENT:
        return ""
    known = _FUNCTIONS.get(key)
    if known is None:
        if function.startswith("#"):
            give_up()
        return None
    return known(expander, argument.strip(), parts, frame)


def is_function(name: str) -> bool:
    """Tell whether a bare name is that of a function or a variable, not of a template."""
    if (
        name in _CONSTANTS
        or name in _PAGE_NAMES
        or name.startswith("#")
        or name.removesuffix("E") in _PAGE_NAMES
    ):
        return True
    function, colon, _ = name.partition(":")
    function = function.strip()
    if colon and (function.lower() in _FUNCTIONS or function.lower() in _SILENT or function in _PAGE_NAMES):
        return True
    return _UNKNOWN.fullmatch(name) is not None


def _about_page(function: str, title: str) -> str:
    prefix, colon, rest = title.partition(":")
    if function in ("FULLPAGENAME", "SUBJECTPAGENAME", "ARTICLEPAGENAME"):
        return title
    if colon and prefix.strip():
        give_up()
    if function == "SUBPAGENAME":
        return rest or title.rpartition("/")[2]
    return "" if function == "NAMESPACE" else "0" if function == "NAMESPACENUMBER" else title


def _pick(expander: Expands, parts: list[Nodes], place: int, frame: Frame) -> str:
    return expander.text(parts[place], frame).strip() if place < len(parts) else ""


def _if(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    if not argument.replace(HOLE, "").strip():
        sure(argument)
    return _pick(expander, parts, 0 if argument else 1, frame)


def _ifeq(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    other = expander.known(parts[0], frame) if parts else ""
    return _pick(expander, parts, 1 if _equal(sure(argument), other) else 2, frame)


def _equal(left: str, right: str) -> bool:
    if left == right:
        return True
    return bool(_NUMBER.fullmatch(left) and _NUMBER.fullmatch(right) and float(left) == float(right))


def _switch(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    sure(argument)
    falls_through = default_next = False
    default: Nodes = []
    for i, part in enumerate(parts):
        key, value = split_argument(part)
        if key is None and i == len(parts) - 1 and not default_next:
            return expander.text(part, frame).strip()
        case = expander.known(part if key is None else key, frame)
        matches = falls_through or _equal(argument, case)
        if key is None:
            falls_through = matches
            default_next = default_next or case.lower() in DEFAULTS
            continue
        if matches:
            return expander.text(value, frame).strip()
        if default_next or case.lower() in DEFAULTS:
            default, default_next = value, False
    return expander.text(default, frame).strip()


def _iferror(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    if 'class="error"' in argument:
        return _pick(expander, parts, 0, frame)
    return _pick(expander, parts, 1, frame) if len(parts) > 1 else argument


def _expr(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    try:
        value = evaluate(sure(_bare(argument)))
    except ExpressionError:
        return ERROR
    return "" if value is None else written(value)


def _bare(expression: str) -> str:
    return re.sub(r"&(?:nbsp|#160|minus|#8722|lt|gt);", _unescaped, expression)


def _unescaped(found: re.Match[str]) -> str:
    return {"&minus;": "-", "&#8722;": "-", "&lt;": "<", "&gt;": ">"}.get(found[0], " ")


def _ifexpr(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    try:
        value = evaluate(sure(_bare(argument)))
    except ExpressionError:
        return ERROR
    return _pick(expander, parts, 0 if value else 1, frame)


def _ifexist(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    """Return the branch that a page decides, if both read the same but for a link."""
    there, missing = (_pick(expander, parts, place, frame) for place in (0, 1))
    if _LINKS.sub(r"\1", there) != _LINKS.sub(r"\1", missing):
        give_up()
    return there


def _formatnum(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    option = _pick(expander, parts, 0, frame).upper()
    if option == "R":
        return plain(argument, expander.language)
    return argument if option == "NOSEP" else formatted(argument, expander.language)


def _pad(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    """Return the filling that brings a text to a width."""
    width = _pick(expander, parts, 0, frame)
    fill = expander.known(parts[1], frame) if len(parts) > 1 else "0"
    missing = min(int(width), _MAX_WIDTH) - len(sure(argument)) if re.fullmatch(r"\d{1,4}", width) else 0
    return (fill * missing)[:missing] if fill and missing > 0 else ""


def _tag(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    name = argument.lower()
    if name in ("ref", "templatestyles", "references", "indicator"):
        return ""
    content = expander.text(parts[0], frame) if parts else ""
    if name == "nowiki":
        return re.sub(r"[{}\[\]|='<>]", lambda mark: f"&#{ord(mark[0])};", content)
    return f"<{name}>{content}</{name}>" if name.isalnum() and name.isascii() else ""


def _titleparts(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    count, first = (_whole(_pick(expander, parts, place, frame), 0) for place in (0, 1))
    pieces = sure(argument).split("/")
    pieces = pieces[first - 1 if first > 0 else first or None :]
    return "/".join(pieces[: count or None])


def _sub(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    start, length = (_whole(_pick(expander, parts, place, frame), 0) for place in (0, 1))
    text = sure(argument)[start:]
    return text[:length] if length else text


def _pos(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    wanted = expander.text(parts[0], frame) if parts else " "
    at = sure(argument).find(wanted or " ")
    return "" if at < 0 else str(at)


def _replace(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    old = expander.text(parts[0], frame) if parts else ""
    new = expander.text(parts[1], frame) if len(parts) > 1 else ""
    return replaced(sure(argument), old or " ", new)


def _namespace(name: str) -> str:
    """Return the name of a namespace that is given by number, or by a name."""
    if name.lstrip("-").isdecimal() and name not in _NAMESPACES:
        give_up()
    return _NAMESPACES.get(name, name.replace("_", " "))


def _urlencode(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    style, argument = _pick(expander, parts, 0, frame).upper(), RESERVED.sub("", argument)
    if style == "WIKI":
        return quote(argument.replace(" ", "_"), safe=";@$!*(),/~:")
    return quote(argument, safe="") if style == "PATH" else quote_plus(argument, safe="")


def _whole(text: str, otherwise: int) -> int:
    return int(text) if re.fullmatch(r"-?\d{1,4}", text) else otherwise


def _first_large(argument: str) -> str:
    return argument[:1].upper() + argument[1:]


def _first_small(argument: str) -> str:
    return argument[:1].lower() + argument[1:]


def _only(change: Callable[[str], str]) -> _Function:
    """Return the function that changes its first argument and has no other."""
    return lambda expander, argument, parts, frame: change(argument)


_FUNCTIONS: dict[str, _Function] = {
    "#if": _if, "#ifeq": _ifeq, "#switch": _switch, "#iferror": _iferror, "#expr": _expr,
    "#ifexpr": _ifexpr, "#ifexist": _ifexist, "#time": time, "#timel": time,
    "#tag": _tag, "#titleparts": _titleparts, "#invoke": invoked, "#len": _only(lambda text: str(len(text))),
    "#sub": _sub, "#pos": _pos, "#replace": _replace, "#formatdate": _only(str),
    "ns": _only(_namespace), "nse": _only(_namespace), "lc": _only(str.lower),
    "uc": _only(str.upper), "ucfirst": _only(_first_large), "lcfirst": _only(_first_small),
    "formatnum": _formatnum,
    "padright": lambda e, a, p, f: a + _pad(e, a, p, f),
    "padleft": lambda e, a, p, f: _pad(e, a, p, f) + a, "plural": plural,
    "gender": lambda e, a, p, f: _pick(e, p, 0, f), "grammar": lambda e, a, p, f: _pick(e, p, 0, f),
    "urlencode": _urlencode, "anchorencode": _only(lambda text: text.replace(" ", "_")),
    "localurl": _only(lambda text: "//wiki/" + quote(text)),
    "fullurl": _only(lambda text: "//wiki/" + quote(text)),
    "canonicalurl": _only(lambda text: "//wiki/" + quote(text)), "filepath": _only(lambda text: "//wiki/"),
}  # fmt: skip
