"""Numbers with units, ranges, conversions and money: {{unité}}, {{val}}, {{convert}}, {{currency}}.

A call that only shows what it computes, such as a converted value alone, has no words here.
"""

import re
from itertools import takewhile

from llama_core.corpus.markup.wikitext.call import Call
from llama_core.corpus.markup.wikitext.names import OTHER_UNITS, UNITS

_NUMBER = re.compile(r"[\d.,+−-]*\d[\d.,/+]*(?:e[+-]?\d+)?")
_DEGREES = re.compile(r"\d{1,3}(?:\.\d{1,8})?", re.ASCII)
_COMPASS = {key: {"W": "O"} for key in ("fr", "es", "pt", "ca", "it")} | {
    "de": {"E": "O"}, "sv": {"E": "Ö", "W": "V"}, "da": {"E": "Ø", "W": "V"}, "ro": {"W": "V"},
    "ru": {"N": " с. ш.", "S": " ю. ш.", "E": " в. д.", "W": " з. д."},
    "uk": {"N": " пн. ш.", "S": " пд. ш.", "E": " сх. д.", "W": " зх. д."},
    "bg": {"N": " с. ш.", "S": " ю. ш.", "E": " и. д.", "W": " з. д."},
}  # fmt: skip
_EXPONENT = re.compile(r"[−-]?\d")
_JOINTS = {
    "-": "–", "–": "–", "—": "–", "to(-)": "–", "and(-)": "and", "x": "×", "×": "×", "by": "by", "+/-": "±",
    "±": "±", "to": "to", "and": "and", "or": "or", "a": "a", "à": "à", "bis": "bis", "do": "do", "до": "до",
    "și": "și", "et": "et", "und": "und", "y": "y", "e": "e", "i": "i", "и": "и", "і": "і", "og": "og",
    "och": "och", "en": "en", "tot": "tot", "til": "til", "till": "till", "la": "la", "al": "al", "*": "×",
    "sau": "sau", "ou": "ou", "o": "o", "oder": "oder", "или": "или", "−": "–", "xx": "×",
}  # fmt: skip
_ENGLISH_JOINTS = {"to": "–", "by": "×", "and": "", "or": ""}  # in {{convert}} of other languages, if known
# What joins a second number that has a name in {{unité}}.
_NAMED_JOINTS = ("à", "et", "ou", "×", "x", "±")
_DIVIDED = ("ft", "foot", "lb", "st", "mi", "yd")  # the units of which {{convert}} takes smaller ones, too
_SMALLER = ("in", "ft", "foot", "yd", "oz", "lb", "chain", "rod", "furlong")
_ONLY_COMPUTED = ("out", "output only", "output number only", "number", "unit", "unit2", "tablecen")
_IS_UNIT = re.compile(r"[^\W\d_]|[°%′″'\"]")
_LARGE = re.compile(r"^(?:mil|bil)l?[ioj]")  # millions, milliards: the name of a number, and not of a unit
_SQUARE = re.compile(r"\b((?:[kcdhmµn]|da)?m|ft|in|mi|yd|s)([23])\b")
_SINGULAR = {
    "miles": "mile", "acres": "acre", "knots": "knot", "tonnes": "tonne", "tons": "ton", "barrels": "barrel",
    "gallons": "gallon", "hectares": "hectare", "metres": "metre", "meters": "meter", "feet": "foot",
    "inches": "inch", "yards": "yard", "pounds": "pound", "kilometres": "kilometre",
    "kilometers": "kilometer",
    "kilograms": "kilogram", "grams": "gram", "ounces": "ounce", "litres": "litre", "liters": "liter",
}  # fmt: skip
_SYMBOLS = {
    "usd": "$", "us$": "US$", "yen": "¥",
    "eur": "€", "euro": "€", "€": "€", "gbp": "£", "£": "£", "jpy": "¥", "¥": "¥",
    "cny": "CN¥", "rmb": "¥", "inr": "₹", "indian rupee": "₹", "₹": "₹", "aud": "A$", "a$": "A$", "cad": "C$",
    "c$": "C$", "nzd": "NZ$", "nz$": "NZ$", "hkd": "HK$", "hk$": "HK$", "sgd": "S$", "s$": "S$", "krw": "₩",
    "brl": "R$", "r$": "R$", "mxn": "MX$", "php": "₱", "ils": "₪", "rub": "₽", "uah": "₴", "try": "₺",
    "thb": "฿", "vnd": "₫", "ngn": "₦",
}  # fmt: skip
_INDIAN = {"c": " crore", "l": " lakh", "k": " thousand", "m": " million", "b": " billion", "t": " trillion",
           "lc": " lakh crore"}  # fmt: skip


