"""What babel makes of a quote before another character: `"a` is ä in German, and `"-` may be parted."""

import re
from collections.abc import Callable

from llama_core.corpus.markup.latex.expansion.definitions import Definitions
from llama_core.corpus.markup.latex.files import LANGUAGES

_COMMON = {"-": "", "=": "-", "|": "", "/": "/"}
_GERMAN = _COMMON | {
    "a": "ä", "o": "ö", "u": "ü", "e": "ë", "i": "ï", "A": "Ä", "O": "Ö", "U": "Ü", "E": "Ë", "I": "Ï",
    "s": "ß", "z": "ß", "S": "SS", "Z": "SZ", "`": "„", "'": "“", "<": "«", ">": "»",
    '"': "", "ck": "ck", "ff": "ff", "ll": "ll", "mm": "mm", "nn": "nn", "pp": "pp", "rr": "rr", "tt": "tt",
}  # fmt: skip
_DUTCH = _COMMON | {
    "-": "-",
    "a": "ä", "o": "ö", "u": "ü", "e": "ë", "i": "ï", "A": "Ä", "O": "Ö", "U": "Ü", "E": "Ë", "I": "Ï",
    "y": "ĳ", "Y": "Ĳ", "`": "„", "'": "”",
}  # fmt: skip
_CYRILLIC = _COMMON | {"---": "—", "--*": "—", "--~": "—", "`": "„", "'": "“", "<": "«", ">": "»"}
_SPANISH = {"<": "«", ">": "»", "`": "“", "'": "”", "-": "", "=": "-"}
_ANGLES = {"<": "«", ">": "»"}
_QUOTED = {
    "es": _SPANISH, "de": _GERMAN, "nl": _DUTCH, "ru": _CYRILLIC, "uk": _CYRILLIC, "pt": _ANGLES,
    "it": _ANGLES | {'"': "“"}, "pl": _ANGLES | _COMMON | {"`": "„", "'": "”"},
}  # fmt: skip
_PATTERNS = {
    language: re.compile('"(' + "|".join(map(re.escape, sorted(table, key=len, reverse=True))) + '|")')
    for language, table in _QUOTED.items()
}


class Shorthands:
    """The shorthands of the language that a text is in: `typed` puts what they stand for in their places."""

    def __init__(self, language: str):
        self._languages = [language]

    @property
    def language(self) -> str:
        """The code of the language; empty if it is not known."""
        return self._languages[-1]

    @property
    def on(self) -> bool:
        """True if the language has any."""
        return self._languages[-1] in _PATTERNS

    def typed(self, text: str) -> str:
        """Return a text with its shorthands replaced, and the angles that are quotes in most languages."""
        if self._languages[-1] not in ("en", "") and ("<<" in text or ">>" in text or ",," in text):
            text = text.replace("<<", "«").replace(">>", "»").replace(",,", "„")
        if '"' not in text or not self.on:
            return text
        table = _QUOTED[self._languages[-1]]
        return _PATTERNS[self._languages[-1]].sub(lambda found: table.get(found[1], ""), text)

    def select(self, name: str) -> None:
        """Go on in the language that babel has by this name."""
        self._languages[-1] = LANGUAGES.get(name.strip(), "")

    def begin(self, name: str) -> None:
        """Begin a passage in another language."""
        self._languages.append(LANGUAGES.get(name.strip(), ""))

    def end(self) -> None:
        """End the last passage that was begun."""
        if len(self._languages) > 1:
            self._languages.pop()


def _passage(reader: Definitions, shorthands: Shorthands) -> None:
    """Read `\\foreignlanguage{german}{"Uber}`, and put back its text as it is printed."""
    reader.option()
    shorthands.begin(reader.word())
    if reader.peek() == "{":
        reader.put_back(
            [shorthands.typed(t) if type(t) is str and t[0] != "\\" else t for t in reader.argument()]
        )
    shorthands.end()


def _begin(reader: Definitions, shorthands: Shorthands) -> None:
    reader.option()
    shorthands.begin(reader.word())


# What is done where the language changes.
SWITCHES: dict[str, Callable[[Definitions, Shorthands], None]] = {
    "\\selectlanguage": lambda reader, shorthands: shorthands.select(reader.word()),
    "\\foreignlanguage": _passage,
    "\\begin{otherlanguage}": _begin,
    "\\begin{otherlanguage*}": _begin,
    "\\end{otherlanguage}": lambda reader, shorthands: shorthands.end(),
    "\\end{otherlanguage*}": lambda reader, shorthands: shorthands.end(),
}
