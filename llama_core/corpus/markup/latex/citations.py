"""What citations print, after the labels of the bibliography: `[3]`, or authors and year."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from llama_core.corpus.markup.latex.commands import words
from llama_core.corpus.markup.latex.expansion.lexer import tokens
from llama_core.corpus.markup.latex.files import uncommented

# What begins an entry. A paper's own names for \bibitem take the place of `%s`.
_ITEM = r"\\(?:bibitem|harvarditem%s)\s*(?=[\[{])|\\entry(?=\{)"
# A paper's own name for \bibitem.
_ALIAS = re.compile(
    r"\\(?:newcommand|renewcommand|[gx]?def|let|nc|newc)\s*+\{?\s*+\\([A-Za-z]{1,20})\s*+\}?\s*+(?:\[1\]|#1)?"
    r"\s*+=?\s*+\{?\s*+\\bibitem(?![A-Za-z])"
)
_MAX_ALIASES = 20
_KEY = re.compile(r"\s*\{([^{}#\\]{1,200})\}")
# The authors and the year of a label: `Smith et al.(1999)`.
_AUTHOR_YEAR = re.compile(
    r"\s*(?P<authors>[^()]{1,200}?)\s*\((?P<year>[^()]{0,20}\d[^()]{0,20}|[A-Za-z][^()\\]{0,30}|[?\s]*)\)"
)
# Commands in a label whose last two arguments are the authors and the year.
_GROUPS = re.compile(r"(?:\\protect\s*)?\\(?:citeauthoryear|astroncite|citename|showciteauthoryear)\s*")
# The authors, the name of each and the year in an entry of biblatex.
_AUTHORS_OF_ENTRY = re.compile(r"\\name\{(?:author|editor)\}(.*?)(?:\\strng|\\field|\\list|\Z)", re.DOTALL)
_FAMILY = re.compile(r"\bfamily=\{((?:[^{}]|\{[^{}]*\}){1,100})\}")
_TITLE_OF_ENTRY = re.compile(r"\\field\{title\}\{((?:[^{}]|\{[^{}]*\}){1,300})\}")
_YEAR_OF_ENTRY = re.compile(r"\\field\{(?:label)?year\}\{([^{}]{1,20})\}")
# What tells that citations are numbers, even where labels have authors and years.
_NUMERIC = re.compile(
    r"\\(?:usepackage|RequirePackage)[ ]?\[[^]]{0,100}\b(?:numbers|super)\b[^]]{0,100}\]\s?\{natbib\}"
    r"|\\(?:biboptions|PassOptionsToPackage)\{[^}]{0,100}\b(?:numbers|super)\b"
    r"|\\setcitestyle\{[^}]{0,100}\b(?:numbers|super)\b"
    r"|\\bibpunct(?:\[[^]]{0,20}\])?\{[^}]{0,20}\}\{[^}]{0,20}\}\{[^}]{0,20}\}\{[ns]\}"
    r"|\\documentclass[ ]?(?:\[[^]]{0,400}\])?\{revtex"
    r"|\\usepackage[ ]?(?:\[(?![^]]{0,400}style\s*=\s*\{?(?:authoryear|apa|chicago|mla|authortitle))"
    r"[^]]{0,400}\])?\s?\{biblatex\}"
)
# Brackets balanced to the depth that labels have: what is broken or deeper does not match.
_INNER = r"\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\}"
_OPTION = re.compile(rf"\s*\[((?:[^][{{}}]++|{_INNER})*+)\]")
_GROUP = re.compile(rf"\s*\{{((?:[^{{}}]++|{_INNER})*+)\}}")

# Commands that print `Smith (1999)`.
_TEXTUAL = words(
    r"\citet \Citet \textcite \Textcite \citeasnoun \citeN \shortciteN \newcite \possessivecite \citetalias"
)
_BARE = words("\\citealt \\citealp \\citeNP \\Citealt \\Citealp")  # no brackets
_AUTHORS = words("\\citeauthor \\Citeauthor \\citefullauthor \\citeA \\citeANP")  # no year
_NUMBERS = words("\\citenum \\onlinecite")  # no brackets and no authors
_YEAR = words("\\citeyear \\citeyearpar \\citeyearNP \\citedate")  # no authors
# A style that makes \\cite what \\citep is.
_CITE_IN_BRACKETS = re.compile(r"\\cite\s*\}?\s*(?:\[1\]|#1)?\s*=?\s*\{?\s*\\citep(?![A-Za-z])")


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a bibliography: the number, and the authors and the year if its label has them."""

    number: str
    authors: str = ""
    year: str = ""
    title: str = ""


