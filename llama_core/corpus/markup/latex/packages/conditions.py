"""Tests of ifthen, etoolbox, xstring and xparse: one of the two branches that follow is read.

A test that cannot be decided (of what a class sets) does not hold.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

from llama_core.corpus.markup.latex.expansion.arguments import NO_VALUE, Macro, groups_of
from llama_core.corpus.markup.latex.expansion.comparisons import in_points
from llama_core.corpus.markup.latex.expansion.definitions import Definitions

_SIGNED = re.compile(r"([-+]?)(\d{1,9})")
_VALUE = re.compile(r"\\(?:value|arabic)\{(\w+)\}")
_COMPARED = re.compile(r"([^<>=]*)([<>=])([^<>=]*)")
# xparse's tests, such as \IfValueTF: what each tests, and the branches that follow.
_VALUES = {
    f"\\If{kind}{branches}": (kind, branches)
    for kind in ("Value", "NoValue", "Boolean", "Blank")
    for branches in ("TF", "T", "F")
}

Test = Callable[[Definitions], bool]


def _text(reader: Definitions) -> str:
    """Return the characters of the next argument, with the macros in it expanded that have no arguments."""
    return reader.text_of(reader.argument())


def _number(reader: Definitions, text: str | None = None) -> int | None:
    text = (text if text is not None else _text(reader)).replace(" ", "")
    if (name := _VALUE.sub(r"\1", text)) in reader.counts:
        return reader.counts[name]
    found = _SIGNED.fullmatch(text)
    return int(found[0]) if found else None


def _length(reader: Definitions, text: str | None = None) -> float | None:
    return in_points(text if text is not None else _text(reader))


def _compare(a: float | None, sign: str, b: float | None) -> bool:
    if a is None or b is None:
        return False
    return {"<": a < b, ">": a > b, "=": a == b}.get(sign, False)


def _is_defined(reader: Definitions, name: str) -> bool:
    return name in reader.macros or name in reader.flags


def _command(reader: Definitions) -> str:
    return "".join(reader.argument()).strip()


def _named(reader: Definitions) -> str:
    return "\\" + reader.word()


def _body(reader: Definitions, name: str) -> str | None:
    """Return the characters that a macro without arguments prints; None if there is none of the name."""
    macro = reader.macros.get(name)
    if macro is None or macro.arguments:
        return None
    body = "".join(map(str, macro.body)).strip()
    reader.pay(len(body))
    return body


def _flag(reader: Definitions) -> bool | None:
    return reader.flags.get("\\if" + reader.word())


def _toggle(reader: Definitions) -> bool | None:
    return reader.toggles.get(reader.word())


def _both(reader: Definitions, get: Callable[[Definitions], str] = _text) -> tuple[str, str]:
    return get(reader), get(reader)


def _is_equal(reader: Definitions) -> bool:
    a, b = _both(reader)
    return a == b


def _is_string(reader: Definitions, get: Callable[[Definitions], str]) -> bool:
    name, text = get(reader), _text(reader)
    return _body(reader, name) == text


def _are_same(reader: Definitions, get: Callable[[Definitions], str]) -> bool:
    a, b = (reader.macros.get(name, name) for name in _both(reader, get))
    reader.pay(len(a.body) if isinstance(a, Macro) else 1)
    return a == b


def _compares(
    reader: Definitions, sign: str = "", get: Callable[[Definitions], float | None] = _number
) -> bool:
    a = get(reader)
    sign = sign or _text(reader)
    return _compare(a, sign, get(reader))


def _is_odd(reader: Definitions) -> bool:
    number = _number(reader)
    return number is not None and number % 2 == 1


def _is_void(reader: Definitions, get: Callable[[Definitions], str], undefined: bool = True) -> bool:
    body = _body(reader, get(reader))
    return undefined if body is None else not body


def _contains(reader: Definitions, where: str) -> bool:
    text, part = _both(reader)
    return {"in": part in text, "start": text.startswith(part), "end": text.endswith(part)}[where]


def _undecided(reader: Definitions, operands: int) -> bool:
    for _ in range(operands):
        reader.argument()
    return False


def _is_package(reader: Definitions) -> bool:
    return reader.word() in reader.packages


# What each command tests. Two branches follow each; `_NEGATED` are those whose branches are the other way.
_TESTS: dict[str, Test] = {
    "\\ifdef": lambda r: _is_defined(r, _command(r)),
    "\\ifcsdef": lambda r: _is_defined(r, _named(r)),
    "\\ifdefmacro": lambda r: _command(r) in r.macros,
    "\\ifdefempty": lambda r: _is_void(r, _command, undefined=False),
    "\\ifcsempty": lambda r: _is_void(r, _named, undefined=False),
    "\\ifdefvoid": lambda r: _is_void(r, _command),
    "\\ifcsvoid": lambda r: _is_void(r, _named),
    "\\ifdefstring": lambda r: _is_string(r, _command),
    "\\ifcsstring": lambda r: _is_string(r, _named),
    "\\ifdefstrequal": lambda r: _are_same(r, _command),
    "\\ifdefequal": lambda r: _are_same(r, _command),
    "\\ifcsequal": lambda r: _are_same(r, _named),
    "\\ifblank": lambda r: not "".join(r.argument()).strip(),
    "\\ifstrempty": lambda r: not "".join(r.argument()),
    "\\ifstrequal": _is_equal,
    "\\ifnumcomp": _compares,
    "\\ifnumequal": partial(_compares, sign="="),
    "\\ifnumgreater": partial(_compares, sign=">"),
    "\\ifnumless": partial(_compares, sign="<"),
    "\\ifnumodd": _is_odd,
    "\\ifdimcomp": partial(_compares, get=_length),
    "\\ifdimequal": partial(_compares, sign="=", get=_length),
    "\\ifdimgreater": partial(_compares, sign=">", get=_length),
    "\\ifdimless": partial(_compares, sign="<", get=_length),
    "\\ifinlist": partial(_undecided, operands=2),
    "\\ifinlistcs": partial(_undecided, operands=2),
    "\\ifltxcounter": partial(_undecided, operands=1),
    "\\ifpatchable": partial(_undecided, operands=2),
    "\\ifboolexpr": lambda r: _is_expression(r, r.argument()),
    "\\ifboolexpe": lambda r: _is_expression(r, r.argument()),
    "\\iflanguage": lambda r: r.word() in r.languages,
    "\\IfStrEq": _is_equal,
    "\\IfEq": _is_equal,
    "\\IfSubStr": partial(_contains, where="in"),
    "\\IfBeginWith": partial(_contains, where="start"),
    "\\IfEndWith": partial(_contains, where="end"),
    "\\IfInteger": lambda r: _number(r) is not None,
    "\\@ifundefined": lambda r: not _is_defined(r, _named(r)),
    "\\@ifpackageloaded": _is_package,
    "\\IfPackageLoadedTF": _is_package,
    "\\@ifclassloaded": _is_package,
    "\\IfClassLoadedTF": _is_package,
    "\\ifthenelse": lambda r: _is_true(r, r.argument()),
}
_EXPRESSIONS = frozenset(("\\ifboolexpr", "\\ifboolexpe", "\\ifthenelse"))
_NEGATED = {
    "\\ifundef": "\\ifdef",
    "\\ifcsundef": "\\ifcsdef",
    "\\notblank": "\\ifblank",
    "\\ifnotblank": "\\ifblank",
}


def _branch(reader: Definitions, name: str) -> None:
    """Read the test of a command and its two branches, and put back the one that is read."""
    negated = name in _NEGATED
    holds = _TESTS[_NEGATED.get(name, name)](reader) != negated
    _choose(reader, holds)


def _choose(reader: Definitions, holds: bool) -> None:
    yes, no = reader.argument(), reader.argument()
    reader.put_back(yes if holds else no)


def _switch(reader: Definitions, name: str) -> None:
    """Read \\ifbool, \\iftoggle or their opposites. What a missing class may set has its longer branch."""
    is_set = _flag(reader) if name.endswith("bool") else _toggle(reader)
    yes, no = reader.argument(), reader.argument()
    if name.startswith("\\not"):
        yes, no = no, yes
    holds = is_set if is_set is not None else len(yes) >= len(no)
    reader.put_back(yes if holds else no)


def _value(reader: Definitions, name: str) -> None:
    """Decide the test of an optional argument, or of a star, in the body of a \\NewDocumentCommand."""
    kind, branches = _VALUES[name]
    test = "".join(reader.argument()).strip()
    if kind == "Boolean":
        holds = test == "*" or test == "\\BooleanTrue"
    elif kind == "Blank":
        holds = not test
    else:
        holds = (test != NO_VALUE) == (kind == "Value")
    yes = reader.argument() if "T" in branches else []
    no = reader.argument() if "F" in branches else []
    reader.put_back(yes if holds else no)


def _case(reader: Definitions, name: str) -> None:
    """Read xstring's `\\IfStrEqCase{b}{{a}{one}{b}{two}}[other]`: what stands behind the equal text."""
    text, cases, other = _text(reader), reader.argument(), reader.option()
    groups = groups_of(cases)
    pairs = zip(groups[::2], groups[1::2], strict=False)
    reader.put_back(next((then for case, then in pairs if reader.text_of(case) == text), other or []))


