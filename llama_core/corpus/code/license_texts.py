"""Which licences a text is made of: compared, as normalised words, with the texts that licences have.

The published texts are those of choosealicense.com, which the package `identify` carries. As GitHub's
licensee does, texts are compared by Dice's coefficient, here of their pairs of words. What a text has beside
them, and what it lacks of them, may be names, titles and copyright lines, but no word that gives or takes a
right, and between the rights and the disclaimer nothing but owners.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from llama_core.errors import InputError

_NEARLY = 0.8  # of a licence's pairs: what has as many is that licence with changes, and not in short
MIN_SHARE = 0.92  # of a licence's pairs of words that a text has: with fewer it is not looked at
MIN_DICE = 0.9  # licensee asks for 0.98 and looks at nothing else; here the words count, too, that differ
MAX_RUN = 20  # words in a row between those of licences that are in none
_WITHIN = 0.8  # of a licence's pairs, that another one has which is the same with more terms
_PHRASE = 4  # words in a row that a licence has: a word of the text is the licence's in such a phrase alone
MAX_AFTER = 50  # words after the last of a licence

_TAG = re.compile(
    r"</?(?:a|b|blockquote|body|br|center|code|div|em|font|h[1-6]|head|hr|html|i|li|meta|ol|p|pre|span|strong"
    r"|table|td|title|tr|tt|u|ul)\b[^<>]{0,200}>|<!--.{0,2000}?-->|<!doctype[^<>]{0,200}>",
    re.IGNORECASE | re.DOTALL,
)
_COMMENT = re.compile(r"^[ \t]*@?(?:rem|dnl)\b", re.MULTILINE | re.IGNORECASE)
_URL = re.compile(r"https?://\S+|www\.\S+|\S+@\S+")
_WORD = re.compile(r"[^\W_]{2,}")  # so numbers and letters of clauses do not count
# A word that is parted at the end of a line, or has a hyphen.
_HYPHEN = re.compile(r"(?<=[a-z])-(?:[ \t]*\n[\W_]*)?(?=[a-z])")
_NAMES = r"(?:\w+ ){1,20}?"
# The same in other spellings, the places where a licence names its owner, and what takes no right: FreeBSD's
# sentence on views, and the exceptions that LLVM, Swift and fmt make for compiled code.
_SPELLINGS = [
    (re.compile(pattern), put)
    for pattern, put in (
        (r"licenc", "licens"),
        (r"\bsub licens", "sublicens"),
        (r"\bcopy right", "copyright"),
        (r"\b(royalty|no|non) (free|charge|exclusive)\b", r"\1\2"),
        (r"\bmerchantibility\b", "merchantability"),
        (
            rf"\b(?:neither )?the names? (?:of )?{_NAMES}"
            rf"(?:nor (?:the )?(?:names? )?(?:of )?{_NAMES})?may (?:not )?be used to endorse",
            "OWNER may not be used to endorse",
        ),
        (rf"\bis provided by {_NAMES}as is\b", "is provided by OWNER as is"),
        (rf"\bin no event (?:shall|will) {_NAMES}be (?:held )?liable\b", "in no event shall OWNER be liable"),
        (rf"\bas is and {_NAMES}disclaims? all\b", "as is and OWNER disclaims all"),
        (r"\bwith llvm exceptions\b", ""),
        (
            r"\bthe views and conclusions contained in the software and documentation are those of the"
            r" authors and should not be interpreted as representing official policies"
            r"(?: either expressed or implied)?(?: of (?:\w+ ){1,8}?project)?",
            "",
        ),
        (
            r"\b(?:(?:llvm|runtime library|optional) )?(?:exceptions? to the (?:apache )?license )?"
            r"as an exception if as result of your compiling your source code (?:\w+ ){1,40}?"
            r"(?:sections? and of the license|of the license|permission notices)"
            r"(?: in addition if you combine (?:\w+ ){1,100}?with respect to the combined software)?",
            "",
        ),
    )
]
# What takes or gives a right, or names a licence that does: none of it may stand beside a licence.
_TERMS = re.compile(
    r"\b(?:not|non(?:commercial\w*|profit\w*|exclusive\w*)?|no(?! attribution)|only|except\w*|must|shall"
    r"|cannot|unless|solely|requir\w*|prohibit\w*|restrict(?:ed|ing|s)?|forbid\w*|disallow\w*|exclud\w+"
    r"|commercial\w*|fees?|pay|paid|payments?|royalt\w+|terminat\w+|consent|obligat\w+|obliged|mandatory"
    r"|permission from|written permission|provided that|(?:have|has|need) to|limited to|used for|ethical|evil"
    r"|weapons?|nuclear|(?:research|evaluation|educational|academic|personal|internal|private|military|government\w*)"
    r" (?:use|purposes?)|patents?|trademarks?|[al]?gpl(?!\w* ?compatible)\w*|gnu|mpl\w*|eupl|cddl|copyleft"
    r"|sharealike|proprietary|confidential|(?:commons|advertising) clause|cite|citation|competing"
    r"|competitors?|creative commons|cc ?by\w*|expir\w+"
    r"|pric(?:e|es|ing)|buy|purchas\w+|subscri\w+|managed service|saas)\b"
)
# The sentence that gives the rights with its conditions, up to the disclaimer, and what may be in it beside
# the words of the licence and lines of copyright.
_GRANT = re.compile(
    r"\b(?:permission (?:is hereby granted|is granted to|to use copy)|redistribution and use in source"
    r"|anyone is free to copy|grant of copyright license)\b"
    r"(?:(?! (?:is provided|submission of contributions|from any source distribution)\b).)*"
)
_WORKS = re.compile(
    r"(?:well|both|its|documentation|manual|library|program|package|project|module|data|fonts|person|obtaining"
    r"|next|paragraph)"
)
_OWNED = re.compile(r"(?:\d{4}\b|.*\bcopyright\b)")
# What a licence allows: no word of it may be missing.
_RIGHTS = re.compile(
    r"\b(?:use|copy|modify|modification|merge|publish|distribute|sublicense|sell|reproduce|derivative"
    r"|commercial|with or|perpetual|irrevocable|nocharge|royaltyfree)\b"
)


@dataclass(frozen=True, slots=True)
class _Licence:
    """A published licence: its words, their pairs, and its phrases; also of what comes with it."""

    name: str
    words: tuple[str, ...]
    pairs: frozenset[tuple[str, str]]
    all_pairs: frozenset[tuple[str, str]]
    phrases: frozenset[tuple[str, ...]]

    @classmethod
    def of(cls, name: str, text: str, beside: str = "") -> "_Licence":
        words, more = _words(text), _words(beside)
        pairs = frozenset(pairwise(words))
        phrases = frozenset((*_phrases(words), *_phrases(more)))
        return cls(name, tuple(words), pairs, pairs | frozenset(pairwise(more)), phrases)


def licenses_in(text: str) -> list[str]:
    """Return the SPDX names of the licences that a text consists of; none if it has other terms, too.

    Raises InputError where the package with the texts of licences is not installed.
    """
    words = _words(text)
    pairs = frozenset(pairwise(words))
    found = [known for known in _published() if len(known.pairs & pairs) >= MIN_SHARE * len(known.pairs)]
    found = [one for one in found if not any(_is_better(other, one, pairs) for other in found)]
    if not found or not _is_whole(words, pairs, found):
        return []
    return sorted({licence.name for licence in found})


def is_shortened(text: str) -> bool:
    """Tell whether a text may be a licence in short: no whole one, with no terms but those of licences.

    Raises InputError as `licenses_in` does.
    """
    words = _words(text)
    pairs = frozenset(pairwise(words))
    known = _published()
    if any(len(licence.pairs & pairs) >= _NEARLY * len(licence.pairs) for licence in known):
        return False
    phrases = frozenset().union(*(licence.phrases for licence in known))
    return not any(_TERMS.search(run) for run, _ in _runs(words, phrases))


def _is_whole(words: Sequence[str], pairs: frozenset[tuple[str, str]], found: Sequence[_Licence]) -> bool:
    """Tell whether a text is these licences and nothing else that matters."""
    phrases = frozenset(_phrases(words))
    for licence in found:
        if any(_RIGHTS.search(run) for run, _ in _runs(licence.words, phrases)):
            return False
    joined = " ".join(words)
    grants = [
        (joined.count(" ", 0, grant.start()), joined.count(" ", 0, grant.end()))
        for grant in _GRANT.finditer(joined)
    ]
    own = frozenset().union(*(licence.words for licence in found))
    extra = 0
    for run, at in _runs(words, frozenset().union(*(licence.phrases for licence in found))):
        if _TERMS.search(run):
            return False
        if any(start <= at <= end for start, end in grants) and not (
            _OWNED.match(run) or all(word in own or _WORKS.fullmatch(word) for word in run.split())
        ):
            return False
        size = run.count(" ") + 1
        if at + size == len(words):
            if size > MAX_AFTER:
                return False
        elif at and "copyright" not in run:
            extra += size
            if size > MAX_RUN:
                return False
    known = pairs & frozenset().union(*(licence.all_pairs for licence in found))
    missing = frozenset().union(*(licence.pairs for licence in found)) - pairs
    return 2 * len(known) >= MIN_DICE * (2 * len(known) + extra + len(missing))


def _is_better(one: _Licence, other: _Licence, pairs: frozenset[tuple[str, str]]) -> bool:
    """Tell whether of two licences, one of which is the other with more terms, a text is rather the first."""
    more, less = sorted((one, other), key=lambda licence: -len(licence.pairs))
    if one is other or len(less.pairs & more.pairs) < _WITHIN * len(less.pairs):
        return False
    added = more.pairs - less.all_pairs
    return (more if 2 * len(added & pairs) > len(added) else less) is one


def _runs(words: Sequence[str], phrases: frozenset[tuple[str, ...]]) -> Iterator[tuple[str, int]]:
    """Yield the runs of words that are in none of the phrases, each with the place where it begins."""
    known = bytearray(len(words))
    for at, phrase in enumerate(_phrases(words)):
        if phrase in phrases:
            known[at : at + _PHRASE] = b"\1" * _PHRASE
    start = known.find(0)
    while start >= 0:
        end = known.find(1, start)
        end = end if end >= 0 else len(words)
        yield " ".join(words[start:end]), start
        start = known.find(0, end)


def _phrases(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(words[at:] for at in range(_PHRASE)), strict=False)


def _words(text: str) -> list[str]:
    """Return the words of a text in lower case, without markup, addresses and the numbers of clauses."""
    if "&" in text:
        text = html.unescape(text)
    text = _COMMENT.sub(" ", _URL.sub(" ", _TAG.sub(" ", text)))
    joined = " ".join(_WORD.findall(_HYPHEN.sub("", text.lower())))
    for pattern, put in _SPELLINGS:
        joined = pattern.sub(put, joined)
    return joined.split()


@cache
def _published() -> list[_Licence]:
    """Return the published licences. Raises InputError."""
    try:
        from identify.vendor.licenses import LICENSES
    except ModuleNotFoundError as error:
        raise InputError(
            f"the text of a licence is recognised by {error.name}: pip install 'llama-pretrain[corpus]'"
        ) from error
    texts = dict(LICENSES)
    mit, apache = texts["MIT"], texts.pop("Apache-2.0")
    terms, end, appendix = apache.partition("END OF TERMS AND CONDITIONS")
    notice = appendix[appendix.find("Licensed under the Apache License") :]
    before, _, after = mit.partition("The above copyright notice")
    return [
        _Licence.of("Apache-2.0", terms, end + appendix),
        _Licence.of("Apache-2.0", notice),
        _Licence.of(
            "MIT-0",
            before.replace("subject to the following conditions:", "") + after.partition("Software.")[2],
        ),
        *(_Licence.of(name, text) for name, text in texts.items()),
    ]
