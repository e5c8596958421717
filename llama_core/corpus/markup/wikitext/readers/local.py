"""Templates that only one Wikipedia has, or that mean something else there, and what each one writes.

A line of a language is `names = pattern`. In a pattern `{1}` is the first argument, `{1~}` the same without
what stands in brackets at its end, and `{1?}` an argument that may be missing. An empty pattern is a template
without words (a notice, a reference) whose name has words elsewhere. `@name` is a function of `_FUNCTIONS`.
"""

import re
from collections.abc import Callable

from llama_core.corpus.markup.wikitext.call import Call
from llama_core.corpus.markup.wikitext.numbers import roman
from llama_core.corpus.markup.wikitext.readers import quantities

_TABLES = {
    "bg": """
    малък, малки = {1}
    флагче с име = {1}
    превръщане = @convert
    """,
    "ca": """
    segle = @century
    ac = {1?} aC
    dc = {1?} dC
    petit, format nombre, romanes, maj = {1}
    fracció = @fraction
    """,
    "cs": """
    malé, malá, vlajka a název = {1}
    zlomek = @fraction
    převod = @convert
    """,
    "da": """
    flag =
    lille = {1}
    brøk = @fraction
    """,
    "de": """
    " = „{1}“
    bibel, b = @bible
    bruch = @fraction
    taste, lautschrift = {1}
    § = § {1}
    §§ = §§ {1}
    art. = Art. {1}
    €, eur, euro = {1} €
    """,
    "en": """
    tmath = ${1}$
    " = “{1}”
    lit, literal translation, literally = lit. '{1}'
    gloss = '{1}'
    ordinal, ord, nth = @ordinal
    nihongo2, nihongo foot, cn span, cnspan, codett, strikethrough, pull quote, samp, fact span = {1}
    native phrase = {2}
    ellipsis, ... = ...
    b. = b. {1?}
    d. = d. {1?}
    """,
    "es": """
    siglo = @century
    ac, a. c., a.c. = {1?} a. C.
    dc, d. c., d.c. = {1?} d. C.
    cita requerida, cr, abreviatura, abreviación, cita textual, bloque de cita = {1}
    n.º, nº, número = n.º {1?}
    fracción = @fraction
    enlace interlingüístico, enlace interlingüistico = {1}
    €, euro = {1} €
    x10 = @power
    """,
    "fr": """
    s, s-, s mini, s mini-, siècle = @century
    -s, -s-, -s mini, -s mini-, sav = @century_before
    sp, sp-, s2, s2-, sp mini, s2 mini = @centuries
    -sp, -sp-, -s2, -s2- = @centuries_before
    av jc, av. j.-c., av. jc, avjc, av j.-c. = {1?} av. J.-C.
    apr jc, ap jc, ap. j.-c., apr. j.-c., aprjc = {1?} apr. J.-C.
    citation, ", guil, guillemets, citation étrangère = @quoted
    quand, qui, où, lequel, pourquoi, quoi, petit, pc, indice, ind = {1}
    exp, exposant = <sup>{1}</sup>
    e = e
    er = er
    tiret = – {1} –
    tmp = {1} {2}
    heure = @hours
    dunité = @dimensions
    nb = @with_units
    fchim, formule chimique = @joined
    nombre romain = @roman
    rom, rom-maj = {1}
    p. = p. {1?}
    vol. = vol. {1?}
    chap. = chap. {1?}
    art. = art. {1?}
    n°, numéro = n° {1?}
    nos = nos {1?}
    etc., etc = @etc
    cie = Cie
    souverain, souverain2, souverain3, souverain-, souverain2- = {1~}
    €, euro, euros = {1} €
    $, dollar, dollars = {1} $
    £, livre, livres = {1} £
    x10 = @power
    m =
    """,
    "hr": """
    mala = {1}
    pr. kr. = {1?} pr. Kr.
    razlomak = @fraction
    """,
    "hu": """
    tört = @fraction
    €, eur, euro = {1} €
    """,
    "it": """
    s, f, a, u, w, e, nn, p, cita =
    m = @measure
    exp = @power
    apici e pedici = @raised_and_lowered
    gemellaggio = {2}
    cn, ta, quando, quando?, chi, chi?, dove, dove?, come, perché, perché?, quale?, non chiaro = {1}
    €, euro = {1} €
    """,
    "nl": """
    breuk = @fraction
    €, eur, euro = € {1?}
    """,
    "pl": """
    u, r, odn =
    fakt, kto, kto?, kiedy, kiedy?, gdzie, gdzie?, jaki, jaki?, jak, jak? = {1}
    mały = {1}
    link-interwiki = @interwiki
    ułamek = @fraction
    """,
    "pt": """
    séc, século = @century
    -séc, -século = século {1} a.C.
    ac, a.c. = {1?} a.C.
    dc, d.c. = {1?} d.C.
    abreviatura = {1}
    unidade = @with_units
    fração = @fraction
    quando?, quem?, onde? =
    """,
    "ro": """
    mic = {1}
    fracție = @fraction
    €, eur, euro = {1} €
    """,
    "ru": """
    ' = \u0301
    flag, флаг =
    s, флагификация, подсказка, tip, аббр, абр = {1}
    дробь = @fraction
    конвертировать = @convert
    е = @power
    до н. э., до н.э. = {1?} до н. э.
    библия = {1} {2}
    """,
    "sl": """
    brez preloma = {1}
    ulomek = @fraction
    pr. n. št. = {1?} pr. n. št.
    """,
    "sr": """
    јез = {2}
    мало = {1}
    разломак = @fraction
    """,
    "sv": """
    liten, små, tal = {1}
    bråk = @fraction
    """,
    "uk": """
    ' = \u0301
    flag, прапор =
    s, флагіфікація, підказка = {1}
    дріб = @fraction
    колір = {2}
    е = @power
    до н. е. = {1?} до н. е.
    грн = {1} грн
    """,
}  # fmt: skip
_ARGUMENT = re.compile(r"\{(\d)([?~]?)\}")
_QUALIFIER = re.compile(r"\s*\([^()]*\)$")
_ROMAN = re.compile(r"[IVXLCDMivxlcdm]+")
_LETTERS = re.compile(r"(?:e|er|re|ère|ème|nd|d)\Z")
_ORDINALS = {"1": "st", "2": "nd", "3": "rd"}
# French titles and ordinals that write their own name, and a word after it: {{Mme|Curie}}, {{84e|congrès}}.
_OWN_NAME = re.compile(
    r"(?:[IVXLC]+|\d{1,4})(?:e|er|re|ème|d|de|nd|nde)(?: siècle)?(?: av\. J\.-C\.)?"
    r"|M(?:me|mes|lle|lles|M?\.|gr|e)|[DP]r|Ste?"
)