def convert(call: Call) -> str | None:
    """Read {{convert|10|km|mi}} or {{convert|10|-|20|km}}: the values as they were given, with their unit."""
    if call.given("disp").lower() in _ONLY_COMPUTED or not call.args:
        return None
    words = [arg.strip() for arg in call.args]
    if words[1:2] == ["/"] and words[2:3] and all(map(str.isdecimal, (words[0], words[2]))):
        words[:3] = [f"{words[0]}/{words[2]}"]  # {{convert|1|/|2|in}}
    is_english = call.language in ("en", "")
    out: list[str] = []
    at = 0
    while at < len(words) and _NUMBER.fullmatch(words[at]):
        out.append(re.sub(r"^-", "−", words[at]))
        at += 1
        if at >= len(words):
            break
        word = words[at]
        follows = at + 1 < len(words) and _NUMBER.fullmatch(words[at + 1]) is not None
        if follows and word in _JOINTS:
            joint = _JOINTS[word] if is_english else _ENGLISH_JOINTS.get(word, _JOINTS[word])
            if not joint:
                return None
            out.append(joint)
        elif not _IS_UNIT.search(word):
            return None
        else:
            out.append(_unit_after(out[-1], word, call))
            if not (follows and word in _DIVIDED and words[at + 2 : at + 3] and words[at + 2] in _SMALLER):
                break  # a number that follows says how exact the conversion is
        at += 1
    text = " ".join(out).replace(" – ", "–").replace(" -", "-")
    if call.given("adj").lower() == "mid":
        after = next((word for word in words[at + 1 :] if word.startswith("-")), "")
        text += after if out[-1].startswith("-") else after.replace("-", " ", 1)  # 5-mile-wide, 5 m wide
    return text or None


def _unit_after(number: str, word: str, call: Call) -> str:
    """Return a unit as it stands after a number: `1 mile`, and `-mile` in `a 3-mile walk`."""
    name = unit(word, call.language)
    if call.language not in ("en", ""):
        return name
    single = _SINGULAR.get(name.rpartition(" ")[2])
    if single is None:
        return name
    one = name[: len(name) - len(name.rpartition(" ")[2])] + single
    if call.given("adj").lower() in ("on", "mid"):
        return f"-{one.replace(' ', '-')}"
    if name.startswith(("thousand", "million", "billion", "trillion")):
        return name
    return one if number in ("1", "−1") or re.fullmatch(r"[1-9]\d?/[1-9]\d{1,2}|1/[2-9]", number) else name


def unit(word: str, language: str = "en") -> str:
    """Return the unit that {{convert}} names in its own way: `e6carat` is a million carats."""
    if language not in ("en", ""):
        return _superscripts(OTHER_UNITS.get(word, word))
    if found := re.fullmatch(r"e(3|6|9|12)(\S+)", word):
        power = {"3": "thousand", "6": "million", "9": "billion", "12": "trillion"}[found[1]]
        return f"{power} {UNITS.get(found[2], found[2])}"
    return UNITS.get(word) or _superscripts(word)


def _superscripts(name: str) -> str:
    """Write the exponents of areas and volumes small: `km2` is km²."""
    return _SQUARE.sub(lambda found: found[1] + {"2": "²", "3": "³"}[found[2]], name)


def power(call: Call) -> str | None:
    """Read {{e|-19}} as ×10^-19."""
    number = call.first.replace("−", "-")
    return f"×10^{number}" if re.fullmatch(r"[+-]?\d{1,3}(?:[.,]\d{1,3})?", number) else None


def raised_and_lowered(call: Call) -> str | None:
    """Read {{su|p=+|b=0}}: what stands high and what stands low after a sign."""
    low, high = call.given("b"), call.given("p")
    text = (f"<sub>{low}</sub>" if low else "") + (f"<sup>{high}</sup>" if high else "")
    return text or None


