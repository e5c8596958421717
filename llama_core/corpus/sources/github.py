"""Source code of projects under permissive licences: one document a file.

A raw record is a row of an export, a member of an archive, or a file of a checkout. The licence of a file is
that of the nearest folder above it that states one (`repository_license`), so that a bundled project of
another licence is left out. Headers that speak of copyright are cut here, before anything compares documents.
"""

import contextlib
import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from llama_core.corpus.code import checkouts
from llama_core.corpus.code.languages import language_of
from llama_core.corpus.code.licenses import meets, spdx
from llama_core.corpus.code.repository_license import Licenses
from llama_core.corpus.document import Document, Dropped, NonContent, Outcome, Quarantined, document_id
from llama_core.corpus.formats import archives
from llama_core.corpus.formats.member import Member
from llama_core.corpus.markup.newlines import code_with_newlines
from llama_core.corpus.recipe import GitHub
from llama_core.corpus.sources import files, rules
from llama_core.corpus.sources.raw import Raw, find_files, open_raw, unchanged

_EXPORTS = tuple(e for e, kind in files.FORMATS.items() if kind != "text")
ENDINGS = (*_EXPORTS, *archives.ENDINGS)

_VENDORED = re.compile(
    r"(?:^|/)(?:node_modules|bower_components|jspm_packages|vendors?|third[-_]?party|3rd[-_]?party|extern(?:al)?s?"
    r"|site-packages|godeps|carthage|pods|_vendor(?:ed)?|deps)/",
    re.IGNORECASE,
)
_LICENSE_TEXT = re.compile(r"(?:^|/)(?:licen[sc]es?|copying|notice)(?:[-_.][\w.-]*)?$", re.IGNORECASE)
_METADATA = re.compile(
    r"(?:^|/)(?:\.git|\.hg|\.svn|__macosx)(?:/|$)|(?:^|/)(?:\._[^/]*|\.ds_store)$", re.IGNORECASE
)
_GENERATED_NAME = re.compile(
    r"[.-]min\.(?:js|css)$|[.-]bundle\.js$|\.pb\.(?:go|cc|h)$|_pb2(?:_grpc)?\.pyi?$|\.designer\.(?:cs|vb)$"
    r"|\.g\.(?:cs|dart)$",
    re.IGNORECASE,
)
_GENERATED = re.compile(
    r"@generated\b|\bdo not (?:edit|modify)\b|\bauto(?:matically)?[- ]?generated\b"
    r"|\b(?:code generated|generated code)\b|\bgenerated (?:by|from|automatically|with) \S+",
    re.IGNORECASE,
)
_GENERATED_LINES, _GENERATED_CHARS = 10, 2000  # the head of a file, in which a generated one says so
_GITHUB = re.compile(r"github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git|\.zip|\.tgz|\.tar(?:\.\w+)?)?(?:/|$)")
_REF = re.compile(r"refs/(?:heads|tags)/")
# What exports call the fields of a file: BigQuery's, `codeparrot/github-code`, The Stack, The Stack v2.
_COLUMNS = {
    "text": ("content", "code"),
    "path": ("path", "sample_path", "max_stars_repo_path"),
    "repository": ("repo_name", "sample_repo_name", "max_stars_repo_name", "repository_name"),
    "commit": ("ref", "sample_ref", "max_stars_repo_head_hexsha", "revision_id"),
    "license": ("license", "max_stars_repo_licenses", "licenses", "detected_licenses"),
}
# A file's own licence, up to the end of a comment or of the line.
_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([\w.+()-]+(?: [\w.+()-]+)*)")
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True, slots=True)
class _File:
    """A file of source code."""

    path: str
    repository: str
    """`OWNER/NAME`; empty where it is not known."""
    commit: str
    license: str
    place: str
    """Its name as a raw record."""
    offset: int


