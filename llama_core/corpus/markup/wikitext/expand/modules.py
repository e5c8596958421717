"""`#invoke`: modules are programs in Lua and are not run.

Known are some that say nothing or cut strings, and functions that write words as a template does.
"""

import re

from llama_core.corpus.markup.wikitext.call import Call, split_argument
from llama_core.corpus.markup.wikitext.expand.frame import (
    MAX_CHARS,
    Expands,
    Frame,
    TooLargeError,
    give_up,
    replaced,
    sure,
)
from llama_core.corpus.markup.wikitext.readers import days, quantities
from llama_core.corpus.markup.wikitext.templates import render
from llama_core.corpus.markup.wikitext.tree import PARAMETER, Node, Nodes

# They check a call's arguments or add categories.
_SILENT = frozenset({
    "check for unknown parameters", "check for deprecated parameters", "check for conflicting parameters",
    "templatepar", "parameter validation", "tracking", "provjera parametara",
    "controle params", "check isxn", "anchor", "parametri sconosciuti", "comprobación de parámetros",
})  # fmt: skip
_FOREIGN = frozenset({"lang", "langx", "langue", "transl", "nihongo", "interlanguage link", "ill"})
_CATEGORIES = re.compile("[ck]ategor|категор")
_MAX_REPEATS = 100


def invoked(expander: Expands, module: str, parts: list[Nodes], frame: Frame) -> str:
    """Return what a function of a module gives. Raises UnknownError where it is not known."""
    module = " ".join(module.replace("_", " ").lower().split())
    if module in _SILENT or _CATEGORIES.search(module):
        return ""
    function = expander.known(parts[0], frame).lower() if parts else ""
    args: dict[str, str] = {}
    for part in parts[1:]:
        key, value = split_argument(part)
        name = str(len(args) + 1) if key is None else expander.known(key, frame)
        if module == "unsubst" and name not in ("$b", "$B"):
            continue
        args[name] = expander.text(value, frame)
    if module == "unsubst":
        return args.get("$B", args.get("$b", "")) if args else give_up()
    if module in ("string", "cadena", "cadenes", "str", "string2") and function in _STRINGS:
        return _string(function, {name: sure(value) for name, value in args.items()})
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", expander.known(parts[0], frame)) if parts else ""
    return _by_hand(expander, module if function == "main" else name, parts[1:], frame)


def _by_hand(expander: Expands, name: str, parts: list[Nodes], frame: Frame) -> str:
    """Read a function of numbers, dates or foreign words as the template of its name. Raises UnknownError.

    Without arguments by position, those of the template that calls it are its own.
    """
    if all(split_argument(part)[0] is not None for part in parts):
        inherited: list[Nodes] = [[f"{key}=", Node(PARAMETER, [[key]])] for key in frame.arguments]
        parts = [*inherited, *parts]
    call = Call(name, parts, lambda nodes: expander.text(nodes, frame), expander.language)
    is_number = call.key in quantities.READERS and call.first.lstrip("+-−")[:1].isdecimal()
    is_date = days.is_of_date(call.key) or days.is_of_age(call.key)
    words = render(call) if is_number or is_date or call.key in _FOREIGN else None
    if words is None:
        give_up()
    expander.by_hand = expander.by_hand or frame.depth == 1
    return words


_STRINGS = ("len", "sub", "rep", "replace", "trim", "upper", "lower", "ucfirst")


def _string(function: str, args: dict[str, str]) -> str:
    source = args.get("s", args.get("source", args.get("1", "")))
    if function == "len":
        return str(len(source))
    if function == "rep":
        count = min(_MAX_REPEATS, max(0, _whole(args.get("count", args.get("2", "")), 0)))
        if count * len(source) > MAX_CHARS:
            raise TooLargeError
        return source * count
    if function == "replace":
        pattern, new = args.get("pattern", args.get("2", "")), args.get("replace", args.get("3", ""))
        is_plain = args.get("plain", args.get("5", "true")).strip().lower() not in ("false", "no", "0")
        if not (is_plain or pattern.isalnum()):
            give_up()
        return replaced(source, pattern, new) if pattern else source
    if function == "sub":
        first, last = (
            _whole(args.get("i", args.get("2", "")), 1),
            _whole(args.get("j", args.get("3", "")), -1),
        )
        start = first - 1 if first > 0 else max(0, len(source) + first)
        end = last if last >= 0 else len(source) + last + 1
        return source[start : max(start, end)]
    source = source.strip()
    changed = {"upper": source.upper(), "lower": source.lower(), "ucfirst": source[:1].upper() + source[1:]}
    return changed.get(function, source)


def _whole(text: str, otherwise: int) -> int:
    text = text.strip()
    return int(text) if re.fullmatch(r"-?\d{1,6}", text) else otherwise