def _is_true(reader: Definitions, test: Sequence[str]) -> bool:
    """Decide a test of \\ifthenelse: tests joined by \\AND and \\OR, each of which \\NOT may negate."""
    parts: list[list[str]] = [[]]
    joints: list[str] = []
    depth = 0
    for token in test:
        word = token.rstrip().lower() if token[0] == "\\" else token
        depth += (token == "{") - (token == "}")
        if word in ("\\and", "\\or") and not depth:
            joints.append(word)
            parts.append([])
        elif word not in ("\\(", "\\)"):
            parts[-1].append(token)
    holds = _is_simple(reader, parts[0])
    for joint, part in zip(joints, parts[1:], strict=True):
        holds = (
            (holds and _is_simple(reader, part)) if joint == "\\and" else (holds or _is_simple(reader, part))
        )
    return holds


def _is_simple(reader: Definitions, test: Sequence[str]) -> bool:
    at, negated = 0, False
    while at < len(test) and (not test[at].strip() or test[at].rstrip().lower() == "\\not"):
        negated ^= bool(test[at].strip())
        at += 1
    return at < len(test) and _holds(reader, test[at:]) != negated


def _holds(reader: Definitions, test: Sequence[str]) -> bool:
    head = test[0].rstrip()
    read = {
        "\\equal": _is_equal,
        "\\isodd": _is_odd,
        "\\boolean": lambda r: bool(_flag(r)),
        "\\isundefined": lambda r: not _is_defined(r, _command(r)),
        "\\isnamedefined": lambda r: _is_defined(r, _named(r)),
        "\\isin": lambda r: _text(r) in _text(r),
        "\\lengthtest": lambda r: _is_comparison(r, _text(r), _length),
    }.get(head)
    if read is None:
        return _is_comparison(reader, reader.text_of(test), _number)
    return _of_tokens(reader, test[1:], read)