def height(call: Call) -> str | None:
    """Read {{height|ft=6|in=2}} as `6 ft 2 in`, and {{height|m=1.88}} as `1.88 m`."""
    given = ((call.given(name), name) for name in ("m", "cm", "ft", "in"))
    words = [(number, name) for number, name in given if number]
    if not words or not all(_NUMBER.fullmatch(number) for number, _ in words):
        return None
    return " ".join(f"{number} {name}" for number, name in words)


def _joined(first: str, joint: str, second: str) -> str:
    """Return two numbers with what stands between them."""
    between = _JOINTS[joint]
    return f"{first}–{second}" if between == "–" else f"{first} {between} {second}"


def value(call: Call) -> str | None:
    """Read {{val|1.2|0.3|e=6|u=km}} as `1.2±0.3×10^6 km`, and {{val|5|-|7|u=m}} as `5–7 m`."""
    words = call.words
    text = re.sub(r"(?<=\d)[eE](?=[+−-]?\d+\Z)", "×10^", words[0]) if words else ""
    if len(words) > 2 and words[1] in _JOINTS and _NUMBER.fullmatch(words[2]):
        text = _joined(*words[:3])
    elif len(words) > 2 and all(_NUMBER.fullmatch(word.strip("+−-")) for word in words[1:3]):
        text += f" +{words[1].lstrip('+')} −{words[2].lstrip('−-')}"
    elif len(words) > 1 and words[1].startswith("("):
        text += words[1]
    elif len(words) > 1 and not _NUMBER.fullmatch(words[1]):
        return None
    elif len(words) > 1:
        text += f"±{words[1]}"
    if exponent := call.given("e"):
        text += f"×10^{exponent}" if text else f"10^{exponent}"
    per = call.given("up", "upl")
    name = _superscripts(call.given("u", "ul", "unit") + (f"/{per}" if per else ""))
    return f"{call.given('p')}{text}{call.given('s')} {name}".strip() or None


def with_units(call: Call) -> str | None:
    """Read {{unité|10|km}}, {{unité|3|m|3|/s}} or {{unidad|10|km|2}}: a number, and units with exponents."""
    if not call.args:
        return None
    first, *rest = (arg.strip() for arg in call.args)
    while len(rest) > 1 and rest[0] in _JOINTS and _NUMBER.fullmatch(rest[1]):
        first, rest = _joined(first, *rest[:2]), rest[2:]  # {{unité|2|à|4|kg}}
    for joint in _NAMED_JOINTS:
        if second := call.given(joint):
            first = _joined(first, joint, second)
    if first and any(any(map(str.isdigit, w)) and not _EXPONENT.fullmatch(w) for w in rest):
        units = _superscripts(" ".join(rest).strip())  # {{unité|de 3|à 5|km}}, {{unité|5|km2}}
        return f"{first} {units}"
    power = call.given("e")
    text = f"{first}×10^{power}" if power else first
    units = ""
    for word in rest or [call.given("u", "ul")]:
        if _EXPONENT.fullmatch(word) and units:
            units += _raised(word)
        elif word:
            word = _superscripts(word)
            is_joined = not units or word.startswith(("/", "·", "⋅"))
            units += word if is_joined else f"{' ' if _LARGE.search(units) else '·'}{word}"
    return f"{text} {units}".strip() or None


def measure(call: Call) -> str | None:
    """Read {{M|10|ul=km}}, {{M|10||km}} or {{M|3|0,2|m}} of the Italian Wikipedia, with a tolerance."""
    if len(call.args) < 2 or call.given("u", "ul"):
        return with_units(call) if len(call.args) < 2 else with_tolerance(call, call.given("u", "ul"))
    if len(call.args) == 2 or call.args[1].strip() in _JOINTS:
        return with_units(call)
    return with_tolerance(call, "".join(arg.strip() for arg in call.args[2:4]))  # {{M|10||k|m}}


def with_tolerance(call: Call, name: str) -> str | None:
    """Return the first argument, with the second as its tolerance, and a unit."""
    tolerance = call.args[1].strip()
    text = call.args[0].strip() + (f"±{tolerance}" if _NUMBER.fullmatch(tolerance) else "")
    text += f"×10^{call.given('e')}" if call.given("e") else ""
    return f"{text} {_superscripts(name)}".strip() or None


def _raised(exponent: str) -> str:
    return {"2": "²", "3": "³"}.get(exponent, f"^{exponent.replace('−', '-')}")


