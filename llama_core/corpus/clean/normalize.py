"""Text as the language models of the perplexity filter see it, after CCNet's normalisation."""

import re
import sys
import unicodedata
from functools import cache

_DIGIT = re.compile(r"\d")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # but line breaks
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
    """Lines that are not blank: stripped, lower case, no accents, digits as 0, punctuation as ASCII."""
    text = "\n".join(map(str.strip, text.split("\n"))).lower()
    if not text.isascii():
        text = _accents().sub("", unicodedata.normalize("NFD", text))
        text = _PUNCTUATION.sub(lambda found: _PLAIN[found[0]], _DIGIT.sub("0", text))
    else:
        text = _DIGIT.sub("0", text)
    return [line for line in _CONTROL.sub("", text).split("\n") if line]


@cache
def _accents() -> re.Pattern[str]:
    """Made at first use: it takes a third of a second, and few runs use a language model."""
    marks = (c for c in map(chr, range(sys.maxunicode)) if unicodedata.category(c) == "Mn")
    return re.compile(f"[{''.join(marks)}]+")
