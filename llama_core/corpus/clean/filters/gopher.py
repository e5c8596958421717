"""Gopher's filters (Rae et al. 2021): repetition, after table A1, and quality, after appendix A.1.1.

A word is what stands between white space, so "end." is one word. A repeat is every occurrence but the first.
A line that shows nothing, such as one of spaces, parts paragraphs as an empty one does. Neither it nor a line
without words, such as `---`, `|` or `&nbsp;`, is one that repeats another.
The characters of n-grams are compared with the characters of all words, those of lines and paragraphs with
those of the whole text.
"""

import functools
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from llama_core.corpus.clean.word_keys import MULTIPLIER, Keys, word_keys

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
# What stands between lines and is none: rules, ornaments, marks of lists and tables, brackets, and a space or
# a line break as markup.
_NO_LINE = re.compile(
    rf"(?:&(?:nbsp|#160|#x[Aa]0);|<(?:br|hr) ?/?>|[\W_{_NOTHING}])*+(?:\d{{1,3}}[.)])?[\W_{_NOTHING}]*"
)
_LAST_OF_ASCII, _LAST_SPACE, _LAST_OF_PLANE = 0x7F, 0x3000, 0xFFFF
_WORD_CHARS = bytes(not chr(code).isspace() for code in range(256))  # 1 for each that is no white space
_TO_BUCKET = np.uint64(64 - 12)  # leaves the first 12 bits of a key

Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]


class Words:
    """The words of a text, which both filters share. They are found and hashed without making strings.

    `n`: how many they are. `ends`: int64 (n + 1,), the characters of the words before each one, and then of
    all words. `chars`: the characters of all words. `keys`: uint64 (n,), a hash of each word.
    """

    def __init__(self, text: str):
        self._text = text
        plain = text.encode("ascii", "replace")
        is_word = np.frombuffer(b"\0%b\0" % plain.translate(_WORD_CHARS), np.bool_)
        if text.isascii():
            self._codes: Codes = np.frombuffer(plain, np.uint8)
        else:
            self._codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
            rare = np.flatnonzero(self._codes > _LAST_OF_ASCII)
            is_word = is_word.copy()
            is_word[rare + 1] = ~_spaces().take(np.minimum(self._codes[rare], _LAST_SPACE + 1))
        bounds = (is_word[1:] != is_word[:-1]).nonzero()[0]
        self._starts, self._stops = bounds[::2], bounds[1::2]
        self.n = len(self._starts)
        self.ends = np.zeros(self.n + 1, np.int64)
        np.cumsum(self._stops - self._starts, out=self.ends[1:])
        self.chars = int(self.ends[-1])

    @functools.cached_property
    def keys(self) -> Keys:
        """Hash each word."""
        return word_keys(self._codes, self._starts, self._stops)

    def have_letters(self, enough: float) -> bool:
        """Tell whether at least `enough` words have a letter."""
        if np.count_nonzero(_are_letters(self._codes[self._starts])) >= enough:
            return True  # most words begin with one
        letters = np.zeros(len(self._codes) + 1, np.int64)
        np.cumsum(_are_letters(self._codes), out=letters[1:])
        return int(np.count_nonzero(letters[self._stops] > letters[self._starts])) >= enough

    def as_strings(self) -> list[str]:
        """Return the words themselves."""
        return self._text.split()


@functools.cache
def _spaces() -> npt.NDArray[np.bool_]:
    """Return which characters are white space, up to the last one that is, and then False for all others."""
    return np.array([chr(code).isspace() for code in range(_LAST_SPACE + 1)] + [False])


@functools.cache
def _letters() -> npt.NDArray[np.bool_]:
    """Return which characters of Unicode's first plane are letters."""
    return np.array([*map(_is_letter, map(chr, range(_LAST_OF_PLANE + 1)))])


def _are_letters(codes: Codes) -> npt.NDArray[np.bool_]:
    """Tell which of some characters are letters."""
    if codes.dtype == np.uint8:
        return _letters().take(codes)
    found = _letters().take(np.minimum(codes, _LAST_OF_PLANE))
    if len(rare := np.flatnonzero(codes > _LAST_OF_PLANE)):
        found[rare] = [_is_letter(chr(code)) for code in codes[rare].tolist()]
    return found


def _is_letter(char: str) -> bool:
    """Tell whether a character is one of words, but neither a digit nor "_"."""
    return char.isalnum() and not char.isdecimal()


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
    n = words.n
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
    marks = text.count("…")
    # Single points are counted four times as fast as three in a row, and are seldom enough.
    if text.count(".") // 3 + marks > MAX_SYMBOLS * n and text.count("...") + marks > MAX_SYMBOLS * n:
        return "gopher_ellipses"
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    if sum([line.startswith(_BULLETS) for line in lines]) > MAX_BULLET_LINES * len(lines):
        return "gopher_bullet_lines"
    if sum([line.endswith(_ELLIPSES) for line in lines]) > MAX_ELLIPSIS_LINES * len(lines):
        return "gopher_ellipsis_lines"
    if not _have_letters(words, MIN_ALPHABETIC * n):
        return "gopher_few_letters"
    if not _have_stop_words(words):
        return "gopher_few_stop_words"
    return None


