"""The licence of a project, folder by folder: by the text of its LICENSE or COPYING files, else its metadata.

A folder that states a licence states it for all below it, until a folder in there states another. Where a
folder has several licence files, all of them hold. A text that is not recognised is a licence that is not
known, and not a reason to look further up; one that is a licence's name, or only says where the texts are or
that one may choose between them, is taken as that.
"""

import html
import json
import posixpath
import re
import tomllib
from email import message_from_string
from email.message import Message
from typing import Any

from llama_core.corpus.code.licenses import license_of_text, meets, permissive_license, spdx

UNKNOWN = "LicenseRef-unknown"

_TEXTS = re.compile(
    r"(?:un|mit[-_.]|apache[-_.]|bsd[-_.])?(?:licen[sc]es?|copying)(?:[-_.][\w.+-]*)?", re.IGNORECASE
)
_NOT_THE_PROJECT = re.compile(
    r"third|3rd|vendor|bundled|depend|notice|header|template|\.(?:py|js|ts|go|java|rb|rs|c|h)$", re.IGNORECASE
)
_CLASSIFIER = re.compile(r"^[ \t]*(License :: .+)$", re.MULTILINE)
_MAX_CHOICES, _MAX_LISTED = 20, 20_000  # licences in a list, and its characters
_MAX_DOTS = 500  # in a line of TOML: `tomllib` takes time with the square of the number of a key's parts
_LICENSE_FOLDERS = ("licenses", "licences", "license", "licence")
# Texts that are of other things, too: they count where they are a licence.
_MAY_BE_TEXTS = re.compile(
    r"(?:copyright|(?:mit|apache|bsd)(?:[-_.]?\d\S*)?)(?:\.(?:txt|md))?", re.IGNORECASE
)
# A text that only says that one may choose between licences, which other files hold.
_CHOICE = re.compile(
    r"\bdual[- ]?licen[sc]ed\b|\beither\W{1,4}(?:of|licen[sc]e)\b|\bat your (?:option|choice)\b",
    re.IGNORECASE,
)
_CHOSEN = re.compile(r"\b(?:mit|apache2?|bsd|isc|unlicense|zlib)\b", re.IGNORECASE)
_NO_CHOICE = re.compile(
    r"\b(?:[al]?gpl\w*|gnu|commercial\w*|proprietary|not|only|except|must|shall|unless|research|evaluation)\b",
    re.IGNORECASE,
)
_CHOICE_CHARS = 1000
# The words of a text that names other files, as a link that was copied as text does.
_POINTER = re.compile(r"see|and|or|the|files?|[\w./-]*(?:licen[sc]es?|copying)[\w.-]*", re.IGNORECASE)
# A text that is a name alone, beside a copyright line: `[MIT](https://...) © A. Person`.
_SHORT_CHARS = 200
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)|https?://\S+")
_UNDER = r"(?:(?:is )?(?:licen[sc]ed|released|distributed) under (?:the terms of )?)"
_COPYRIGHT = re.compile(rf"(?:©|\(c\)|\bcopyright\b)(?:(?!\b{_UNDER}).)*", re.IGNORECASE)
_NAMED = re.compile(
    rf"(?:{_UNDER}|SPDX-License-Identifier: ?)?(?P<name>[\w .,-]{{2,60}}?)[.:]?", re.IGNORECASE
)
# A text that is only the year and the holder for a licence that metadata names, as R's packages have.
_HOLDER = re.compile(r"(?:\s*(?:YEAR|COPYRIGHT HOLDER|ORGANIZATION):[^\n]{0,200})+\s*")
_FIELD_OF_R = re.compile(r"^License:[ \t]*([^\n]+)", re.MULTILINE)
_FILE_OF_R, _VERSION_OF_R = re.compile(r"\s*[+|]\s*file LICEN[SC]E"), re.compile(r"\([>=]= ?([\d.]+)\)")
_KNOWN_BY_NAME = ("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_POM_NAME = re.compile(r"<name>(.{0,200}?)</name>", re.DOTALL)
_METADATA = (
    "package.json",
    "composer.json",
    "cargo.toml",
    "pyproject.toml",
    "setup.cfg",
    "pom.xml",
    "description",
    "pkg-info",
    "metadata",
)


class Licenses:
    """The licences that the folders of one archive or checkout state.

    `overflow`: more than `MAX_FOLDERS` state one, and the rest were not taken account of.
    """

    MAX_BYTES = 1 << 20  # a file that states a licence is no longer
    MAX_FOLDERS = 100_000

    def __init__(self) -> None:
        self._by_text: dict[str, str] = {}
        self._by_metadata: dict[str, str] = {}
        self.overflow = False

    def is_wanted(self, path: str) -> bool:
        """Tell by its path whether a file may state a licence."""
        return _is_text(path) or posixpath.basename(path).lower() in _METADATA

    def add(self, path: str, data: bytes) -> None:
        """Take account of a file if it may state a licence."""
        if not self.is_wanted(path):
            return
        if len(self._by_text) + len(self._by_metadata) >= self.MAX_FOLDERS:
            self.overflow = True
            return
        folder, name = posixpath.split(path)
        text = data.decode("utf-16" if data[:2] in _UTF16 else "utf-8-sig", "replace")
        if _is_text(path):
            if posixpath.basename(folder).lower() in _LICENSE_FOLDERS:
                folder = posixpath.dirname(folder)
            found = license_of_text(text) or _name_in(text)
            if not found and (_MAY_BE_TEXTS.fullmatch(name) or _is_choice(text) or _is_pointer(text)):
                return
            found = found or UNKNOWN
            names = {*self._by_text.get(folder, found).split(" AND "), *found.split(" AND ")}
            self._by_text[folder] = " AND ".join(sorted(names))
        elif found := _of_metadata(name.lower(), text):
            self._by_metadata[folder] = found

    def of(self, path: str) -> str:
        """Return the licence that holds for a file, once all files are added; empty if none is stated."""
        while (folder := posixpath.dirname(path)) != path:  # the top is its own parent
            if found := self._by_text.get(folder) or self._by_metadata.get(folder):
                return found
            path = folder
        return ""


def _is_text(path: str) -> bool:
    """Tell whether a file may hold the text of the project's licence, by its name."""
    folder, name = posixpath.split(path)
    if _NOT_THE_PROJECT.search(name):
        return False
    if posixpath.basename(folder).lower() in _LICENSE_FOLDERS:
        return posixpath.splitext(name)[1].lower() in ("", ".txt", ".md")
    return (_TEXTS.fullmatch(name) or _MAY_BE_TEXTS.fullmatch(name)) is not None


def _name_in(text: str) -> str | None:
    """Return the licence that a text of one line and no terms names, if it is one that is known by name."""
    if len(text) > _SHORT_CHARS or _NO_CHOICE.search(text):
        return None
    words = " ".join(_COPYRIGHT.sub("", _LINK.sub(r"\1", text)).strip("#*_> \n\r\t\ufeff").split())
    stated = _NAMED.fullmatch(words)
    name = spdx(stated["name"]) if stated else ""
    return name if name in _KNOWN_BY_NAME else None


def _is_pointer(text: str) -> bool:
    """Tell whether a text is empty, or only names the files that are to be read, or a holder of rights."""
    if _HOLDER.fullmatch(text):
        return True
    if len(text) > _SHORT_CHARS or _NO_CHOICE.search(text):
        return False
    return all(_POINTER.fullmatch(word) for word in re.split(r"[\s,:]+", text.strip(" .\n\r\t")) if word)


def _is_choice(text: str) -> bool:
    """Tell whether a text is no licence, but says that one may choose between free ones."""
    if len(text) > _CHOICE_CHARS or _NO_CHOICE.search(text):
        return False
    return _CHOICE.search(text) is not None and _CHOSEN.search(text) is not None


def _of_metadata(name: str, text: str) -> str:
    """Return the licence that a file of metadata states: an SPDX expression, `UNKNOWN`, or nothing."""
    try:
        if name.endswith(".json"):
            stated = json.loads(text)
            return _stated(stated.get("license") or stated.get("licenses"))
        if name.endswith(".toml"):
            return _of_toml(text)
        if name == "pom.xml":
            listed = text.partition("<licenses>")[2].partition("</licenses>")[0]
            return _stated([html.unescape(found) for found in _POM_NAME.findall(listed[:_MAX_LISTED])])
        if name == "description":
            found = _FIELD_OF_R.search(text)
            stated = _VERSION_OF_R.sub(r"\1", _FILE_OF_R.sub("", found[1])) if found else ""
            return _stated(stated.replace("_", "-"))
        if name == "setup.cfg":
            found = re.search(r"^license\s*[=:]\s*(.+)$", text, re.MULTILINE | re.IGNORECASE)
            return _stated(found[1]) if found else _of_classifiers(_CLASSIFIER.findall(text))
        return permissive_license(message_from_string(text)) or UNKNOWN
    except (ValueError, RecursionError, AttributeError):
        return ""


def _of_toml(text: str) -> str:
    if any(line.count(".") > _MAX_DOTS for line in text.split("\n")):
        return ""
    whole = tomllib.loads(text)
    tables = (
        whole.get("project"),
        whole.get("package"),
        whole.get("workspace", {}).get("package"),
        whole.get("tool", {}).get("poetry"),
    )
    for table in filter(None, tables):
        if found := _stated(table.get("license")) or _of_classifiers(table.get("classifiers")):
            return found
    return ""


def _of_classifiers(classifiers: Any) -> str:
    """Return the licence that Python's classifiers state, if any of them states one."""
    metadata = Message()
    for classifier in classifiers if isinstance(classifiers, list) else ():
        if isinstance(classifier, str) and classifier.startswith("License ::"):
            metadata["Classifier"] = classifier
    return (permissive_license(metadata) or UNKNOWN) if metadata else ""


def _stated(license: Any) -> str:
    """Return the licence that the field of a file of metadata states, by name or as a whole text.

    Of a list, whoever takes the project may choose.
    """
    if isinstance(license, list):
        names = [*filter(None, map(_stated, license[:_MAX_CHOICES]))]
        terms = [f"({name})" if meets(name, lambda _: True) else UNKNOWN for name in names]
        return " OR ".join(terms) if len(names) > 1 else "".join(names)
    if isinstance(license, dict):
        license = license.get("type") or license.get("text") or license.get("name")
    if not isinstance(license, str) or not license.strip():
        return ""
    name = license.strip()[: 1 << 16]
    if len(name) > 200:
        return license_of_text(name) or UNKNOWN
    if "/" in name and " " not in name:  # `MIT/Apache-2.0`, as Cargo had it
        return " OR ".join(map(spdx, name.split("/")))
    return spdx(name)
