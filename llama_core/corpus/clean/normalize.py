"""Text as the language models of the perplexity filter see it, after CCNet's normalisation."""

import re
import sys
import unicodedata
from functools import cache

_DIGIT = re.compile(r"\d")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all but line breaks
_PLAIN = {
    **dict.fromkeys("，、", ","),
    **dict.fromkeys("。", "."),
    **dict.fromkeys("„”“«»」「《》", '"'),
    **dict.fromkeys("´’", "'"),
    **dict.fromkeys("∶：", ":"),
    **dict.fromkeys("–━►", "-"),
    "？": "?",
    "！": "!",
    "（": "(",
    "）": ")",
    "；": ";",
    "—": " - ",
    "．": ". ",
    "～": "~",
    "…": "...",
    "〈": "<",
    "〉": ">",
    "【": "[",
    "】": "]",
    "％": "%",
}
_PUNCTUATION = re.compile(f"[{''.join(_PLAIN)}]")


def normalized_lines(text: str) -> list[str]:
    """Return the lines that are not blank, normalised.

    They are stripped and in lower case, without accents and control characters, with every digit as 0 and
    punctuation in ASCII.
    """
    text = "\n".join(map(str.strip, text.split("\n"))).lower()
    if not text.isascii():
        text = _accents().sub("", unicodedata.normalize("NFD", text))
        text = _PUNCTUATION.sub(lambda found: _PLAIN[found[0]], _DIGIT.sub("0", text))
    else:
        text = _DIGIT.sub("0", text)
    return [line for line in _CONTROL.sub("", text).split("\n") if line]


@cache
def _accents() -> re.Pattern[str]:
    """Return a pattern of all accents, made at first use: that takes a third of a second, and few need it."""
    marks = (c for c in map(chr, range(sys.maxunicode)) if unicodedata.category(c) == "Mn")
    return re.compile(f"[{''.join(marks)}]+")
