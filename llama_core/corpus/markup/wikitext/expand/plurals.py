"""`plural`: the form of a word that goes with a whole number, in the paper's languages."""

import re

from llama_core.corpus.markup.wikitext.call import split_argument
from llama_core.corpus.markup.wikitext.expand.frame import Expands, Frame, give_up, sure
from llama_core.corpus.markup.wikitext.tree import Nodes

_TWO_FORMS = frozenset({"en", "de", "es", "it", "nl", "ca", "da", "sv", "bg", "hu"})


def plural(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    """Return one of the forms in `parts`; `0=none` is for that number alone. Raises UnknownError."""
    number = sure(argument).lstrip("-−")
    if not re.fullmatch(r"\d{1,15}", number):
        give_up()
    forms: list[Nodes] = []
    for part in parts:
        key, value = split_argument(part)
        exact = expander.known(key, frame) if key is not None else ""
        if exact == number:
            return expander.text(value, frame).strip()
        if not exact.isdecimal():
            forms.append(part)
    if not forms:
        return ""
    place = _form(int(number), expander.language)
    return expander.text(forms[min(place, len(forms) - 1)], frame).strip()


def _form(n: int, language: str) -> int:
    """Return the place of the form for a number, as Unicode's rules have it."""
    few = n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14)
    if language in _TWO_FORMS:
        return int(n != 1)
    if language in ("fr", "pt"):
        return int(n > 1)
    if language in ("ru", "uk", "sr", "hr"):
        return 0 if n % 10 == 1 and n % 100 != 11 else 1 if few else 2
    if language == "pl":
        return 0 if n == 1 else 1 if few else 2
    if language == "cs":
        return 0 if n == 1 else 1 if n in (2, 3, 4) else 2
    if language == "ro":
        return 0 if n == 1 else 1 if n == 0 or 0 < n % 100 < 20 else 2
    if language == "sl":
        return {1: 0, 2: 1, 3: 2, 4: 2}.get(n % 100, 3)
    return give_up()
