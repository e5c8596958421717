"""Definition lists: `; term : definition` is two lines, parted at a colon outside of all markup."""

import re

_TERM = re.compile(r"^([*#:;]++)(?<=;)([^\n]*+)$", re.MULTILINE)
_TOKEN = re.compile(r"\[\[|\{\{|\]\]|\}\}|\[|\]|<(/?)[a-zA-Z][^<>]*?(/?)>|('{2,5})|://|:")
_VOID = re.compile(r"<(?:br|wbr|hr|img)\b", re.IGNORECASE)
_QUOTES = {2: 1, 3: 2, 4: 2, 5: 3}  # which of italics and bold a run of quotes opens or ends


def split_terms(text: str) -> str:
    """Give the definition on the line of a term a line of its own. References are no longer in the text."""
    return _TERM.sub(_parted, text) if ";" in text else text


def _parted(found: re.Match[str]) -> str:
    marks, line = found[1], found[2]
    depth = quotes = 0
    for token in _TOKEN.finditer(line):
        word = token[0]
        if word == ":":
            at = token.start()
            is_time = line[max(0, at - 1) : at].isdecimal() and line[at + 1 : at + 2].isdecimal()
            if not (depth or quotes or is_time):
                term, definition = line[:at].rstrip(), line[at + 1 :].strip()
                return f"{marks}{term}\n{marks[:-1]}:{definition}" if definition else f"{marks}{term}"
        elif token[3]:
            quotes ^= _QUOTES[len(word)]
        elif word in ("[[", "{{", "["):
            depth += 1
        elif word in ("]]", "}}", "]") or token[1]:
            depth = max(0, depth - 1)
        elif word != "://" and not token[2] and not _VOID.match(word):
            depth += 1
    return found[0]