def knows(call: Call) -> bool:
    """Tell whether the template means something of its own in the call's language."""
    if call.language == "fr" and _OWN_NAME.fullmatch(call.name):
        return True
    return call.key in LOCAL.get(call.language, ())


def read(call: Call) -> str | None:
    """Return the words of a call that is known here, None if it has none."""
    pattern = LOCAL[call.language].get(call.key)
    if pattern is None:
        return f"{call.name} {call.first}".strip()
    if pattern.startswith("@"):
        return _FUNCTIONS[pattern[1:]](call)
    return _filled(pattern, call)


def _filled(pattern: str, call: Call) -> str | None:
    args = [arg.strip() for arg in call.args]
    if not args and (text := call.given("texte", "testo", "texto", "text")):
        args = [text]
    for found in _ARGUMENT.finditer(pattern):
        if found[2] != "?" and not "".join(args[int(found[1]) - 1 : int(found[1])]):
            return None

    def argument(found: re.Match[str]) -> str:
        word = "".join(args[int(found[1]) - 1 : int(found[1])])
        return _QUALIFIER.sub("", word) if found[2] == "~" else word

    return _ARGUMENT.sub(argument, pattern).strip() or None


def _roman_of(word: str) -> str:
    return word.upper() if _ROMAN.fullmatch(word) else ""


_CENTURIES = {"fr": "siècle", "es": "siglo", "ca": "segle", "pt": "século"}
_ERAS = {
    "es": ("a. C.", "d. C."), "ca": ("aC", "dC"), "pt": ("a.C.", "d.C."),
}  # fmt: skip


def _century(call: Call) -> str | None:
    """Read {{siglo|xix}}, {{siglo|IV|a. C.}} and {{s|XIX|e}}: a century, and its era if it is said."""
    if not call.words:
        return None
    if call.language == "fr":
        number = _nth(call.words[:2])
        return f"{number} siècle" if number else None
    number, *rest = call.words
    word = _CENTURIES[call.language]
    if not (upper := _roman_of(number)):  # {{séc|IV a.C.}}
        return f"{word} {number}"
    era = rest[0].replace(" ", "").rstrip(".").lower() if rest and rest[0].lower() not in ("s", "m") else ""
    before, after = _ERAS[call.language]
    if era in ("a", "a.c", "ac", "-"):
        return f"{word} {upper} {before}"
    if era in ("d", "d.c", "dc"):
        return f"{word} {upper} {after}"
    return f"{word} {upper}" if not era else None


