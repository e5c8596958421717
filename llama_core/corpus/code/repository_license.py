"""The licence of a project, folder by folder: by the text of its LICENSE or COPYING files, else its metadata.

A folder that states a licence states it for all below it, until a folder in there states another. Where a
folder has several licence files, all of them hold. A text that is not recognised is a licence that is not
known, and not a reason to look further up.
"""

import json
import posixpath
import re
import tomllib
from email import message_from_string
from typing import Any

from llama_core.corpus.code.licenses import license_of_text, permissive_license, spdx

UNKNOWN = "LicenseRef-unknown"

_TEXTS = re.compile(
    r"(?:un|mit[-_.]|apache[-_.]|bsd[-_.])?(?:licen[sc]es?|copying)(?:[-_.][\w.+-]*)?", re.IGNORECASE
)
_NOT_THE_PROJECT = re.compile(
    r"third|3rd|vendor|bundled|depend|notice|header|template|\.(?:py|js|ts|go|java|rb|rs|c|h)$", re.IGNORECASE
)
_MAX_DOTS = 500  # in a line of TOML: `tomllib` takes time with the square of the number of a key's parts
_METADATA = (
    "package.json",
    "composer.json",
    "cargo.toml",
    "pyproject.toml",
    "setup.cfg",
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
        text = data.decode("utf-8", "replace")
        if _is_text(path):
            if posixpath.basename(folder).lower() in ("licenses", "license"):
                folder = posixpath.dirname(folder)
            found = license_of_text(text) or UNKNOWN
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
    """Tell whether a file holds the text of the project's licence, by its name."""
    folder, name = posixpath.split(path)
    if posixpath.basename(folder).lower() in ("licenses", "license"):
        return name.lower().endswith(".txt") and not _NOT_THE_PROJECT.search(name)
    return _TEXTS.fullmatch(name) is not None and not _NOT_THE_PROJECT.search(name)


def _of_metadata(name: str, text: str) -> str:
    """Return the licence that a file of metadata states: an SPDX expression, `UNKNOWN`, or nothing."""
    try:
        if name.endswith(".json"):
            stated = json.loads(text)
        elif name.endswith(".toml"):
            if any(line.count(".") > _MAX_DOTS for line in text.split("\n")):
                return ""
            stated = tomllib.loads(text)
            stated = stated.get("project") or stated.get("package") or stated.get("tool", {}).get("poetry")
        elif name == "setup.cfg":
            found = re.search(r"^license\s*=\s*(.+)$", text, re.MULTILINE | re.IGNORECASE)
            stated = {"license": found[1]} if found else None
        else:
            return permissive_license(message_from_string(text)) or UNKNOWN
    except (ValueError, RecursionError, AttributeError):
        return ""
    return _stated(stated.get("license")) if isinstance(stated, dict) else ""


def _stated(license: Any) -> str:
    """Return the licence that the field of a file of metadata states, by name or as a whole text."""
    if isinstance(license, dict):
        license = license.get("type") or license.get("text")
    if not isinstance(license, str) or not license.strip():
        return ""
    name = license.strip()[: 1 << 16]
    if len(name) > 200:
        return license_of_text(name) or UNKNOWN
    if "/" in name and " " not in name:  # `MIT/Apache-2.0`, as Cargo had it
        return " OR ".join(map(spdx, name.split("/")))
    return spdx(name)