def _have_stop_words(words: Words) -> bool:
    """Tell whether enough of the stop words are among the words."""
    found = 0
    for small, capital in _stop_words():
        if np.count_nonzero(words.keys == small) or np.count_nonzero(words.keys == capital):
            found += 1
            if found == MIN_STOP_WORDS:  # each stop word that is looked for costs a search of all words
                return True
    return False


@functools.cache
def _stop_words() -> list[tuple[np.uint64, np.uint64]]:
    """Return the hashes of each stop word, with a small letter first and with a capital."""
    return [(Words(w).keys[0], Words(w.capitalize()).keys[0]) for w in STOP_WORDS]


def _have_letters(words: Words, enough: float) -> bool:
    """Tell whether at least `enough` words have a letter, or are cased, as some symbols are."""
    if words.have_letters(enough):
        return True
    strings = words.as_strings()
    lower = sum(map(str.islower, strings))
    return lower >= enough or lower + sum(map(str.istitle, strings)) >= enough


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
        empty = {unit for unit in different if _NO_LINE.fullmatch(unit)}
        if empty:  # neither lines nor paragraphs, however often they are repeated
            units, different = [unit for unit in units if unit not in empty], different - empty
        max_units, max_chars = limits[name]
        if len(units) - len(different) > max_units * len(units):
            return f"gopher_dup_{name}"
        if sum(map(len, units)) - sum(map(len, different)) > max_chars * len(text):
            return f"gopher_dup_{name}_chars"
    return None


def _repeated_ngrams(words: Words) -> Iterator[str]:
    """Yield the limits that repeated n-grams exceed, in the order of table A1."""
    one = keys = words.keys
    pairs_are_rare = False  # and so is what begins with them
    for n in range(2, 1 + min(max(MAX_DUPLICATE_NGRAM), len(one))):
        keys = keys[:-1] * MULTIPLIER + one[n - 1 :]  # those of (n-1)-grams become those of n-grams
        if n == 2:
            # Of 2, 3 and 4 words, the longest may occur the fewest times: they are the longest, and their
            # limit is the lowest.
            pairs_are_rare = _most_at_most(keys) < _fewest(words, min(max(MAX_TOP_NGRAM), len(one)))
        if n in MAX_TOP_NGRAM:
            if not pairs_are_rare and _top_ngram_is_over(words, keys, n):
                yield f"gopher_top_{n}gram"
            continue
        repeated = _repeated_chars(words, keys, n)
        if repeated > MAX_DUPLICATE_NGRAM[n] * words.chars:
            yield f"gopher_dup_{n}gram"
        if repeated <= LEAST_DUPLICATE_NGRAM * words.chars:
            return  # a word that is in a longer repeat is in one of these too, so no limit is left


def _longest(words: Words, n: int) -> int:
    """Return the number of characters of the longest n-gram."""
    return int(np.maximum.reduce(words.ends[n:] - words.ends[:-n]))


def _fewest(words: Words, n: int) -> int:
    """Return a number of occurrences below which the most frequent n-gram cannot exceed its limit."""
    return max(2, int(MAX_TOP_NGRAM[n] * words.chars / _longest(words, n)))


def _most_at_most(keys: Keys) -> int:
    """Return an upper bound of how often the most frequent key occurs, without sorting them."""
    return int(np.maximum.reduce(np.bincount((keys >> _TO_BUCKET).view(np.int64))))


def _repeats_at_most(keys: Keys) -> int:
    """Return an upper bound, nearly always exact, of how many keys were there before: half of them sorts in
    half the time."""
    halves = np.sort(keys.view(np.uint32)[1::2])
    return int(np.count_nonzero(halves[1:] == halves[:-1]))


def _occurs(ordered: Keys, times: int) -> bool:
    """Tell whether any of the sorted keys is there at least so many times."""
    return bool(np.count_nonzero(ordered[times - 1 :] == ordered[: max(0, len(ordered) - times + 1)]))


def _top_ngram_is_over(words: Words, keys: Keys, n: int) -> bool:
    """Tell whether all occurrences of the most frequent n-gram have more characters than the limit.

    An n-gram that occurs once does not count. Of several that are equally frequent, the longest counts.
    """
    limit = MAX_TOP_NGRAM[n] * words.chars
    if not _occurs(np.sort(keys), _fewest(words, n)):
        return False
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    most = int(counts.max())
    at = first[counts == most]
    return most * int((words.ends[at + n] - words.ends[at]).max()) > limit


def _repeated_chars(words: Words, keys: Keys, n: int) -> int:
    """Return the characters of the words that are in a repeat of an n-gram, each word counted once.

    If so few n-grams repeat that no limit can be exceeded, an upper bound is returned, which is faster.
    """
    at_most = _repeats_at_most(keys) * _longest(words, n)
    if at_most <= LEAST_DUPLICATE_NGRAM * words.chars:
        return at_most
    order = np.argsort(keys)
    ordered = keys[order]
    groups = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    is_repeat = np.ones(len(keys), np.bool_)
    is_repeat[np.minimum.reduceat(order, groups)] = False
    at = np.flatnonzero(is_repeat)
    until = np.append(at[1:], words.n)  # a repeat counts up to the next one's start
    return int((words.ends[np.minimum(at + n, until)] - words.ends[at]).sum())
