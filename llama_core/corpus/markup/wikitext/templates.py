"""Templates that carry words of the page: numbers with units, foreign words, quotes, dates, punctuation.

All others (infoboxes, navigation, notices, citations) give nothing: their values are not prose. What is read
is what stands in the call; nothing is looked up or expanded.
"""

import re

from llama_core.corpus.markup.wikitext.call import Call
from llama_core.corpus.markup.wikitext.names import (
    BEFORE,
    CITATIONS,
    FIRST,
    LANGUAGE_CODES,
    LAST,
    SECOND,
    SPACED,
)
from llama_core.corpus.markup.wikitext.readers import days, languages, local, quantities

_IPA_WORDS = frozenset(("us", "uk", "en", "lang", "pron", "local", "also", "ipa", "audio"))
_SIDES = ("left", "right", "center", "centre", "links", "rechts", "gauche", "droite")
_CIRCA = ("circa", "c.", "ca.", "ca")
_REIGNED = ("reign", "r.", "fl.", "floruit")
_TEXTS = ("text", "texte", "testo", "texto")  # the name of what a call marks
_LISTS = frozenset(("plainlist", "flatlist", "plain list", "columns-list"))
_SHIPS = frozenset(
    ("uss", "hms", "ss", "ms", "mv", "rms", "hmas", "hmcs", "usat", "usns", "css", "sms", "rmv")
)


def render(call: Call) -> str | None:
    """Return the words of a template call, or None if it has none."""
    key = call.key
    if local.knows(call):
        return local.read(call)
    if not call.n_parts and key in LANGUAGE_CODES and call.language not in ("en", ""):
        return None  # {{ca}}, which says that a link leads to a page in Catalan
    if key in SPACED and not call.n_parts:
        return SPACED[key]
    if re.fullmatch(r"[A-Za-z][a-z]{1,2}S", call.name):  # {{frS|mot}} in the German Wikipedia
        return call.first or None
    text = _known(key, call)
    return text if text is None or text.strip() else None


def is_citation(name: str) -> bool:
    """Tell whether the template of that name is a citation."""
    return name.strip().lower().startswith(CITATIONS)


def _known(key: str, call: Call) -> str | None:
    """Return the words of a call by the tables of templates; None for one that stands in no table.

    `key`: the template's name in lower case.
    """
    if key in FIRST:
        if len(call.words) > 1 and (key in ("ipa", "resize") or call.first.lower() in _SIDES):
            return call.args[1].strip()  # {{rquote|right|words}}, {{resize|90%|words}}
        return _first(call)
    if key in SECOND:
        return call.args[1].strip() if len(call.args) > 1 else call.given(*_TEXTS) or None
    if key in LAST:
        return call.args[-1] if call.args else None
    if key in _CIRCA and len(call.words) > 1:
        return f"c. {call.words[0]} – c. {call.words[1]}"
    if key in _REIGNED:  # {{reign|1850|1860}}
        return f"{BEFORE[key]} {'–'.join(call.words[:2])}".strip()
    if key in BEFORE:  # {{née|Kasner}}
        return f"{BEFORE[key]} {call.first}".strip()
    if key in SPACED and key not in _READERS:  # {{space|2}}, {{circa|1900}}
        return f"{SPACED[key]} {call.first}" if SPACED[key].endswith((".", "°")) else SPACED[key]
    if key.startswith(("script/", '"-', "zitat-")):
        return call.first
    if key.startswith(("lang-", "ipa-", "јез-", "jez-", "jezik-")) and call.first:
        return f"[{call.first}]" if key.startswith("ipa-") else call.first
    if quantities.is_currency(key):
        return quantities.in_currency(call)
    if key in _SHIPS:
        return _ship([key.upper(), *call.args], call.named)
    if key in quantities.READERS:
        return quantities.READERS[key](call)
    if days.is_of_age(key):
        return days.age(call)
    if key == "in lang":
        return languages.in_languages(call)
    if key == "as of":
        return days.as_of(call)
    if reader := _READERS.get(key):
        return reader(call.args, call.named) if call.n_parts else None
    return days.read(call) if days.is_of_date(key) else None


def _first(call: Call) -> str:
    """Return the first argument, a list with lines of its own, and keep a space at its ends."""
    text = call.first
    raw = call.args[0] if call.args else ""
    if text.startswith(("*", "#", ":", ";")) and (raw.startswith("\n") or call.key in _LISTS):
        return f"\n{text}\n"
    before = " " if raw[:1] == " " and text else ""
    return f"{before}{text} " if raw[-1:] == " " and text else before + text


