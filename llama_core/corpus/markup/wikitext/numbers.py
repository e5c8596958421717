"""Numbers as the paper's 20 languages write them."""

import re

_NUMBER = re.compile(r"([-−+]?)(\d+)(?:\.(\d+))?")
_MARKED = re.compile(r"[<&\[{]|\d[.,\s]\d{3}(?!\d)")
_PIECE = re.compile(r"-?\d+(?:\.\d+)?")
_NBSP, _NARROW = "\u00a0", "\u202f"
# By language: what groups the digits, the decimal sign, and from how many digits on they are grouped.
_STYLES = {
    "en": (",", ".", 4), "de": (".", ",", 4), "nl": (".", ",", 4), "da": (".", ",", 4), "ro": (".", ",", 4),
    "sl": (".", ",", 4), "hr": (".", ",", 4), "sr": (".", ",", 4), "ca": (".", ",", 4),
    "fr": (_NARROW, ",", 4), "it": (_NBSP, ",", 4), "cs": (_NBSP, ",", 4), "ru": (_NBSP, ",", 4),
    "uk": (_NBSP, ",", 4), "sv": (_NBSP, ",", 4), "es": (_NBSP, ",", 5), "pt": (_NBSP, ",", 5),
    "pl": (_NBSP, ",", 5), "bg": (_NBSP, ",", 5), "hu": (_NBSP, ",", 5),
}  # fmt: skip
_ROMAN = (
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
    (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
)  # fmt: skip


def formatted(number: str, language: str) -> str:
    """Return a number, written with a decimal point, as its language writes it.

    Of other text each number in it is written so, but where it holds markup, or groups of its own.
    """
    number = number.strip()
    found = _NUMBER.fullmatch(number)
    if not found:
        if _MARKED.search(number):
            return number
        return _PIECE.sub(lambda piece: formatted(piece[0], language), number)
    group, point, least = _STYLES.get(language, _STYLES["en"])
    sign, whole, fraction = found[1].replace("-", "−"), found[2], found[3]
    if len(whole) >= least:
        first = len(whole) % 3 or 3
        groups = [whole[:first], *(whole[i : i + 3] for i in range(first, len(whole), 3))]
        whole = group.join(groups) if whole[0] != "0" else whole
    return f"{sign}{whole}{point}{fraction}" if fraction else sign + whole


def plain(number: str, language: str) -> str:
    """Return a number of a language with a decimal point and without groups."""
    group, point, _ = _STYLES.get(language, _STYLES["en"])
    number = number.strip().replace("−", "-").replace("&nbsp;", "").replace("&#160;", "")
    for mark in {group, _NBSP, _NARROW, " "}:
        number = number.replace(mark, "")
    return number.replace(point, ".")


def roman(number: int) -> str:
    """Return a number from 1 to 3,999 in Roman numerals, any other in digits."""
    if not 0 < number < 4000:
        return str(number)
    out = ""
    for value, letters in _ROMAN:
        out += letters * (number // value)
        number %= value
    return out
