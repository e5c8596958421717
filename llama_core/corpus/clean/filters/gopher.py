"""Gopher's filters (Rae et al. 2021): repetition, after table A1, and quality, after appendix A.1.1.

A word is what stands between white space, so "end." is one word. A repeat is every occurrence but the first.
A line that shows nothing, such as one of spaces, is no line; it parts paragraphs as an empty one does.
The characters of n-grams are compared with the characters of all words, those of lines and paragraphs with
those of the whole text.
"""

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

MAX_DUPLICATE_LINES = MAX_DUPLICATE_PARAGRAPHS = 0.30
MAX_DUPLICATE_LINE_CHARS = MAX_DUPLICATE_PARAGRAPH_CHARS = 0.20
MAX_TOP_NGRAM = {2: 0.20, 3: 0.18, 4: 0.16}
MAX_DUPLICATE_NGRAM = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
LEAST_DUPLICATE_NGRAM = min(MAX_DUPLICATE_NGRAM.values())
MIN_WORDS, MAX_WORDS = 50, 100_000
MIN_MEAN_WORD, MAX_MEAN_WORD = 3, 10
MAX_SYMBOLS = 0.1  # "#" per word, and ellipses per word
MAX_BULLET_LINES, MAX_ELLIPSIS_LINES = 0.9, 0.3
MIN_ALPHABETIC = 0.8
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
MIN_STOP_WORDS = 2
_BULLETS = ("•", "‣", "-", "*")
_ELLIPSES = ("...", "…")
# Characters that show nothing: Unicode's white space but `\n`, and what it has beside that.
_NOTHING = (
    " \\t\\r\\v\\f\\x1c-\\x1f\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
    "\\xad\\u115f\\u1160\\u180e\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u2064\\u2800\\u3164\\ufeff\\uffa0"
)
_PARAGRAPH = re.compile(f"\\n(?:[{_NOTHING}]*\\n)+")
_BLANK = re.compile(f"[{_NOTHING}]*")
_LETTER = re.compile(r"[^\W\d_]")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

Keys = npt.NDArray[np.uint64]


class Words:
    """The words of a text, which both filters share.

    `all`: the words, in order. `ends`: int64 (words + 1,), the characters of the words before each one, and
    then of all words. `chars`: the characters of all words.
    """

    def __init__(self, text: str):
        self.all = text.split()
        self.ends = np.zeros(len(self.all) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, self.all), np.int64, len(self.all)), out=self.ends[1:])
        self.chars = int(self.ends[-1])

    def keys(self) -> Keys:
        """Hash each word: uint64 (words,). The hashes differ between processes; only compare them here."""
        return np.fromiter(map(hash, self.all), np.int64, len(self.all)).view(np.uint64)


def repetition_reason(text: str, words: Words) -> str | None:
    """Return the limit that a share of lines, paragraphs or characters in repeats exceeds, or None."""
    if repeated := _duplicate_units(text):
        return repeated
    return next(_repeated_ngrams(words), None)


def quality_reason(text: str, words: Words) -> str | None:
    """Return the rule of quality that a text breaks, or None.

    The rules are of its length, the length of words, symbols, bullets, ellipses, words without letters, and
    stop words, which are English.
    """
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
    if not _have_stop_words(words.all):
        return "gopher_few_stop_words"
    return None


def _have_stop_words(words: list[str]) -> bool:
    """Tell whether enough of the stop words are among the words."""
    found = 0
    for stop_word in STOP_WORDS:
        if stop_word in words or stop_word.capitalize() in words:
            found += 1
            if found == MIN_STOP_WORDS:  # each stop word that is looked for costs a search of all words
                return True
    return False


def _have_letters(words: list[str], enough: float) -> bool:
    """Tell whether at least `enough` words have a letter."""
    lower = sum(map(str.islower, words))  # with title case next, a quick proof for most texts
    if lower >= enough or lower + sum(map(str.istitle, words)) >= enough:
        return True
    return sum([_LETTER.search(word) is not None for word in words]) >= enough


def _duplicate_units(text: str) -> str | None:
    """Return the limit that repeated paragraphs or lines exceed, or None."""
    limits = {
        "paragraph": (MAX_DUPLICATE_PARAGRAPHS, MAX_DUPLICATE_PARAGRAPH_CHARS),
        "line": (MAX_DUPLICATE_LINES, MAX_DUPLICATE_LINE_CHARS),
    }
    paragraphs = _PARAGRAPH.split(text)
    for name, units in (("paragraph", paragraphs), ("line", text.split("\n"))):
        units = [unit for unit in units if unit]
        different = set(units)
        if len(different) == len(units):
            continue
        blank = {unit for unit in different if _BLANK.fullmatch(unit)}
        if blank:  # neither lines nor paragraphs, however often they are repeated
            units, different = [unit for unit in units if unit not in blank], different - blank
        max_units, max_chars = limits[name]
        if len(units) - len(different) > max_units * len(units):
            return f"gopher_dup_{name}"
        if sum(map(len, units)) - sum(map(len, different)) > max_chars * len(text):
            return f"gopher_dup_{name}_chars"
    return None


def _repeated_ngrams(words: Words) -> Iterator[str]:
    """Yield the limits that repeated n-grams exceed, in the order of table A1."""
    one = keys = words.keys()
    for n in range(2, 1 + min(max(MAX_DUPLICATE_NGRAM), len(one))):
        keys = keys[:-1] * _MULTIPLIER + one[n - 1 :]  # those of (n-1)-grams become those of n-grams
        if n in MAX_TOP_NGRAM:
            if _top_ngram_is_over(words, keys, n):
                yield f"gopher_top_{n}gram"
            continue
        repeated = _repeated_chars(words, keys, n)
        if repeated > MAX_DUPLICATE_NGRAM[n] * words.chars:
            yield f"gopher_dup_{n}gram"
        if repeated <= LEAST_DUPLICATE_NGRAM * words.chars:
            return  # a word that is in a longer repeat is in one of these too, so no limit is left


def _longest(words: Words, n: int) -> int:
    """Return the number of characters of the longest n-gram."""
    return int((words.ends[n:] - words.ends[:-n]).max())


def _top_ngram_is_over(words: Words, keys: Keys, n: int) -> bool:
    """Tell whether all occurrences of the most frequent n-gram have more characters than the limit.

    An n-gram that occurs once does not count. Of several that are equally frequent, the longest counts.
    """
    limit = MAX_TOP_NGRAM[n] * words.chars
    enough = max(2, int(limit / _longest(words, n)))  # fewer occurrences cannot exceed the limit
    ordered = np.sort(keys)
    if not (ordered[enough - 1 :] == ordered[: max(0, len(keys) - enough + 1)]).any():
        return False
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    most = int(counts.max())
    at = first[counts == most]
    return most * int((words.ends[at + n] - words.ends[at]).max()) > limit


def _repeated_chars(words: Words, keys: Keys, n: int) -> int:
    """Return the characters of the words that are in a repeat of an n-gram, each word counted once.

    If so few n-grams repeat that no limit can be exceeded, an upper bound is returned, which is faster.
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
