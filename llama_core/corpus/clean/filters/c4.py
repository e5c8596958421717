"""C4's rules for lines and pages (Raffel et al. 2020, section 2.2), as the code that made C4 applies them.

That code (TensorFlow Datasets, `c4_utils.py`) and the paper's final version ask for 5 words a line and
3 sentences a page; the paper's first version said 3 and 5.
"""

import functools
import re

from llama_core.corpus.clean.recipe import C4Filter
from llama_core.corpus.decisions import Cut

END_MARKS = (".", "?", "!", '"')
ELLIPSIS = "..."
MAX_WORD_CHARS = 1000
POLICY = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
_WORDS_OF_POLICY = ("cookie", "privacy policy", "terms of use")  # one of these is in each
_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
# This stands in for NLTK's trained sentence splitter: an end mark, closing quotes or brackets, white space,
# and then anything but a small letter. Initials and common abbreviations end no sentence.
_SENTENCE_END = re.compile(
    r"[.?!](?<!\b[A-Z]\.)(?<!\b(?:Mr|Ms|Dr|St|Jr|Sr|vs|No|Co)\.)(?<!\b(?:Mrs|Inc|Ltd|e\.g|i\.e)\.)"
    r"[\"'”’)\]]*\s+(?=[^\sa-z])"
)


def clean(text: str, rules: C4Filter) -> tuple[str, list[Cut]]:
    """Return the reason to drop a page (or ""), and the cuts that leave its good lines.

    The lines that are left have one line break between them, and no marks of citations.
    """
    has_bad_word = _bad_words(tuple(rules.bad_words)).search if rules.bad_words else None
    lowered = text.lower()
    has_script = "javascript" in lowered
    has_policy = any(word in lowered for word in _WORDS_OF_POLICY) and any(p in lowered for p in POLICY)
    has_lorem = "lorem ipsum" in lowered
    cuts: list[Cut] = []
    sentences = start = end = 0  # `end`: where the last line that stayed ended
    for line in text.splitlines(keepends=True):
        first, start = start, start + len(line)
        bare = line.strip()
        stays = _CITATION.sub("", bare) if "[" in bare else bare
        if rules.end_marks and (not stays.endswith(END_MARKS) or stays.endswith(ELLIPSIS)):
            continue
        if len(stays.split(None, rules.min_line_words - 1)) < rules.min_line_words:
            continue
        if len(bare) > MAX_WORD_CHARS and max(map(len, bare.split())) > MAX_WORD_CHARS:
            continue
        if has_lorem and "lorem ipsum" in stays.lower():
            return "c4_lorem_ipsum", []
        if has_script and "javascript" in stays.lower():
            continue
        if "{" in stays:
            return "c4_curly_bracket", []
        if has_policy and any(p in stays.lower() for p in POLICY):
            continue
        if has_bad_word and has_bad_word(stays.lower()):
            return "c4_bad_word", []
        if sentences < rules.min_sentences:
            sentences += 1 + len(_SENTENCE_END.findall(stays))
        first += len(line) - len(line.lstrip()) if bare else 0
        _join(cuts, text, end, first)
        if stays is not bare:
            cuts += (Cut(first + m.start(), first + m.end()) for m in _CITATION.finditer(bare))
        end = first + len(bare)
    if sentences < rules.min_sentences:
        return "c4_few_sentences", []
    if end < len(text):
        cuts.append(Cut(end, len(text)))
    return "", cuts


def _join(cuts: list[Cut], text: str, end: int, first: int) -> None:
    """Leave one line break between the line that ended at `end` and the one that begins at `first`."""
    put = "\n" if end else ""
    if text[end:first] != put:
        cuts.append(Cut(end, first, put))


@functools.lru_cache(maxsize=8)
def _bad_words(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?:\W|^)(?:{'|'.join(re.escape(word.lower()) for word in words)})(?:\W|$)")