def _nihongo(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{nihongo|word|kanji|romaji|more}} as `word (kanji, romaji, more)`."""
    words = [arg.strip() for arg in args[:4]] + ["", ""]
    inner = ", ".join(word for word in words[1:4] if word)
    return f"{words[0]} ({inner})" if inner and words[0] else words[0] or inner


def _nihongo3(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{nihongo3|word|kanji|romaji}}, whose romaji come first."""
    words = [*(arg.strip() for arg in args[:3]), "", "", ""]
    return _nihongo([words[2], words[1], words[0]], named) if words[2] else _nihongo(words[:2], named)


def _phonemes(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{IPAc-en|uk|t|iː}} as /tiː/."""
    sounds = [arg.strip() for arg in args if arg.strip().lower() not in _IPA_WORDS]
    return f"/{''.join(sounds).replace('_', ' ')}/" if sounds else None


def _interlanguage(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{ill|John Doe|de}}, in some languages {{ill|de|John Doe}}: the label of the link."""
    places = args[1:] if len(args) > 1 and args[0].strip() in LANGUAGE_CODES else args
    return named.get("lt") or (places[0] if places else None)


def _french_interlanguage(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{lien|langue=en|trad=Writer|fr=Écrivain|texte=écrivains}}: the label of the link."""
    return named.get("texte") or named.get("fr") or (args[0] if args else named.get("trad"))


def _person(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{sortname|John|Doe}} as `John Doe`."""
    return " ".join(arg.strip() for arg in args[:2] if arg.strip()) or None


def _ship(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{ship|HMS|Victory|1765|2}}: the ship's prefix and its name, and what tells it from others.

    The last argument says what is shown: 2 all but the last, 6 the name alone; other numbers are not known.
    """
    prefix, name, which, shown = [*(arg.strip() for arg in args[:4]), "", "", "", ""][:4]
    if not name or shown not in ("", "2", "6"):
        return None
    words = name if shown == "6" else f"{prefix} {name}".strip()
    return f"{words} ({which})" if which and not shown else words


def _ship_class(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{sclass|Nimitz|aircraft carrier}} as `Nimitz-class aircraft carrier`."""
    name, kind, shown = [*(arg.strip() for arg in args[:3]), "", "", ""][:3]
    return f"{name}-class {kind}" if name and kind and shown in ("", "0", "1") else None


def _russian_interlanguage(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{нп|page|label}}: the label of the link, else the page that it leads to."""
    if len(args) > 1 and args[1].strip():
        return args[1]
    return args[0] if args else named.get("текст")


def _harvard(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{harvtxt|Boolos|Jeffrey|1974}} as `Boolos & Jeffrey (1974)`."""
    words = [arg.strip() for arg in args if arg.strip()]
    if len(words) < 2:
        return None
    *authors, last, year = words
    return f"{', '.join(authors)} & {last} ({year})" if authors else f"{last} ({year})"


def _harvard_without_brackets(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{harvnb|Boolos|Jeffrey|1974}} as `Boolos & Jeffrey 1974`."""
    text = _harvard(args, named)
    return text.replace("(", "").replace(")", "") if text else None


def _harvard_in_brackets(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{harv|Boolos|Jeffrey|1974}} as `(Boolos & Jeffrey 1974)`."""
    text = _harvard_without_brackets(args, named)
    return f"({text})" if text else None


def _korean(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{korean|hangul=한국|hanja=韓國}}: the scripts and spellings that are given."""
    given = [named.get(key, "").strip() for key in ("hangul", "hanja", "rr", "mr")]
    return ", ".join(word for word in (*map(str.strip, args), *given) if word) or None


def _old_style(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{OldStyleDate|February 2|1905|January 20}} as `February 2 1905 [O.S. January 20]`.

    In the Russian Wikipedia the day is an argument of its own and the first; the date stays as it is written.
    """
    words = [arg.strip() for arg in args]
    if not words or words[0].isdecimal():
        return None if "".join(words[1:2]).isdecimal() else " ".join(words[:3]) or None
    return " ".join([*words[:2], *(f"[O.S. {word}]" for word in words[2:3])])


