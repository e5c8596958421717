"""Open-source Python packages as they are installed here: their code, or their prose.

A package is known by its name, its version and the hashes in its RECORD, so what else is installed
beside it changes nothing. Only packages whose metadata states a permissive licence are read.
"""

import base64
import csv
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_string
from importlib import metadata
from pathlib import Path, PurePosixPath

from llama_core.artifact import digest_of
from llama_core.corpus.code.docstrings import split_docstrings
from llama_core.corpus.code.licenses import permissive_license
from llama_core.corpus.document import Document, Dropped, Outcome, Quarantined, document_id
from llama_core.corpus.markup.newlines import code_with_newlines, with_newlines
from llama_core.corpus.recipe import Packages, canonical
from llama_core.corpus.sources import rules
from llama_core.corpus.sources.raw import ANEW, Raw
from llama_core.errors import InputError
from llama_core.file_system import check_regular

PROSE = (".md", ".rst", ".txt")
_LISTS = re.compile(
    r"(licen[sc]e|copying|notice|authors|contributors|top_level|entry_points|sources|requirements|robots"
    r"|dependency_links|cmakelists|thirdparty|third_party|vendor)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class File:
    """A file of a package, as a line of its RECORD has it."""

    path: str
    sha256: str
    """In base64 without padding; empty where RECORD states none."""
    size: str


class Package:
    """An installed package. Raises InputError where it is missing, or its licence is not permissive."""

    def __init__(self, name: str, key: str):
        try:
            self._distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise InputError(
                f"{key}: {name!r} is not installed here: install it (pip install {name}), "
                "or take it off the list"
            ) from None
        self.name = canonical(name)
        self.version = self._distribution.version
        license = permissive_license(self._distribution.metadata)  # type: ignore[arg-type]
        if license is None:
            raise InputError(
                f"{key}: the metadata of {name} {self.version} does not state a permissive licence: "
                "take it off the list"
            )
        self.license = license
        record = self._distribution.read_text("RECORD")
        if record is None:
            raise InputError(
                f"{key}: {name} {self.version} has no RECORD of its files: install it again with pip, "
                "or take it off the list"
            )
        self.files = {f.path: f for f in _parse_record(record) if _is_input(f.path)}
        if not any(path.endswith(".py") for path in self.files):
            raise InputError(
                f"{key}: the RECORD of {name} {self.version} lists no source files (it may be installed "
                "in editable mode): take it off the list"
            )

    @property
    def digest(self) -> str:
        """What the package is known by: its name, its version and the hashes of the files that count."""
        lines = sorted([f.path, f.sha256, f.size] for f in self.files.values())
        return digest_of([self.name, self.version, lines])

    def read(self, file: File) -> bytes:
        """Return the bytes of a file. Raises InputError where they are not those that RECORD names."""
        try:
            path = Path(str(self._distribution.locate_file(file.path)))
            check_regular(path)
            data = path.read_bytes()
        except OSError as error:
            raise InputError(self._changed(file, "cannot be read")) from error
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        if file.sha256 and digest != file.sha256:
            raise InputError(self._changed(file, "differs from its RECORD"))
        return data

    def _changed(self, file: File, how: str) -> str:
        what = f"{self.name}=={self.version}"
        return f"{file.path} of {what} {how}: run `pip install --force-reinstall {what}`"

    def forbidden(self) -> set[str]:
        """Return the paths of vendored packages whose own metadata does not state a permissive licence."""
        paths: set[str] = set()
        for path, file in self.files.items():
            folder, _, name = path.rpartition("/")
            if name != "METADATA" or "/" not in folder:
                continue
            if permissive_license(message_from_string(self.read(file).decode("utf-8", "replace"))):
                continue
            root = folder.rsplit("/", 1)[0]
            if record := self.files.get(f"{folder}/RECORD"):
                listed = _parse_record(self.read(record).decode("utf-8", "replace"))
                paths |= {f"{root}/{f.path}" for f in listed}
            else:
                paths |= {p for p in self.files if p.startswith(f"{root}/")}
        return paths


def raw_files(source: Packages, key: str) -> list[Raw]:
    """Return the packages of a source. The documents of each are a group, which is held out as a whole.

    Raises InputError where one is missing, or its licence is not permissive.
    """
    return [_raw_file(Package(name, f"{key}.packages")) for name in source.packages]


def _raw_file(package: Package) -> Raw:
    url = f"pypi:{package.name}=={package.version}"
    facts = {"group": package.name, "version": package.version, "license": package.license}
    return Raw(package.name, url, package.digest, facts=facts)


def read(source_name: str, source: Packages, raw: Raw) -> Iterator[Outcome]:
    """Yield an outcome for each source file (`part: code`), or source and documentation file (`part: docs`).

    Raises InputError where the package or one of its files has changed.
    """
    package = Package(raw.name, f"corpus.sources.{source_name}.packages")
    if package.digest != raw.digest:
        raise InputError(
            f"{raw.name} of source {source_name} has changed since this run planned it: run again {ANEW}"
        )
    forbidden = package.forbidden()
    for _, file in sorted(package.files.items()):
        if not _is_record(file.path, source.part):
            continue
        data = package.read(file)
        if len(data) > source.max_record_bytes:
            yield Quarantined(file.path, 0, "too_long")
            continue
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            yield Quarantined(file.path, error.start, "invalid_utf8")
            continue
        if error_name := rules.text_error(text):
            yield Quarantined(file.path, 0, error_name)
            continue
        text = code_with_newlines(text)
        if file.path in forbidden or (file.path.endswith(".py") and rules.is_copyleft(text)):
            yield Dropped("license")
            continue
        found = _code(text, source) if source.part == "code" else _prose(file.path, text, source)
        if isinstance(found, Dropped):
            yield found
            continue
        url = f"pypi:{package.name}=={package.version}/{file.path}"
        yield Document(
            id=document_id(source_name, url),
            text=found,
            source=source_name,
            url=url,
            license=package.license,
            language="python" if source.part == "code" else "en",
            date="",
            meta=json.dumps({"package": package.name, "version": package.version, "path": file.path}),
        )


def _code(text: str, source: Packages) -> str | Dropped:
    code, _ = split_docstrings(text, "")
    code = rules.strip_license_header(code).strip("\n") + "\n"
    reason = rules.text_reason(code, source.min_chars) or rules.code_reason(
        code,
        max_line=source.max_line,
        max_mean_line=source.max_mean_line,
        min_alphanumeric=source.min_alphanumeric,
    )
    return Dropped(reason) if reason else code


def _prose(path: str, text: str, source: Packages) -> str | Dropped:
    if path.endswith(".py"):
        _, docs = split_docstrings(text, _module(path))
        if not docs:
            return Dropped("no_prose")
        prose = "\n\n".join(f"{name}\n\n{doc}" for name, doc in docs)
    elif path.endswith("METADATA"):
        message = message_from_string(text)
        prose = rules.strip_decoration(str(message.get_payload()) or message.get("Description", ""))
    elif ".dist-info/" in path or _LISTS.match(PurePosixPath(path).name):
        return Dropped("not_prose")
    else:
        prose = rules.strip_decoration(text)
    prose = with_newlines(prose)
    reason = rules.text_reason(prose, source.min_chars) or rules.prose_reason(prose)
    return Dropped(reason) if reason else prose.strip("\n") + "\n"


def _is_record(path: str, part: str) -> bool:
    """Tell whether a file is one of the raw records of a part."""
    if path.endswith(".py"):
        return True
    is_readme = path.endswith("/METADATA") and path.count("/") == 1
    return part == "docs" and (path.endswith(PROSE) or is_readme)


def _module(path: str) -> str:
    """Return the module that a file is: `a/b/__init__.py` is `a.b`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _parse_record(record: str) -> list[File]:
    rows = (row for row in csv.reader(record.splitlines()) if len(row) == 3)
    return [File(path, digest.removeprefix("sha256="), size) for path, digest, size in rows]


def _is_input(path: str) -> bool:
    """Tell whether a file of a package may be read, or decides which others are."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "__pycache__" in parts:
        return False
    vendored_record = parts[-1] == "RECORD" and len(parts) > 2
    return path.endswith((".py", *PROSE)) or parts[-1] == "METADATA" or vendored_record