@dataclass
class _Reader:
    """Decides what becomes of the files of one raw file."""

    source_name: str
    source: GitHub
    ids: set[str] = field(default_factory=set)

    def allows(self, license: str) -> bool:
        return bool(license) and meets(license, lambda name: spdx(name) in self.source.licenses)

    def is_named(self, path: str) -> bool:
        """Tell whether a file's name is one of those of source code."""
        name = posixpath.basename(path).lower()
        return name in self.source.file_names or posixpath.splitext(name)[1] in self.source.file_names

    def path_outcome(self, path: str) -> Outcome | None:
        """Return what becomes of a file by its path alone; None where that depends on its text."""
        if _METADATA.search(path):
            return NonContent("metadata")
        if not self.is_named(path):
            return Dropped("file_type")
        if _LICENSE_TEXT.search(path):
            return Dropped("license_text")
        if not self.source.vendored and _VENDORED.search(path):
            return Dropped("vendored")
        if not self.source.generated and _GENERATED_NAME.search(path):
            return Dropped("generated")
        return None

    def outcome(self, found: _File, text: str) -> Outcome:
        """Return what becomes of a file whose path is wanted, by its licence and its text."""
        if not found.license:
            return Dropped("no_license", _plain(found.place))
        if not self.allows(found.license) and (own := _own_license(text, found.license)):
            found = replace(found, license=own)
        if not self.allows(found.license) or rules.is_copyleft(text):
            return Dropped("license", _plain(found.place))
        if error := rules.text_error(text + found.path + found.repository + found.commit):
            return NonContent("binary") if error == "nul_byte" else self.fault(found, error)
        text = code_with_newlines(text.removeprefix("\ufeff"))
        if not self.source.generated and _is_generated(text):
            return Dropped("generated", found.place, text)
        named = language_of(found.path)
        language, comments = named or ("", rules.HASH)
        code = rules.strip_license_header(text, comments).strip("\n") + "\n"
        reason = rules.text_reason(code, self.source.min_chars) or rules.code_reason(
            code,
            max_line=self.source.max_line,
            max_mean_line=self.source.max_mean_line,
            min_alphanumeric=self.source.min_alphanumeric,
        )
        if reason:
            return Dropped(reason, found.place, code)
        meta = {"repository": found.repository, "path": found.path, "commit": found.commit}
        return Document(
            id=self._id(found),
            text=code,
            source=self.source_name,
            url=_url(found),
            license=found.license,
            language="",
            date="",
            meta=json.dumps(meta | {"language": language, "offset": found.offset}, ensure_ascii=False),
        )

    def fault(self, found: _File, error: str) -> Quarantined:
        return Quarantined(_plain(found.place), found.offset, error)

    def _id(self, found: _File) -> str:
        """Return the document's id, which is the same wherever the file was read.

        Where its repository or commit is not known, and for a second file of that name, it is made from its
        place.
        """
        known = found.repository and found.commit
        name = f"{found.repository}\0{found.path}\0{found.commit}" if known else found.place
        found_id = document_id(self.source_name, name)
        if found_id in self.ids:
            found_id = document_id(self.source_name, f"{name}\0{found.place}\0{found.offset}")
        self.ids.add(found_id)
        return found_id


def raw_files(source: GitHub, key: str) -> list[Raw]:
    """Return the files of a source. Raises InputError."""
    return find_files(source, key, ENDINGS, folders=True)


def read(source_name: str, source: GitHub, raw: Raw) -> Iterator[Outcome]:
    """Yield an outcome for each row of an export, member of an archive, or file of a checkout.

    Raises InputError, and StoreError where a file cannot be read on.
    """
    reader = _Reader(source_name, source)
    url = raw.url.lower()
    if url.endswith(_EXPORTS):
        yield from _read_export(reader, raw)
        return
    with unchanged(source, raw) as known:
        if url.endswith(archives.ENDINGS):
            yield from _read_archive(reader, known)
        else:
            yield from _read_checkout(reader, known.url)


def _read_export(reader: _Reader, raw: Raw) -> Iterator[Outcome]:
    for record, offset, row in files.read_records(reader.source, raw, _COLUMNS["text"]):
        place = f"{raw.url}#{record}"
        if isinstance(row, str):
            yield Quarantined(place, offset, row)
            continue
        contents = [row[name] for name in _COLUMNS["text"] if name in row]
        text = next((content for content in contents if content is not None), None)
        if contents and text is None:
            yield NonContent("binary")
            continue
        found = _File(
            path=_string(row, "path").removeprefix("/"),  # from the root of the repository, in The Stack v2
            repository=_string(row, "repository"),
            commit=_REF.sub("", _string(row, "commit")) or "HEAD",
            license=next(filter(None, (_stated(row.get(name)) for name in _COLUMNS["license"])), ""),
            place=place,
            offset=offset,
        )
        if not isinstance(text, str) or not found.path:
            yield reader.fault(found, "no_text" if found.path else "no_path")
        else:
            yield reader.path_outcome(found.path) or reader.outcome(found, text)


def _read_archive(reader: _Reader, raw: Raw) -> Iterator[Outcome]:
    """Read an archive twice, because the licence of a project may be anywhere in it."""
    url, licenses = raw.url, Licenses()
    with contextlib.closing(open_raw(reader.source, raw)) as file:
        archive = archives.open_archive(file, url, licenses.MAX_BYTES, licenses.is_wanted)
        for member, data in archive:
            if not member.error:
                licenses.add(member.name, data)
    if licenses.overflow:
        yield Quarantined(url, 0, "too_many_licenses")
        return
    repository = _repository_of(url)
    with contextlib.closing(open_raw(reader.source, raw)) as file:
        archive = archives.open_archive(
            file, url, reader.source.max_record_bytes, lambda name: reader.path_outcome(name) is None
        )
        for member, data in archive:
            yield _member_outcome(reader, member, data, url, repository, archive.comment, licenses)