class Citations:
    """The entries of a paper's bibliography by key. If it has none, keys are numbered as they are cited."""

    def __init__(self, files: Mapping[str, str], main: str):
        self._entries: dict[str, _Entry] = {}
        self.aliases: dict[str, list[str]] = {}  # what \\defcitealias says that a key prints
        self._by_number = _NUMERIC.search(files[main]) is not None
        self.is_textual = not self._by_number and not any(
            _CITE_IN_BRACKETS.search(text) for text in files.values()
        )
        texts = [uncommented(text) for text in _bibliographies(files, main)]
        aliases = {name for text in (*texts, files[main]) for name in _ALIAS.findall(text)}
        item = re.compile(_ITEM % "".join(f"|{name}" for name in sorted(aliases)[:_MAX_ALIASES]))
        for text in texts:
            self._learn(text, item)
        self.is_known = bool(self._entries)

    def tokens(self, command: str, keys: str, before: list[str], after: list[str]) -> list[str] | None:
        """Return the TeX that a citation prints, as tokens; None if the bibliography has none of its keys.

        `command`: with its backslash. `keys`: separated by commas. `before`, `after`: tokens of its notes.
        """
        if "alias" in command and (alias := self.aliases.get(keys)) is not None:
            return ["(", *alias, ")"] if command == "\\citepalias" else alias
        entries = [e for key in keys.split(",") if (e := self._entry(key.strip()))]
        if not entries:
            return None
        named = all(e.authors for e in entries)
        tail = [", ", *after] if after else []
        head = [*before, " "] if before else []
        if "title" in command:
            return tokens(", ".join(e.title for e in entries)) if all(e.title for e in entries) else None
        if command in _NUMBERS:
            return tokens(", ".join(e.number for e in entries))
        if command in _YEAR and named:
            years = ", ".join(e.year for e in entries if e.year)
            if not years:
                return None
            return tokens(f"({years})" if command == "\\citeyearpar" else years)
        if named and (command in _AUTHORS or not self._by_number):
            if command in _AUTHORS:
                return tokens(" and ".join(e.authors for e in entries))
            if command in _TEXTUAL:
                last = entries.pop()
                first = "".join(f"{e.authors} ({e.year}), " if e.year else f"{e.authors}, " for e in entries)
                if not last.year:
                    return [*head, *tokens(f"{first}{last.authors}"), *([" (", *after, ")"] if after else [])]
                return [*head, *tokens(f"{first}{last.authors} ({last.year}"), *tail, ")"]
            named_all = "; ".join(f"{e.authors}, {e.year}" if e.year else e.authors for e in entries)
            inner = [*head, *tokens(named_all), *tail]
            return inner if command in _BARE else ["(", *inner, ")"]
        numbers = ", ".join(e.number for e in entries)
        authors = (
            tokens(entries[0].authors + " ") if command in _TEXTUAL and len(entries) == 1 and named else []
        )
        return [*authors, "[", *head, *tokens(numbers), *tail, "]"]

    def _entry(self, key: str) -> _Entry | None:
        if key and not self.is_known and key not in self._entries:
            self._entries[key] = _Entry(key if key.isdecimal() else str(len(self._entries) + 1))
        return self._entries.get(key)

    def _learn(self, text: str, items: re.Pattern[str]) -> None:
        for item in items.finditer(text):
            label, at = _take(_OPTION, text, item.end())
            groups: list[str] = []
            if item[0].startswith("\\harvarditem"):
                for _ in range(2):
                    group, at = _take(_GROUP, text, at)
                    groups.append(group)
            key = _KEY.match(text, at)
            if key and (name := key[1].strip()) not in self._entries:
                authors, year = groups if groups else _author_year(label)
                title = ""
                if item[0] == "\\entry":
                    authors, year, title = _of_biblatex(text[at : text.find("\\endentry", at)])
                short = label if groups and label else authors
                number = label if label and not authors and "\\" not in label else str(len(self._entries) + 1)
                self._entries[name] = _Entry(number, short.strip(), year.strip(), title)


def _of_biblatex(entry: str) -> tuple[str, str, str]:
    """Return authors, year and title of an entry in the .bbl of biblatex."""
    said, year = _AUTHORS_OF_ENTRY.search(entry), _YEAR_OF_ENTRY.search(entry)
    title = _TITLE_OF_ENTRY.search(entry)
    names = _FAMILY.findall(said[1])[:3] if said else []
    authors = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return authors, year[1] if year else "", title[1] if title else ""


def _bibliographies(files: Mapping[str, str], main: str) -> list[str]:
    """Return the text of the paper's own .bbl, or else of all files with entries."""
    own = files.get(main.rpartition(".")[0] + ".bbl")
    return (
        [own] if own else [text for text in files.values() if "\\bibitem" in text or "\\harvarditem" in text]
    )


def _author_year(label: str) -> tuple[str, str]:
    """Return authors and year of a label as natbib and its forerunners write it; both empty for any other."""
    label = " ".join(label.split())
    if (whole := _GROUP.fullmatch(label)) is not None:
        label = whole[1]
    if marked := _GROUPS.match(label):
        groups: list[str] = []
        at = marked.end()
        while (group := _GROUP.match(label, at)) is not None:
            groups.append(group[1])
            at = group.end()
        groups = groups if len(groups) > 1 else [*groups, label[at:]]
        return (groups[-2].strip(" ,"), groups[-1]) if len(groups) > 1 else ("", "")
    found = _AUTHOR_YEAR.match(label)
    if found is None or _depth(found["authors"]) or "\\citenamefont" in label:
        return "", ""
    return found["authors"], found["year"].strip("? ")


def _depth(text: str) -> int:
    return text.count("{") - text.count("}")


def _take(pattern: re.Pattern[str], text: str, at: int) -> tuple[str, int]:
    """Return what is in the brackets at a place, and the place after them; nothing if there are none."""
    found = pattern.match(text, at)
    return (found[1], found.end()) if found else ("", at)
