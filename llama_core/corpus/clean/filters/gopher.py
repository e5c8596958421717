"""Gopher's filters (Rae et al. 2021): repetition, after table A1, and quality, after appendix A.1.1.

A word is what stands between white space, so "end." is one word. Shares of characters are of the
characters of all words. A repeat is every occurrence but the first.
"""

import re
from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

MAX_DUPLICATE_LINES = MAX_DUPLICATE_PARAGRAPHS = 0.30
MAX_DUPLICATE_LINE_CHARS = MAX_DUPLICATE_PARAGRAPH_CHARS = 0.20
MAX_TOP_NGRAM = {2: 0.20, 3: 0.18, 4: 0.16}
MAX_DUPLICATE_NGRAM = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
LEAST_DUPLICATE_NGRAM = min(MAX_DUPLICATE_NGRAM.values())
MIN_WORDS, MAX_WORDS = 50, 100_000
MIN_MEAN_WORD, MAX_MEAN_WORD = 3, 10
MAX_SYMBOLS = 0.1  # "#" a word, and ellipses a word
MAX_BULLET_LINES, MAX_ELLIPSIS_LINES = 0.9, 0.3
MIN_ALPHABETIC = 0.8
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
MIN_STOP_WORDS = 2
_BULLETS = ("•", "‣", "-", "*")
_ELLIPSES = ("...", "…")
_PARAGRAPH = re.compile(r"\n{2,}")
_LETTER = re.compile(r"[^\W\d_]")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


class Words:
    """The words of a text. Made once for both filters.

    `ends`: int64 (words + 1,), the characters of all words before each, and in all.
    """

    def __init__(self, text: str):
        self.all = text.split()
        self.ends = np.zeros(len(self.all) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, self.all), np.int64, len(self.all)), out=self.ends[1:])
        self.chars = int(self.ends[-1])

    def keys(self) -> Keys:
        """64 bits for each word. They differ between processes, so only whether two are equal counts."""
        return np.fromiter(map(hash, self.all), np.int64, len(self.all)).view(np.uint64)


def repetition_reason(text: str, words: Words) -> str | None:
    """A share of lines, paragraphs or characters that stand in repeats, over its limit."""
    if repeated := _duplicate_units(text):
        return repeated
    return next(filter(None, _repeated_ngrams(words)), None)


def quality_reason(text: str, words: Words) -> str | None:
    """Length, length of words, symbols, bullets, ellipses, letters, and stop words, which are English."""
    n = len(words.all)
    if n < MIN_WORDS:
        return "gopher_short"
    if n > MAX_WORDS:
        return "gopher_long"
    if words.chars < MIN_MEAN_WORD * n:
        return "gopher_short_words"
    if words.chars > MAX_MEAN_WORD * n:
        return "gopher_long_words"
    if text.count("#") > MAX_SYMBOLS * n:
        return "gopher_hashes"
    if text.count("...") + text.count("…") > MAX_SYMBOLS * n:
        return "gopher_ellipses"
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    if sum([line.startswith(_BULLETS) for line in lines]) > MAX_BULLET_LINES * len(lines):
        return "gopher_bullet_lines"
    if sum([line.endswith(_ELLIPSES) for line in lines]) > MAX_ELLIPSIS_LINES * len(lines):
        return "gopher_ellipsis_lines"
    if not _have_letters(words.all, MIN_ALPHABETIC * n):
        return "gopher_few_letters"
    found = (w for w in STOP_WORDS if w in words.all or w.capitalize() in words.all)
    if sum(1 for _ in islice(found, MIN_STOP_WORDS)) < MIN_STOP_WORDS:
        return "gopher_few_stop_words"
    return None


def _have_letters(words: list[str], enough: float) -> bool:
    """Whether so many words hold a letter."""
    lower = sum(map(str.islower, words))  # this and the next are the quick proofs for most texts
    if lower >= enough or lower + sum(map(str.istitle, words)) >= enough:
        return True
    return sum([_LETTER.search(word) is not None for word in words]) >= enough


def _duplicate_units(text: str) -> str | None:
    limits = {
        "paragraph": (MAX_DUPLICATE_PARAGRAPHS, MAX_DUPLICATE_PARAGRAPH_CHARS),
        "line": (MAX_DUPLICATE_LINES, MAX_DUPLICATE_LINE_CHARS),
    }
    paragraphs = _PARAGRAPH.split(text) if "\n\n" in text else [text]
    for name, units in (("paragraph", paragraphs), ("line", text.split("\n"))):
        units = [unit for unit in units if unit]
        different = set(units)
        if len(different) == len(units):
            continue
        max_units, max_chars = limits[name]
        if len(units) - len(different) > max_units * len(units):
            return f"gopher_dup_{name}"
        if sum(map(len, units)) - sum(map(len, different)) > max_chars * len(text):
            return f"gopher_dup_{name}_chars"
    return None


def _repeated_ngrams(words: Words) -> Iterator[str | None]:
    """The limit that is broken first, in the order of table A1, if any is."""
    one = keys = words.keys()
    for n in range(2, 1 + min(max(MAX_DUPLICATE_NGRAM), len(one))):
        keys = keys[:-1] * _MULTIPLIER + one[n - 1 :]  # of n-grams from those of (n-1)-grams
        if n in MAX_TOP_NGRAM:
            if _top_ngram_is_over(words, keys, n):
                yield f"gopher_top_{n}gram"
            continue
        repeated = _repeated_chars(words, keys, n)
        if repeated > MAX_DUPLICATE_NGRAM[n] * words.chars:
            yield f"gopher_dup_{n}gram"
        if repeated <= LEAST_DUPLICATE_NGRAM * words.chars:
            return  # what stands in a longer repeat stands in this one too


def _longest(words: Words, n: int) -> int:
    """Characters of the longest n-gram."""
    return int((words.ends[n:] - words.ends[:-n]).max())


def _top_ngram_is_over(words: Words, keys: Keys, n: int) -> bool:
    """Of the most frequent n-grams, if they repeat, the longest counts, with all its occurrences."""
    limit = MAX_TOP_NGRAM[n] * words.chars
    enough = max(2, int(limit / _longest(words, n)))  # fewer occurrences are not over the limit
    ordered = np.sort(keys)
    if not (ordered[enough - 1 :] == ordered[: max(0, len(keys) - enough + 1)]).any():
        return False
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    most = int(counts.max())
    at = first[counts == most]
    return most * int((words.ends[at + n] - words.ends[at]).max()) > limit


def _repeated_chars(words: Words, keys: Keys, n: int) -> int:
    """Characters of the words that stand in a repeat of an n-gram, each counted once.

    Where so few n-grams repeat that no limit can be reached: a number that is no smaller, for the speed.
    """
    ordered = np.sort(keys)
    at_most = int(np.count_nonzero(ordered[1:] == ordered[:-1])) * _longest(words, n)
    if at_most <= LEAST_DUPLICATE_NGRAM * words.chars:
        return at_most
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    at = np.sort(order[1:][ordered[1:] == ordered[:-1]])
    until = np.append(at[1:], len(words.all))  # a repeat counts up to the next one's start
    return int((words.ends[np.minimum(at + n, until)] - words.ends[at]).sum())
