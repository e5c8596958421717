"""The files of a paper: what a name in \\input stands for, and the language that they are in."""

import posixpath
import re
from collections.abc import Mapping

DOCUMENT = re.compile(r"\\begin\s*\{\s*document\s*\}")  # every paper in LaTeX has it, none in plain TeX
_COMMENT = re.compile(r"(?<!\\)%[^\n]*+")
_MAX_NAME = 500
_PREAMBLE_CHARS = 50_000  # how far into a file its language is looked for
_BABEL = re.compile(r"\\usepackage\s*\[([^]]{1,200})\]\s*\{babel\}")
_POLYGLOSSIA = re.compile(r"\\set(?:main|default)language\s*(?:\[[^]]{0,80}\])?\{(\w{1,20})\}")
# Babel without options of its own, which takes those of the class; and the packages that were before it.
_BABEL_OF_CLASS = re.compile(r"\\usepackage\s*\{(?:[\w, ]*,)?\s*babel\s*(?:,[\w, ]*)?\}")
_CLASS_OPTIONS = re.compile(r"\\documentclass\s*\[([^]]{1,400})\]")
_BEFORE_BABEL = re.compile(
    r"\\usepackage\s*\{(n?german)\}|\\documentstyle\s*\[(?:[^]]{0,200},)?\s*(n?german)\b[^]]{0,200}\]"
)
# The code of each language that babel or polyglossia loads by name; dialects are not told apart.
LANGUAGES = {
    "austrian": "de", "naustrian": "de", "swissgerman": "de", "nswissgerman": "de",
    "french": "fr", "francais": "fr", "frenchb": "fr", "german": "de", "ngerman": "de", "spanish": "es",
    "italian": "it", "portuguese": "pt", "portuges": "pt", "brazil": "pt", "brazilian": "pt", "russian": "ru",
    "ukrainian": "uk", "polish": "pl", "czech": "cs", "dutch": "nl", "english": "en", "american": "en",
    "british": "en", "USenglish": "en", "UKenglish": "en", "hungarian": "hu", "magyar": "hu",
}  # fmt: skip


def uncommented(text: str) -> str:
    """Return a TeX text without its comments."""
    return _COMMENT.sub("", text)


class BundleFiles(dict[str, str]):
    """The text of a bundle's files by path, and what a name in \\input stands for among them."""

    def __init__(self, files: Mapping[str, str]):
        super().__init__(files)
        self._by_name: dict[str, list[str]] = {}
        for path in files:
            self._by_name.setdefault(posixpath.basename(path).lower(), []).append(path)

    def find(self, name: str, *folders: str) -> str | None:
        """Return the path of the file that a name in \\input stands for; None if there is none.

        It is relative to the first of the folders that has it. Nothing outside of the bundle is reached. The
        file's own name alone, in any case of letters, is tried last: it counts if just one folder has it.
        """
        name = name.strip().strip('"').replace("\\", "/")
        if not name or len(name) > _MAX_NAME:
            return None
        for folder in (*folders, ""):
            path = posixpath.normpath(posixpath.join(folder, name))
            for candidate in (path + ".tex", path, path + ".ltx", path + ".latex"):
                if candidate in self:
                    return candidate
        wanted = posixpath.basename(posixpath.normpath(name)).lower()
        for candidate in (wanted + ".tex", wanted):
            alike = self._by_name.get(candidate, ())
            if len(alike) == 1:
                return alike[0]
        return None


def _of_class(code: str) -> list[str]:
    """Return the options of the class, where a package takes them: babel, or one of those before babel."""
    if _BABEL_OF_CLASS.search(code):
        return _CLASS_OPTIONS.findall(code)
    return ["".join(found) for found in _BEFORE_BABEL.findall(code)]


def language_of(text: str) -> str:
    """Return the code of the last language that babel or polyglossia loads; `en` if there is none."""
    code = _COMMENT.sub("", text[:_PREAMBLE_CHARS])
    if found := _BABEL.findall(code) or _POLYGLOSSIA.findall(code) or _of_class(code):
        options = [option.strip().partition("=")[-1] or option.strip() for option in found[-1].split(",")]
        for option in reversed(options):
            if option in LANGUAGES:
                return LANGUAGES[option]
    return "en"


def shorthands_of(text: str) -> str:
    """Return the code of the language whose shorthands are read; polyglossia has none if it is not told."""
    code = _COMMENT.sub("", text[:_PREAMBLE_CHARS])
    return "" if _POLYGLOSSIA.search(code) and "babelshorthands" not in code else language_of(text)