def _verse(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{bibleverse|1|John|3:16|KJV}} as `1 John 3:16`."""
    words = [arg.strip() for arg in args if arg.strip()]
    return " ".join(words[: 3 if words and words[0] in ("1", "2", "3", "4") else 2]) or None


def _raised(args: list[str], named: dict[str, str]) -> str | None:
    return f"<sup>{args[0].strip()}</sup>" if args else None


def _music(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{music|flat}}: the sign of an accidental. Other music has no words."""
    signs = {"flat": "♭", "sharp": "♯", "natural": "♮", "b": "♭", "#": "♯"}
    return signs.get(args[0].strip().lower()) if args else None


def _chinese(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{zh|t=臺北|p=Táiběi}}: the scripts and spellings that are given."""
    given = [named[key].strip() for key in ("c", "t", "s", "p", "w", "j", "l") if named.get(key, "").strip()]
    return ", ".join(dict.fromkeys([*(arg.strip() for arg in args if arg.strip()), *given])) or None


def _lines(args: list[str], named: dict[str, str]) -> str | None:
    """Read {{unbulleted list|one|two}}: a list item for each argument."""
    return "".join(["\n", *(f"* {arg.strip()}\n" for arg in args if arg.strip())])


_READERS = {
    **dict.fromkeys(("bracket", "brackets"), lambda args, named: f"[{args[0]}]" if args else None),
    "nihongo": _nihongo, "nihongo3": _nihongo3, "nihongo4": _nihongo, "sortname": _person,
    "linktext": lambda args, named: "".join(a.strip() for a in args),
    "ipac-en": _phonemes,
    "ill": _interlanguage, "interlanguage link": _interlanguage, "illm": _interlanguage,
    "iw": _russian_interlanguage, "iw2": _russian_interlanguage, "нп": _russian_interlanguage,
    "нп3": _russian_interlanguage, "нп5": _russian_interlanguage,
    "не перекладено": _russian_interlanguage, "нп4": _russian_interlanguage, "нп2": _russian_interlanguage,
    "не переведено 2": _russian_interlanguage, "не переведено 3": _russian_interlanguage,
    "lien": _french_interlanguage, "ship": _ship, "sclass": _ship_class, "sclass2": _ship_class,
    "не переведено": _russian_interlanguage, "не переведено 5": _russian_interlanguage,
    "unbulleted list": _lines, "ubl": _lines, "vunblist": _lines, "bulleted list": _lines,
    "ordered list": _lines,
    "hlist": lambda args, named: ", ".join(a.strip() for a in args if a.strip()),
    **dict.fromkeys(("key", "keypress", "key press"), lambda args, named: "+".join(a.strip() for a in args)),
    "respell": lambda args, named: "-".join(a.strip() for a in args if a.strip()),
    "chem": lambda args, named: "".join(a.strip() for a in args),
    "chem2": lambda args, named: "".join(a.strip() for a in args),
    "gaps": lambda args, named: "".join(a.strip() for a in args),
    "simplenuclide": lambda args, named: "-".join(a.strip() for a in args[:2]),
    "simplenuclide2": lambda args, named: "-".join(a.strip() for a in args[:2]),
    "nuclide": lambda args, named: "-".join(a.strip() for a in args[:2]),
    "nuclide2": lambda args, named: "-".join(a.strip() for a in args[:2]),
    "bibleverse": _verse, "bibleref": _verse, "bibleref2": _verse, "bibelstelle": _verse, "bibel": _verse,
    "harvtxt": _harvard, "harvp": _harvard, "harvcoltxt": _harvard,
    "harvnb": _harvard_without_brackets, "harvsp": _harvard_without_brackets,
    "harv": _harvard_in_brackets, "harvard citation": _harvard_in_brackets,
    "korean": _korean, "lang-ko": _korean, "japonais": _nihongo, "music": _music,
    "oldstyledate": _old_style,
    "us patent": lambda args, named: f"U.S. Patent {args[0].strip()}" if args else None,
    "zh": _chinese, "lang-zh": _chinese,
    "höhe": lambda args, named: f"{args[0].strip()} m" if args else None,
    "marriage": lambda args, named: args[0] if args else None,
    "sup": _raised, "superscript": _raised, "esp": _raised,
    "pow": lambda args, named: f"{args[0]}^{args[1]}" if len(args) > 1 else None,
    "angbr": lambda args, named: f"⟨{args[0]}⟩" if args else None,
    "angle bracket": lambda args, named: f"⟨{args[0]}⟩" if args else None,
}  # fmt: skip
