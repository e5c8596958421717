"""`#time`: a given date in a given format. The present day is that of the page's revision."""

import calendar
import datetime
import re

from llama_core.corpus.markup.wikitext.expand.frame import ERROR, Expands, Frame, give_up
from llama_core.corpus.markup.wikitext.months import DAYS, MONTHS, OF_MONTHS, month_number
from llama_core.corpus.markup.wikitext.numbers import roman
from llama_core.corpus.markup.wikitext.tree import Nodes

_ISO = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?")
_CLOCK = re.compile(r"(.*?\d)(?:T| +)(\d{1,2}):(\d\d)(?::(\d\d))?Z?")
_DAY_FIRST = re.compile(r"(\d{1,2})\.?(?:st|nd|rd|th)?\s+([^\W\d_]{3,12})\.?,?\s+(\d{4})")
_MONTH_FIRST = re.compile(r"([^\W\d_]{3,12})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
_DOTTED = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")
_MONTH = re.compile(r"([^\W\d_]{3,12})\s+(\d{4})")
_FORMAT = re.compile(r'"([^"]*)"|\\(.)|(xg|xn|xN|xr|.)', re.DOTALL)
_OF_A_YEAR = frozenset({"Y", "y", "L", "xr"})
_NOW = frozenset({"", "now", "today"})
_MAX_FORMAT = 200


def time(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    """Return a date in a format of `#time`. Raises UnknownError."""
    given = " ".join((expander.known(parts[0], frame) if parts else "").split())
    language = (expander.known(parts[1], frame) if len(parts) > 1 else "") or expander.language
    found = expander.today if given.lower() in _NOW else _read(given)
    if found is None and not given.isascii():
        return ERROR  # no words of English, which alone are read here
    if found is None or len(argument) > _MAX_FORMAT:
        give_up()
    if given.isdecimal() and any(_is_code(p) and p[3] not in _OF_A_YEAR for p in _FORMAT.finditer(argument)):
        give_up()
    return written_as(argument, found, language)


def written_as(form: str, day: datetime.datetime, language: str) -> str:
    """Return a day in a format of `#time`. Raises UnknownError where the format says more."""
    if language not in MONTHS:
        give_up()
    out: list[str] = []
    in_roman = False
    for piece in _FORMAT.finditer(form):
        if piece[3] == "xr":
            in_roman = True
            continue
        text, is_code = _piece(piece, day, language), _is_code(piece)
        out.append(roman(int(text)) if in_roman and is_code and text.isdecimal() else text)
        in_roman = in_roman and not is_code
    return "".join(out)


def _is_code(piece: re.Match[str]) -> bool:
    return piece[3] is not None and piece[3].isascii() and piece[3].isalpha()


def _read(given: str) -> datetime.datetime | None:
    """Return the day, and the time if one is said. A year alone is its first day."""
    day, month, year = "1", 0, ""
    clock = ("0", "0", "0")
    if found := _CLOCK.fullmatch(given):
        given, clock = found[1], (found[2], found[3], found[4] or "0")
    if found := _ISO.fullmatch(given):
        year, month, day = found[1], int(found[2]), found[3] or "1"
    elif found := _DAY_FIRST.fullmatch(given):
        day, month, year = found[1], month_number(found[2], "en"), found[3]
    elif found := _MONTH_FIRST.fullmatch(given):
        month, day, year = month_number(found[1], "en"), found[2], found[3]
    elif (found := _DOTTED.fullmatch(given)) and "." in given:
        day, month, year = found[1], int(found[2]), found[3]
    elif found := _MONTH.fullmatch(given):
        month, year = month_number(found[1], "en"), found[2]
    elif given.isascii() and given.isdecimal() and len(given) == 4:
        month, year = 1, given
    try:
        hour, minute, second = map(int, clock)
        return datetime.datetime(int(year), month, int(day), hour, minute, second)
    except ValueError:
        return None


def _piece(piece: re.Match[str], day: datetime.datetime, language: str) -> str:
    if piece[1] is not None:
        return piece[1]
    code = piece[2] or piece[3]
    if piece[2] or not (code.isalpha() and code.isascii()):
        return code
    written = {
        "Y": f"{day.year}", "y": f"{day.year % 100:02}", "n": f"{day.month}", "m": f"{day.month:02}",
        "j": f"{day.day}", "d": f"{day.day:02}", "F": MONTHS[language][day.month - 1],
        "xg": OF_MONTHS[language][day.month - 1], "N": f"{day.isoweekday()}", "w": f"{day.isoweekday() % 7}",
        "z": f"{day.timetuple().tm_yday - 1}", "xn": "", "xN": "", "H": f"{day.hour:02}", "G": f"{day.hour}",
        "i": f"{day.minute:02}", "s": f"{day.second:02}", "h": f"{(day.hour - 1) % 12 + 1:02}",
        "g": f"{(day.hour - 1) % 12 + 1}", "a": "am" if day.hour < 12 else "pm",
        "A": "AM" if day.hour < 12 else "PM", "t": f"{calendar.monthrange(day.year, day.month)[1]}",
        "L": f"{calendar.isleap(day.year):d}",
    }  # fmt: skip
    if language == "en":
        written |= {"M": MONTHS["en"][day.month - 1][:3], "D": DAYS["en"][day.weekday()][:3]}
        written["S"] = "th" if 10 < day.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    if language in DAYS:
        written["l"] = DAYS[language][day.weekday()]
    return written[code] if code in written else give_up()