def _nth(words: list[str]) -> str:
    """Return `XIXe` of the number and the letters after it, which may be missing; empty if it is none."""
    if not words or not (number := _roman_of(words[0])) or (len(words) > 1 and not _LETTERS.match(words[1])):
        return ""
    return number + (words[1] if len(words) > 1 else "er" if number == "I" else "e")


def _century_before(call: Call) -> str | None:
    """Read {{-s|IV|e}} of the French Wikipedia as `IVe siècle av. J.-C.`."""
    number = _nth(call.words[:2])
    return f"{number} siècle av. J.-C." if number else None


def _centuries(call: Call) -> str | None:
    """Read {{sp|XIX|e|et|XX|e}} and {{s2|XIX|e|XX|e}} as `XIXe et XXe siècles`."""
    words = [word for word in call.words if word]
    between = "–" if "-" in words[1:-1] or "–" in words[1:-1] else " et "
    between = " au " if "au" in words else " ou " if "ou" in words else between
    numbers: list[str] = []
    for word in words:
        if upper := _roman_of(word):
            numbers.append(f"{upper}{'er' if upper == 'I' else 'e'}")
        elif word not in ("e", "er", "et", "-", "–", "au", "ou", "à"):
            return None
    return f"{numbers[0]}{between}{numbers[1]} siècles" if len(numbers) == 2 else None


def _centuries_before(call: Call) -> str | None:
    text = _centuries(call)
    return f"{text} av. J.-C." if text else None


def _quoted(call: Call) -> str | None:
    """Read {{citation|Je pense.}} as a quotation. With a title it is the reference to a source."""
    text = call.first or call.given("texte", "text")
    if not text or {"title", "titre", "last", "url"} & call.named.keys():
        return None
    return text if text.startswith(("«", "“", '"')) else f"« {text} »"


def _hours(call: Call) -> str | None:
    """Read {{heure|4|30}} as `4 h 30`."""
    words = call.words
    if not words or not all(word.isdecimal() for word in words):
        return None
    if len(words) == 3:
        return f"{words[0]} h {words[1]} min {words[2]} s"
    return f"{words[0]} h {words[1]}" if len(words) == 2 else f"{words[0]} h" if len(words) == 1 else None


def _dimensions(call: Call) -> str | None:
    """Read {{dunité|10|20|cm}} as `10 × 20 cm`."""
    *numbers, name = call.words or [""]
    return f"{' × '.join(numbers)} {name}" if len(numbers) > 1 else None


def _bible(call: Call) -> str | None:
    """Read {{Bibel|Joh|3|16|EU}} of the German Wikipedia as `Joh 3,16`."""
    words = call.words
    if len(words) < 2:
        return words[0] if words else None
    verse = f",{words[2]}" if len(words) > 2 and words[2][0].isdecimal() else ""
    return f"{words[0]} {words[1]}{verse}"


def _ordinal(call: Call) -> str | None:
    number = call.first
    if not number.isdecimal() or not number.isascii():
        return None
    return number + ("th" if number[-2:-1] == "1" else _ORDINALS.get(number[-1], "th"))


def _in_roman(call: Call) -> str | None:
    number = call.first
    return (
        roman(int(number)) if number.isascii() and number.isdecimal() and len(number) < 5 else number or None
    )


def _interwiki(call: Call) -> str | None:
    """Read {{link-interwiki|X|tekst=x}} of the Polish Wikipedia: the label of the link."""
    return call.given("tekst", "tekst linku") or call.first or None


_FUNCTIONS: dict[str, Callable[[Call], str | None]] = {
    "century": _century, "century_before": _century_before, "centuries": _centuries,
    "centuries_before": _centuries_before, "quoted": _quoted, "hours": _hours, "dimensions": _dimensions,
    "bible": _bible, "ordinal": _ordinal, "roman": _in_roman, "interwiki": _interwiki,
    "etc": lambda call: " etc.",
    "joined": lambda call: "".join(call.words) or None,
    "convert": quantities.convert, "with_units": quantities.with_units, "measure": quantities.measure,
    "fraction": quantities.fraction, "power": quantities.power,
    "raised_and_lowered": quantities.raised_and_lowered,
}  # fmt: skip


def _table(text: str) -> dict[str, str]:
    entries = (line.partition("=") for line in text.strip().split("\n"))
    return {name.strip(): pattern.strip() for names, _, pattern in entries for name in names.split(",")}


LOCAL = {language: _table(text) for language, text in _TABLES.items()}