def _is_comparison(reader: Definitions, text: str, get: Callable[[Definitions, str], float | None]) -> bool:
    """Decide `1<2`."""
    found = _COMPARED.fullmatch(text)
    return found is not None and _compare(get(reader, found[1]), found[2], get(reader, found[3]))


def _of_tokens(reader: Definitions, tokens: Sequence[str], read: Test) -> bool:
    """Call a test whose operands are these tokens; one that is missing is empty."""
    before = reader.waiting
    reader.put_back([*tokens, *"{}{}{}"])
    holds = read(reader)
    reader.forget(reader.waiting - before)
    return holds


def _is_expression(reader: Definitions, expression: Sequence[str]) -> bool:
    """Decide a test of \\ifboolexpr: `bool{a} and not ( toggle{b} or test{\\ifdef{\\c}} )`."""
    words: list[str] = []
    tokens = list(expression)
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token != "{":
            words += re.findall(r"[()]|[a-z]+", token) if token[0] != "\\" else []
            continue
        group: list[str] = []
        depth = 1
        while at < len(tokens):
            depth += (tokens[at] == "{") - (tokens[at] == "}")
            at += 1
            if not depth:
                break
            group.append(tokens[at - 1])
        kind = words.pop() if words else ""
        words.append(str(_is_atom(reader, kind, group)))
    return _evaluate(words)


