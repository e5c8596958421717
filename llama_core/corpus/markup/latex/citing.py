"""Citations and references: what the commands of natbib, biblatex, hyperref and cleveref print.

This is the layer of the renderer over `plain`. Commands that are not known cite or
refer if their names say so.
"""

import re
from collections.abc import Mapping

from llama_core.corpus.markup.latex import commands
from llama_core.corpus.markup.latex.citations import Citations
from llama_core.corpus.markup.latex.plain import PlainTex
from llama_core.corpus.markup.latex.text import citation, reference

_CITES = re.compile(r"\\(?!set|citelist)[A-Za-z]*[cC]ite[A-Za-z]*")
_REFERS = re.compile(r"\\(?!href|xref)[A-Za-z]+ref(?:range)?")
_MAX_CITED = 100  # groups of one command
# The kind of number that a command refers to, where it is not with its name: `Section 2`.
_KINDS = {"\\ref": "", "\\eqref": "eq", "\\subref": "", "\\labelcref": ""}
# Nothing is found under the kind `page`: references to pages are left out.
_NAMED = {"page": "page", "name": "name"}


class Citing(PlainTex):
    """The layer for citations and references."""

    def __init__(self, files: Mapping[str, str], main: str, is_careful: bool = False):
        super().__init__(files, main, is_careful)
        self._citations = Citations(files, main)

    def _refers(self, name: str) -> bool:
        """Obey a command if it cites or refers to something, and tell whether it does."""
        is_known = name in commands.CITATIONS or name in commands.REFERENCES
        if not is_known and self._tokens.peek()[:1] not in ("{", "[", "*"):
            return False
        if name in commands.CITATIONS or _CITES.fullmatch(name):
            self._cite(name)
        elif name in commands.REFERENCES or _REFERS.fullmatch(name):
            self._refer(name)
        else:
            return False
        return True

    def _cite(self, name: str) -> None:
        tokens = self._tokens
        if name == "\\defcitealias":
            key = tokens.word()
            self._citations.aliases[key] = tokens.argument()
            return
        if self._plain and not self._citations.is_known:  # AMS-TeX's prints its argument
            tokens.put_back(["[", *tokens.argument(), "]"])
            return
        several = name.endswith("cites")
        if several:
            self._eat("pp")
        for _ in range(_MAX_CITED if several else 1):
            starred = tokens.star()
            tokens.option("<", ">")
            first, second = tokens.option(), None
            if first is not None:
                second = tokens.option()
            # A single note stands after the citation.
            before, after = (first, second) if second is not None else (None, first)
            keys = tokens.word()
            if after is None and tokens.peek() == "*":  # amsrefs' `\\cite{key}*{note}`
                tokens.raw()
                after = tokens.argument()
            command = self._form(name.removesuffix("s") if several else name, starred, first is not None)
            printed = self._citations.tokens(command, keys, _note(before), _note(after))
            if printed is None:
                self._out.write(citation())
            elif several:
                self._out.write(" " if self._out.last() not in " (" else "")
                self._write_all(printed)
            else:
                tokens.put_back(printed)
            if tokens.peek()[:1] not in ("{", "["):
                return

    def _form(self, command: str, starred: bool, noted: bool) -> str:
        """Return the command that prints the same, where it is the package that says what \\cite prints."""
        packages = self._tokens.packages
        if command in ("\\cite", "\\parencite") and "biblatex" in packages:
            forms = ("\\citealp", "\\citeyear") if command == "\\cite" else (command, "\\citeyearpar")
            return forms[starred]
        if command == "\\citeA" and "apacite" in packages:
            return "\\citet"
        is_textual = command == "\\cite" and not noted and "natbib" in packages
        return "\\citet" if is_textual and self._citations.is_textual else command

    def _write_all(self, tokens: list[str]) -> None:
        """Write tokens of a citation now, because more groups of it follow."""
        self._out.write("".join(t if t[0] not in "\\{}~" else " " if t == "~" else "" for t in tokens))

    def _refer(self, name: str) -> None:
        self._tokens.star()
        self._tokens.option()
        said = next((kind for part, kind in _NAMED.items() if part in name.lower()), None)
        kind = said if said is not None else _KINDS.get(name, "auto")
        self._out.write(reference(self._tokens.word(), kind))
        if name.endswith("range"):
            self._out.write("–")
            self._out.write(reference(self._tokens.word(), "" if kind == "auto" else kind))


def _note(option: list[str] | None) -> list[str]:
    """Return the note of a citation, or nothing if it has no words."""
    return option if option and any(t.strip(" {}~\n") for t in option) else []
