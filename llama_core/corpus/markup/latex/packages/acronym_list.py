"""The acronyms that a paper defines with glossaries, acronym or acro, and what each use of one prints.

They are learned from all files before the paper is read, as a list of acronyms may stand at its end.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from llama_core.corpus.markup.latex.files import uncommented

# Where an acronym is defined, and brackets balanced to the depth that definitions have.
_DEFINED = re.compile(
    r"\\(?P<command>newacronym|newabbreviation|newabbr|DeclareAcronym|acrodefplural|acroplural|acroindefinite|acrodef|acro"
    r"|newacro|newglossaryentry|longnewglossaryentry)(?![A-Za-z])\*?"
)
_INNER = r"\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\}"
_OPTION = re.compile(rf"\s*\[((?:[^][{{}}]++|{_INNER})*+)\]")
_GROUP = re.compile(rf"\s*\{{((?:[^{{}}]++|{_INNER})*+)\}}")
_MAY_DEFINE = re.compile("acro|gloss|newabbr|Acronym")
# Where it is said what the first use of an acronym prints.
_STYLE = re.compile(
    r"\\(setacronymstyle|setabbreviationstyle|acsetup)\s*(?:\[(\w+)\])?\s*\{(?:[^{}]*first-style\s*=\s*)?([\w-]+)"
)
_PACKAGE = {"setacronymstyle": "acronym", "acsetup": "acro"}
_MAX_ACRONYMS = 20_000


@dataclass(slots=True)
class _Acronym:
    """What an acronym or a term of a glossary prints, in TeX."""

    short: str
    long: str
    shorts: str = ""
    longs: str = ""
    first: str = ""
    firsts: str = ""
    symbol: str = ""
    style: str = "long-short"
    articles: tuple[str, str] = ("", "")  # of the short form and the long one
    is_term: bool = False  # of a glossary: it is printed as it is, also at first


@dataclass(slots=True)
class Acronyms:
    """The acronyms of a paper by key, and the keys of those that have been used."""

    known: dict[str, _Acronym] = field(default_factory=dict)
    styles: dict[str, str] = field(default_factory=dict)  # of what is printed first, by package
    used: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, files: Mapping[str, str]) -> "Acronyms":
        """Return the acronyms that the files of a paper define."""
        found = cls()
        said = [text for text in files.values() if _MAY_DEFINE.search(text)]
        codes = [uncommented(text) for text in said]
        for code in codes:
            for m in _STYLE.finditer(code):
                found.styles[_PACKAGE.get(m[1], m[2] or "abbreviation")] = m[3]
        for code in codes:
            for match in _DEFINED.finditer(code):
                if len(found.known) < _MAX_ACRONYMS:
                    found.learn(match["command"], code, match.end())
        return found

    def learn(self, command: str, text: str, at: int = 0, again: bool = True) -> None:
        """Learn the acronym that a command defines, whose operands are in a text from `at` on.

        `again`: it may be one that is known.
        """
        option, at = _take(_OPTION, text, at)
        key, at = _take(_GROUP, text, at)
        key = key.strip()
        if not key or "#" in key or (key in self.known and not again):
            return
        if command.startswith("DeclareAcronym") or command.endswith("glossaryentry"):
            settings = settings_of(_take(_GROUP, text, at)[0])
            short = settings.get("short") or settings.get("text") or settings.get("name") or key
            self.known[key] = _Acronym(
                short,
                settings.get("long") or settings.get("description", ""),
                _plural(settings, "short") or settings.get("plural", ""),
                _plural(settings, "long"),
                settings.get("first", ""),
                settings.get("firstplural", ""),
                settings.get("symbol", ""),
                self.styles.get("acro", ""),
                (settings.get("short-indefinite", ""), settings.get("long-indefinite", "")),
                is_term="long" not in settings,
            )
            return
        if command in ("acrodefplural", "acroplural"):
            shorts, at = _take(_OPTION, text, at)
            longs, at = _take(_GROUP, text, at)
            if key in self.known:
                self.known[key].shorts, self.known[key].longs = shorts or self.known[key].shorts, longs
            return
        if command == "acroindefinite":
            first, at = _take(_GROUP, text, at)
            if key in self.known:
                self.known[key].articles = (first, _take(_GROUP, text, at)[0])
            return
        if command in ("acrodef", "acro", "newacro"):
            short, at = _take(_OPTION, text, at)
            long, at = _take(_GROUP, text, at)
            if long:
                self.known[key] = _Acronym(short or key, long)
            return
        settings = settings_of(option)
        short, at = _take(_GROUP, text, at)
        long, at = _take(_GROUP, text, at)
        if short and long:
            self.known[key] = _Acronym(
                short,
                long,
                settings.get("shortplural", ""),
                settings.get("longplural", ""),
                style=self.styles.get("acronym" if command == "newacronym" else "abbreviation", ""),
            )

    def printed(self, key: str, form: str, plural: bool) -> str:
        """Return what a use prints, in TeX: `first` in full or short, or always `short`, `long` or `full`."""
        acronym = self.known.get(key)
        if acronym is None:
            return key
        if form == "first":
            form = "short" if key in self.used else "full"
            self.used.add(key)
        short, long = acronym.short, acronym.long
        if plural:
            short, long = acronym.shorts or f"{short}s", acronym.longs or f"{long}s"
        if form == "symbol":
            return acronym.symbol or short
        if acronym.is_term:
            first = acronym.firsts if plural else acronym.first
            return long if form == "long" else first or short if form == "full" else short
        return _full(acronym.style, short, long) if form == "full" else long if form == "long" else short

    def article(self, key: str, text: str) -> str:
        """Return the indefinite article before a use of an acronym, which prints `text`."""
        acronym = self.known.get(key)
        is_short = acronym is not None and text.startswith((acronym.short, "{"))
        said = acronym.articles[not is_short] if acronym else ""
        vowels = "AEFHILMNORSX" if text[:2].isupper() else "AEIOaeio"
        return said or ("an" if text[:1] and text[0] in vowels else "a")


def _full(style: str, short: str, long: str) -> str:
    """Return the first use of an acronym in a style, by its name: long with short where none is known."""
    if style.endswith("nolong") or style == "short":
        return short
    if style.endswith("noshort") or style in ("long", "dua"):
        return long
    if "footnote" in style:
        return f"{short}\\footnote{{{long}}}"
    return f"{short} ({long})" if style.startswith(("short", "sc-short", "sm-short")) else f"{long} ({short})"


def settings_of(text: str) -> dict[str, str]:
    """Return the values of `key = value, key = {value}` by key, without their braces."""
    parts: list[list[str]] = [[]]
    depth = 0
    for piece in re.findall(r"[^{},]+|[{},]", text):
        depth += (piece == "{") - (piece == "}")
        if piece == "," and depth <= 0:
            parts.append([])
        else:
            parts[-1].append(piece)
    found: dict[str, str] = {}
    for part in map("".join, parts):
        key, _, value = part.partition("=")
        whole = _GROUP.fullmatch(value.strip())
        found[key.strip()] = whole[1] if whole else value.strip()
    return found


def _plural(settings: Mapping[str, str], kind: str) -> str:
    whole = settings.get(f"{kind}-plural-form") or settings.get(f"{kind}plural")
    ending = settings.get(f"{kind}-plural")
    return whole or (settings.get(kind, "") + ending if ending is not None else "")


def _take(pattern: re.Pattern[str], text: str, at: int) -> tuple[str, int]:
    """Return what is in the brackets at a place, and the place after them; nothing if there are none."""
    found = pattern.match(text, at)
    return (found[1], found.end()) if found else ("", at)
