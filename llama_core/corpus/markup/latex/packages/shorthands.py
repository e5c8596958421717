"""What babel makes of a quote before another character: `"a` is ä in German, and `"-` may be parted."""

import re
from collections.abc import Mapping

_COMMON = {"-": "", "=": "-", "|": "", "/": "/"}
_GERMAN = _COMMON | {
    "a": "ä", "o": "ö", "u": "ü", "e": "ë", "i": "ï", "A": "Ä", "O": "Ö", "U": "Ü", "E": "Ë", "I": "Ï",
    "s": "ß", "z": "ß", "S": "SS", "Z": "SZ", "`": "„", "'": "“", "<": "«", ">": "»",
    '"': "", "ck": "ck", "ff": "ff", "ll": "ll", "mm": "mm", "nn": "nn", "pp": "pp", "rr": "rr", "tt": "tt",
}  # fmt: skip
_DUTCH = _COMMON | {
    "a": "ä", "o": "ö", "u": "ü", "e": "ë", "i": "ï", "A": "Ä", "O": "Ö", "U": "Ü", "E": "Ë", "I": "Ï",
    "y": "ĳ", "Y": "Ĳ", "`": "„", "'": "”",
}  # fmt: skip
_CYRILLIC = _COMMON | {"---": "—", "--*": "—", "--~": "—", "`": "„", "'": "“", "<": "«", ">": "»"}
_QUOTED = {"de": _GERMAN, "nl": _DUTCH, "ru": _CYRILLIC, "uk": _CYRILLIC}
_PATTERNS = {
    language: re.compile('"(' + "|".join(map(re.escape, sorted(table, key=len, reverse=True))) + '|")')
    for language, table in _QUOTED.items()
}


class Shorthands:
    """The shorthands of a language: `typed` puts what they stand for in their places."""

    def __init__(self, language: str):
        self._pattern = _PATTERNS.get(language)
        self._table: Mapping[str, str] = _QUOTED.get(language, {})
        self.on = self._pattern is not None

    def typed(self, text: str) -> str:
        """Return a text with its shorthands replaced."""
        if not self.on or '"' not in text or self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._table.get(found[1], ""), text)
