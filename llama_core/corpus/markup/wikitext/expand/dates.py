"""`#time`: a given date in a given format. The present day is not known."""

import datetime
import re

from llama_core.corpus.markup.wikitext.expand.frame import Expands, Frame, give_up
from llama_core.corpus.markup.wikitext.months import DAYS, MONTHS, OF_MONTHS, month_number
from llama_core.corpus.markup.wikitext.tree import Nodes

_ISO = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?:T?\s*[\d:]{0,8}Z?)?")
_DAY_FIRST = re.compile(r"(\d{1,2})\.?(?:st|nd|rd|th)?\s+([^\W\d_]{3,12})\.?,?\s+(\d{4})")
_MONTH_FIRST = re.compile(r"([^\W\d_]{3,12})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
_DOTTED = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")
_MONTH = re.compile(r"([^\W\d_]{3,12})\s+(\d{4})")
_FORMAT = re.compile(r'"([^"]*)"|\\(.)|(xg|xn|xN|.)', re.DOTALL)
_MAX_FORMAT = 200


def time(expander: Expands, argument: str, parts: list[Nodes], frame: Frame) -> str:
    """Return a date in a format of `#time`. Raises UnknownError."""
    given = expander.known(parts[0], frame) if parts else ""
    language = (expander.known(parts[1], frame) if len(parts) > 1 else "") or expander.language
    found = _read(given, language)
    if found is None or len(argument) > _MAX_FORMAT or language not in MONTHS:
        give_up()
    return "".join(_piece(piece, found, language) for piece in _FORMAT.finditer(argument))


def _read(given: str, language: str) -> datetime.date | None:
    given = " ".join(given.split())
    day, month, year = "1", 0, ""
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
    try:
        return datetime.date(int(year), month, int(day))
    except ValueError:
        return None


def _piece(piece: re.Match[str], day: datetime.date, language: str) -> str:
    if piece[1] is not None:
        return piece[1]
    code = piece[2] or piece[3]
    if piece[2] or not (code.isalpha() and code.isascii()):
        return code
    written = {
        "Y": f"{day.year}", "y": f"{day.year % 100:02}", "n": f"{day.month}", "m": f"{day.month:02}",
        "j": f"{day.day}", "d": f"{day.day:02}", "F": MONTHS[language][day.month - 1],
        "xg": OF_MONTHS[language][day.month - 1], "N": f"{day.isoweekday()}", "w": f"{day.isoweekday() % 7}",
        "z": f"{day.timetuple().tm_yday - 1}", "xn": "", "xN": "",
    }  # fmt: skip
    if language == "en":
        written |= {"M": MONTHS["en"][day.month - 1][:3], "D": DAYS["en"][day.weekday()][:3]}
        written["S"] = "th" if 10 < day.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    if language in DAYS:
        written["l"] = DAYS[language][day.weekday()]
    return written[code] if code in written else give_up()