def money(call: Call) -> str | None:
    """Read {{currency|13|USD}} as `$13`; a currency without a sign of its own keeps its code."""
    amount = call.words[0] if call.words else call.given("amount")
    if not amount:
        return None
    code = (call.words[1] if len(call.words) > 1 else call.given("type", "code")) or "USD"
    sign = _SYMBOLS.get("us$" if code.lower() == "us" else code.lower())
    return f"{sign}{amount}" if sign else f"{amount} {code}"


def in_currency(call: Call) -> str | None:
    """Read {{US$|13}} or {{GBP|13}}: an amount behind the sign that the template is named after."""
    sign = _SYMBOLS[call.key]
    return f"{sign}{call.first}" if call.first else sign


def is_currency(key: str) -> bool:
    """Tell whether a template is named after a currency."""
    return key in _SYMBOLS


def rupees(call: Call) -> str | None:
    """Read {{INRConvert|100|c}} as `₹100 crore`."""
    if not call.words:
        return None
    scale = _INDIAN.get(call.words[1].lower()) if len(call.words) > 1 else ""
    return None if scale is None else f"₹{call.words[0]}{scale}"


def years(call: Call) -> str | None:
    """Read {{dash year|1943|1945}} as `1943–1945`."""
    return "–".join(call.words[:2]) if call.words and all(w[0].isdigit() for w in call.words[:2]) else None


def fraction(call: Call) -> str | None:
    """Read {{frac|2}} as 1/2, {{frac|1|2}} as 1/2, and {{frac|3|1|2}} as 3 1/2."""
    words = [arg.strip() for arg in call.args[:3]]
    if not words or not all(words):
        return None
    if len(words) == 1:
        return f"1/{words[0]}"
    return f"{words[0]}/{words[1]}" if len(words) == 2 else f"{words[0]} {words[1]}/{words[2]}"


def coordinates(call: Call) -> str | None:
    """Read {{coord|51|30|N|0|7|W}} or {{coord|51.5|-0.12}} as `51°30′N 0°7′W`, `51.5°N 0.12°W`."""
    if call.given("display", "affichage").lower() in ("title", "t", "titre"):
        return None
    words = list(takewhile(lambda word: ":" not in word, call.words))
    if len(words) == 2:
        signed = zip(words, ("NS", "EW"), strict=True)
        words = [w for word, names in signed for w in (word.lstrip("-"), names[word[0] == "-"])]
    half = len(words) // 2
    north, east = words[:half], words[half:]
    if not 2 <= half <= 4 or len(north) != len(east) or north[-1] not in "NS" or east[-1] not in "EW":
        return None
    if not all(map(_DEGREES.fullmatch, (*north[:-1], *east[:-1]))):
        return None
    sides = _COMPASS.get(call.language, {})
    return " ".join(
        "".join(map(str.__add__, place, "°′″"[: half - 1])) + sides.get(place[-1], place[-1])
        for place in (north, east)
    )


def density(call: Call) -> str | None:
    """Read {{pop density|3645257|640081.87|km2|sqmi}}: the people for each unit of area."""
    words = [arg.replace(",", "").strip() for arg in call.args[:3]]
    if len(words) < 3 or not all(re.fullmatch(r"\d{1,15}(?:\.\d{1,15})?", word) for word in words[:2]):
        return None
    people, area = map(float, words[:2])
    return f"{people / area:,.1f}/{unit(words[2])}" if area else None


READERS = {
    "val": value, "frac": fraction, "sfrac": fraction, "fraction": fraction, "pop density": density,
    "height": height, "coord": coordinates, "su": raised_and_lowered, "e": power,
    "currency": money, "inrconvert": rupees, "dash year": years, "year range": years,
    "yearrange": years, "nombre": with_units, "num": with_units,
    "fmtn": with_units, "unité": with_units,
    "unidad": with_units, "unitats": with_units, "unid": with_units, "unitate": with_units,
    "unite": with_units,
    "unitat": with_units, "unit": with_units, "unità": with_units, "unité/2": with_units,
} | dict.fromkeys((
    "convert", "cvt", "conversie", "converti", "convertir", "conversion",
    "converter", "conversor", "converto", 
    "konwertuj", "konverter", "omregn", "pretvori", "pretvorba", "konverzija", "конвертор", "конвертувати",
    "претвори", "omvandla", "umrechnen", "umrechnung", "átváltás", "prevod", "unidades", "conv",
), convert)  # fmt: skip
