"""Dates out of the arguments of {{birth date}}, {{dts}}, {{date}} and their like in the paper's languages.

A date that cannot be told from its arguments is none: half of one would be a wrong value.
"""

import re

from llama_core.corpus.markup.wikitext.call import Call
from llama_core.corpus.markup.wikitext.months import MONTHS, OF_MONTHS, date, month_number

_NAME = re.compile(
    r"(?:(?:birth|death|start|end|release|launch|film|opening|closing|event|wedding)[ -]?date|dts\b"
    r"|[bd]-?da\b|dates?\b(?! table| range)|fechas?\b|datum\b|data\b|dată|dtlink\b|dato\b|dátum\b|dát\b"
    r"|дата\b|датум\b|date-|naissance\b|décès\b|dni(?:br)?\b|nascimento\b|morte\b|falecimento\b|dtext\b"
    r"|(?:születési|halálozási) dátum|fødselsdato|dødsdato|födelsedatum|dödsdatum|dn\b"
    r"|birth year and age|death year and age)"
)
_BOTH_ENDS = re.compile(r"and (?:end|death) date|start and end|e fim|y fin")
_WHOLE = re.compile(
    r"(?:[^\W\d_]{1,12} )?(?:\d{1,2}(?:er|\.|º|ᵉʳ|-е)?,? )?(?:de |d')?[^\W\d_]{3,12}\.?,?"
    r" (?:\d{1,2}, |de |del )?\d{3,4}"
    r"(?: г\.| року)?|\d{3,4}"
)
_DAY_AND_MONTH = re.compile(r"(\d{1,2}(?:er|\.|º)?) (?:de |d')?([^\W\d_]{3,12})")
_NUMBERS = re.compile(r"(\d{1,2})[ /.](\d{1,2})[ /.](\d{4})")
_ISO = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?")
_YEAR = re.compile(r"\d{3,4}")
_DAY = re.compile(r"(?:0?[1-9]|[12]\d|3[01])(?:er|\.|º)?")
_YES = ("y", "yes", "true", "1")
_AGES = frozenset((
    "age", "age in years", "alter", "âge", "edad", "idade", "edat", "leeftijd", "wiek", "возраст", "вік",
    "възраст", "старост", "starost", "věk", "dob", "alder", "ålder", "életkor", "vârstă",
))  # fmt: skip


def is_of_date(key: str) -> bool:
    """Tell whether a template of this name, in lower case, may write a date."""
    return _NAME.match(key) is not None and not _BOTH_ENDS.search(key)


def read(call: Call) -> str | None:
    """Return the date of a call, None if its arguments are none.

    {{start date|1990|1|2}}, {{date|1|janvier|2000}}, {{dts|2001|May|4}}, {{death-date|4 May 1868|...}}.
    """
    words = call.words
    if not words:
        return None
    if found := _ISO.fullmatch(words[0]):
        words = [word for word in found.groups() if word]
    elif not words[0].isdecimal() and _WHOLE.fullmatch(words[0]):
        return words[0]
    elif found := _DAY_AND_MONTH.fullmatch(words[0]):
        return words[0] if _month(found[2], call) else None
    elif call.language not in ("en", "") and (found := _NUMBERS.fullmatch(words[0])):
        words = [*found.groups()]
    if call.key.startswith("death year"):
        words = words[:1]
    day_first = call.given("df").lower() in _YES or call.given("format").lower() == "dmy"
    first, second, third = [*words, "", "", ""][:3]
    if not any(map(str.isdigit, third)):
        third = ""  # {{date|1|janvier||en sport}}
    if _YEAR.fullmatch(first) and int(first) > 31:
        return _from_year(call, first, second, third, day_first)
    if _DAY.fullmatch(first) and _YEAR.fullmatch(third) and (month := _month(second, call)):
        if second.rstrip(".").isdecimal() or _language(call) != "en":
            return date(third, month, first, _language(call))
        return f"{first} {second} {third}"  # as it is written
    if _DAY.fullmatch(first) and not third and not second.isdecimal() and _month(second, call):
        if second.strip().lower() in map(str.lower, OF_MONTHS[_language(call)]) and _language(call) != "en":
            return date("", _month(second, call), first, _language(call))
        return f"{first} {second}"
    if _DAY.fullmatch(second) and not first.isdecimal() and _month(first, call):
        return f"{first} {second}, {third}" if _YEAR.fullmatch(third) else f"{first} {second}"
    if not first.isdecimal() and _month(first, call) and _YEAR.fullmatch(second):
        return f"{first} {second}"
    return None


def _from_year(call: Call, year: str, second: str, third: str, day_first: bool) -> str | None:
    month = _month(second, call)
    if not month:  # {{film date|1998}}, {{start date|1998|location}}
        return year if not second.isdecimal() else None
    if third.isdecimal() and not _DAY.fullmatch(third):
        return None
    day = third if _DAY.fullmatch(third) else ""
    language = _language(call)
    if day and day_first and language == "en":
        return f"{day.lstrip('0')} {MONTHS['en'][month - 1]} {year}"
    return date(year, month, day, language)


def is_of_age(key: str) -> bool:
    """Tell whether a template of this name, in lower case, may write how old somebody was."""
    return key in _AGES


def age(call: Call) -> str | None:
    """Read {{age|1950|1|2|2000|3|4}}: the whole years from one day to another; to the present, None."""
    words = [part for word in call.words for part in (word.split("-") if _ISO.fullmatch(word) else [word])]
    if len(words) < 6:
        return None
    born, died = _day(words[:3], call), _day(words[3:6], call)
    if born is None or died is None or died < born:
        return None
    years = died[0] - born[0] - (died[1:] < born[1:])
    return f"{years} años" if call.language == "es" else str(years)


def _day(words: list[str], call: Call) -> tuple[int, int, int] | None:
    """Return the year, month and day that three words say, the year first or last."""
    year, day = (words[0], words[2]) if _YEAR.fullmatch(words[0]) else (words[2], words[0])
    month = _month(words[1], call)
    if not (month and _YEAR.fullmatch(year) and _DAY.fullmatch(day)):
        return None
    return int(year), month, int(day.rstrip("er.º"))


def as_of(call: Call) -> str | None:
    """Read {{as of|1990|1}} as `As of January 1990`."""
    since = "Since" if "since" in call.named else "As of"
    year, second, day = [*call.words, "", "", ""][:3]
    if alt := call.given("alt"):
        return alt
    if not re.search(r"\d{3,4}", year):
        return None
    month = _month(second, call)
    if month and day and call.given("df").lower() == "us":
        words = [date(year, month, day, "en")]
    else:
        words = [day.lstrip("0"), MONTHS["en"][month - 1] if month else second, year]
    start = since.lower() if "lc" in call.named else since
    return " ".join([start, *filter(None, words)])


def _language(call: Call) -> str:
    return call.language if call.language in MONTHS else "en"


def _month(word: str, call: Call) -> int:
    language = _language(call)
    number = month_number(word, language)
    own = {name.lower() for name in (*MONTHS[language], *OF_MONTHS[language])}
    return number if number or word.lower() in own else 0