def _member_outcome(
    reader: _Reader,
    member: Member,
    data: bytes,
    url: str,
    repository: str,
    comment: str,
    licenses: Licenses,
) -> Outcome:
    place = f"{url}#{member.name}" if member.name else url
    if member.error:
        return Quarantined(_plain(place), member.offset, member.error)
    if member.kind != "file":
        return NonContent(member.kind)
    # An archive of one project wraps it in a folder, which is not a part of the paths in the project.
    path = (member.name.partition("/")[2] if repository else "") or member.name
    commit = comment if re.fullmatch(r"[0-9a-f]{40,64}", comment) else ""
    found = _File(path, repository, commit, licenses.of(member.name), place, member.offset)
    return reader.path_outcome(member.name) or _decoded(reader, found, data)


def _read_checkout(reader: _Reader, url: str) -> Iterator[Outcome]:
    root = checkouts.path_of(url)
    licenses = Licenses()
    for entry in checkouts.walk(root):
        if entry.kind == "file" and licenses.is_wanted(entry.name):
            data = checkouts.read(root, entry, licenses.MAX_BYTES)
            if isinstance(data, bytes):
                licenses.add(entry.name, data)
    if licenses.overflow:
        yield Quarantined(url, 0, "too_many_licenses")
        return
    origin, commit = checkouts.origin(root)
    repository = _repository_of(origin)
    for entry in checkouts.walk(root):
        if entry.kind == "unreadable_folder":
            yield Quarantined(_plain(f"{url}#{entry.name}"), 0, entry.kind)
        elif entry.kind != "file":
            yield NonContent(entry.kind)
        elif outcome := reader.path_outcome(entry.name):
            yield outcome
        else:
            place = f"{url}#{entry.name}"
            found = _File(entry.name, repository, commit, licenses.of(entry.name), place, 0)
            data = checkouts.read(root, entry, reader.source.max_record_bytes)
            yield reader.fault(found, data) if isinstance(data, str) else _decoded(reader, found, data)


def _decoded(reader: _Reader, found: _File, data: bytes) -> Outcome:
    encoding = next((name for bom, name in _BOMS.items() if data.startswith(bom)), "utf-8")
    if encoding != "utf-16" and b"\0" in data:
        return NonContent("binary")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return reader.fault(found, f"invalid_{encoding[:5].replace('-', '')}")
    return reader.outcome(found, text)


def _is_generated(text: str) -> bool:
    head = "\n".join(text[:_GENERATED_CHARS].split("\n")[:_GENERATED_LINES])
    return _GENERATED.search(head) is not None


def _own_license(text: str, license: str) -> str:
    """Return which of several licences that all hold for a project is that of a file, as its head says.

    Empty if that names none, or another one.
    """
    stated = _SPDX.search(text[:_GENERATED_CHARS])
    names = license.split(" AND ")
    if stated is None or len(names) == 1:
        return ""
    return stated[1] if meets(stated[1], lambda name: spdx(name) in names) else ""


def _url(found: _File) -> str:
    if not found.repository:
        return found.place
    return "https://github.com/" + quote(f"{found.repository}/blob/{found.commit or 'HEAD'}/{found.path}")


def _repository_of(url: str) -> str:
    """Return `OWNER/NAME`; empty where a URL is not GitHub's."""
    found = _GITHUB.search(url)
    return found[1] if found else ""


def _stated(license: Any) -> str:
    """Return the licence of a row, which is a name, or a list of names that all hold."""
    names = license if isinstance(license, list) else [license]
    names = [spdx(name) for name in names if isinstance(name, str) and name.strip()]
    return " AND ".join(names if len(names) == 1 else map(_in_brackets, names))


def _in_brackets(license: str) -> str:
    """Make a licence one term of an expression; where it is not valid, one that no licence meets."""
    if re.fullmatch(r"[\w.+-]+", license):
        return license
    return f"({license})" if meets(license, lambda _: True) else "NOASSERTION"


def _string(row: dict[str, Any], field: str) -> str:
    for name in _COLUMNS[field]:
        value = row.get(name)
        if isinstance(value, str):
            return value
    return ""


def _plain(place: str) -> str:
    return place.encode("utf-8", "replace").decode().replace("\0", "")