def _is_atom(reader: Definitions, kind: str, group: Sequence[str]) -> bool:
    if kind == "bool":
        return bool(reader.flags.get("\\if" + "".join(group).strip()))
    if kind == "toggle":
        return bool(reader.toggles.get("".join(group).strip()))
    test = _TESTS.get(group[0].rstrip()) if kind == "test" and group else None
    if test is not None and group[0].rstrip() in _EXPRESSIONS:
        return False  # not one inside another, however deep
    return test is not None and _of_tokens(reader, group[1:], test)


def _evaluate(words: list[str]) -> bool:
    """Return the value of `True and not ( False or True )`; `and` and `or` bind alike, from the left."""
    stack: list[tuple[bool, str]] = []
    value, joint, negate = False, "or", False
    for word in words:
        if word == "not":
            negate = not negate
        elif word in ("and", "or"):
            joint = word
        elif word == "(":
            stack.append((value, f"{joint} {negate}"))
            value, joint, negate = False, "or", False
        else:
            if word == ")":
                if not stack:
                    return False
                found = value
                value, before = stack.pop()
                joint, _, negated = before.partition(" ")
                negate = negated == "True"
            else:
                found = word == "True"
            found = found != negate
            value = (value and found) if joint == "and" else (value or found)
            negate = False
    return value


def _set_toggle(reader: Definitions, value: bool | None = None) -> None:
    name = reader.word()
    reader.toggles[name] = reader.word() == "true" if value is None else value


def _new_bool(reader: Definitions) -> None:
    """Make a flag, as \\newif does: etoolbox's `\\newbool{name}` and ifthen's `\\newboolean{name}`."""
    reader.flags["\\if" + reader.word()] = False


def _set_bool(reader: Definitions, value: bool | None = None) -> None:
    name = "\\if" + reader.word()
    value = reader.word().lower() == "true" if value is None else value
    if name in reader.flags:
        reader.flags[name] = value


# What is done for each command: it is called with the reader and the command's name.
CONDITIONS: dict[str, Callable[[Definitions, str], None]] = {
    **dict.fromkeys((*_TESTS, *_NEGATED), _branch),
    **dict.fromkeys(("\\ifbool", "\\notbool", "\\iftoggle", "\\nottoggle"), _switch),
    **dict.fromkeys(_VALUES, _value),
    **dict.fromkeys(("\\IfStrEqCase", "\\IfEqCase"), _case),
    "\\newtoggle": lambda r, name: _set_toggle(r, False),
    "\\providetoggle": lambda r, name: _set_toggle(r, False),
    "\\toggletrue": lambda r, name: _set_toggle(r, True),
    "\\togglefalse": lambda r, name: _set_toggle(r, False),
    "\\settoggle": lambda r, name: _set_toggle(r),
    "\\newbool": lambda r, name: _new_bool(r),
    "\\providebool": lambda r, name: _new_bool(r),
    "\\newboolean": lambda r, name: _new_bool(r),
    "\\provideboolean": lambda r, name: _new_bool(r),
    "\\booltrue": lambda r, name: _set_bool(r, True),
    "\\boolfalse": lambda r, name: _set_bool(r, False),
    "\\setbool": lambda r, name: _set_bool(r),
    "\\setboolean": lambda r, name: _set_bool(r),
}
