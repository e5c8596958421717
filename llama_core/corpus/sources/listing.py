"""Published lists of files: what a public source says that it holds, with sizes and checksums.

Known by their content, packed with gzip or not:

    paths      one a line, as Common Crawl's `wet.paths.gz`
    sums       `<md5, sha1 or sha256>  <name>`, as Wikimedia's `enwiki-latest-sha1sums.txt`
    dumpstatus Wikimedia's `dumpstatus.json`: the files of the jobs that are done
    files      archive.org's `<item>_files.xml`
    manifest   arXiv's `arXiv_src_manifest.xml`
    ls         `ls -R` and `ls -lR`, as mirrors of Project Gutenberg have it, and `rsync -r --list-only`

A list names files of its own folder or below, or of the folder that its paths begin with (Common Crawl's list
at `/crawl-data/CC-MAIN-2020-05/wet.paths.gz` names `crawl-data/CC-MAIN-2020-05/segments/...`).
"""

import fnmatch
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from xml.parsers import expat

from llama_core.corpus.formats.streams import GZIP, chunks
from llama_core.errors import InputError

LISTED = "list+"  # comes before the URL of a list; `#GLOB` after it chooses among the names
MAX_BYTES = 512 << 20  # size of a list, unpacked: the largest, a mirror's `ls -lR`, has some 200 MB
MAX_FILES = 2_000_000  # files that a list may name, of those that the glob chooses

_SUM = re.compile(r"([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}) [ *](.+)", re.IGNORECASE)
_SUMS = {32: "md5", 40: "sha1", 64: "sha256"}  # by the number of hex digits
_XML_SUMS = (("sha1", "sha1"), ("md5", "md5"), ("md5", "md5sum"))  # kind, and its name in XML
_FOLDER = re.compile(r"(\S.*):")
_SIZE = r"[0-9]{1,3}(?:,?[0-9]{3}){0,5}"  # up to 18 digits
_LONG = re.compile(
    rf"([-bcdlps])[-rwxsStT]{{9}}[.+@]?\s+\d+\s+\S+\s+\S+\s+({_SIZE})\s+"
    r"(?:\S+\s+\d+\s+[\d:]+|[\d-]+ [\d:.]+(?: [+-]\d{4})?) (.+)"
)
_RSYNC = re.compile(rf"([-bcdlps])[-rwxsStT]{{9}}\s+({_SIZE}) \d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d (.+)")
_MODE = re.compile(r"[-bcdlps][-rwxsStT]{9}[.+@\s]")  # begins a line of `ls -l`; one without a size: a device
_LINE = re.compile(r"[^\r\n]+")
_DATED = re.compile(r"[a-z0-9_]+-(\d{8})-")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\?#\ufffd]|://")  # U+FFFD stands for bytes that are not UTF-8

# A name as the list has it, its size, and its checksum after its kind.
_Named = tuple[str, int | None, str]


@dataclass(frozen=True, slots=True)
class ListedFile:
    """What a published list says of one file."""

    url: str
    size: int | None = None
    """Bytes, where the list states them."""
    checksum: str = ""
    """`md5:...`, `sha1:...` or `sha256:...`; empty where the list states none."""

    def identity(self) -> list[Any]:
        """Return what the file is known by."""
        return [self.url, self.size, self.checksum]


def parse_listing(pattern: str, data: bytes) -> list[ListedFile]:
    """Return the files that a list names, in its order. `data` is the list at `pattern`: `list+URL[#GLOB]`.

    A glob without `/` is compared with the last part of a name only. Raises InputError where the list is of
    no known kind, and where it names a file outside of its own place.
    """
    url, _, glob = pattern.removeprefix(LISTED).partition("#")
    text = _unpack(data, url).decode("utf-8-sig", "replace")
    is_chosen = _chooser(glob)
    entries: dict[str, ListedFile] = {}
    read, resolve = _kind(text)
    for name, size, checksum in read(text, url):
        if is_chosen(name):
            entry = ListedFile(resolve(url, _checked(name, url)), size, checksum)
            entries[entry.url] = entry
            if len(entries) > MAX_FILES:
                raise InputError(
                    f"{url} names more than {MAX_FILES:,} files: choose some, as in {LISTED}{url}#GLOB"
                )
    return list(entries.values())


def _kind(text: str) -> tuple[Callable[[str, str], Iterator[_Named]], Callable[[str, str], str]]:
    """Return how a list is read, and how its names become URLs."""
    start = text[:1000].lstrip()
    first = start.partition("\n")[0].rstrip()
    if start.startswith("<"):
        return _xml, _own_or_above
    if start.startswith("{"):
        return _dumpstatus, _dated
    if _SUM.fullmatch(first):
        return _sums, _dated
    if first.startswith("total ") or any(line.fullmatch(first) for line in (_FOLDER, _LONG, _RSYNC)):
        return _ls, _own
    return _paths, _own_or_above


def _unpack(data: bytes, url: str) -> bytes:
    """Return the list unpacked. Raises InputError where it is damaged or too large."""
    if data.startswith(GZIP):
        parts: list[bytes] = []
        size = 0
        for piece in chunks(io.BytesIO(data), ".gz"):
            if isinstance(piece, str):
                raise InputError(f"{url} is damaged or cut: {piece}")
            parts.append(piece)
            size += len(piece)
            if size > MAX_BYTES:
                break
        data = b"".join(parts)
    if len(data) > MAX_BYTES:
        raise InputError(f"{url} is no list of files: it has more than {MAX_BYTES >> 20} MiB")
    return data


def _chooser(glob: str) -> Callable[[str], bool]:
    if not glob:
        return lambda name: True
    match = re.compile(fnmatch.translate(glob)).match
    if "/" in glob:
        return lambda name: match(name) is not None
    return lambda name: match(name.rsplit("/", 1)[-1]) is not None


def _checked(name: str, url: str) -> str:
    """Return a name that is a path below the list's own place. Raises InputError where it is another one."""
    name = name.removeprefix("./")
    parts = unquote(name).split("/")
    if (
        not name
        or len(name) > 1000
        or _UNSAFE.search(unquote(name))
        or not all(parts)
        or {".", ".."} & {*parts}
    ):
        raise InputError(
            f"{url} names {name[:200]!r}: a list may name files of its own folder, by their path below it, "
            "and neither absolute paths, nor `..`, nor URLs"
        )
    return name


# --- places


def _folder(url: str) -> str:
    return url.rsplit("/", 1)[0] if "/" in url else "."


def _own(url: str, name: str) -> str:
    return f"{_folder(url)}/{name}"


def _own_or_above(url: str, name: str) -> str:
    """Return the URL of a name, which may begin with one of the folders of the list's own path.

    Such a name is relative to the parent of that folder, any other to the folder of the list.
    """
    head, slash, path = _folder(url).rpartition("://")
    above, first = path.split("/"), name.split("/")[0]
    host = 1 if head else 0  # the host's name, which is not a folder
    if "/" in name and first in above[host:]:
        last = len(above) - 1 - above[::-1].index(first)
        return head + slash + "/".join([*above[:last], name])
    return _own(url, name)


def _dated(url: str, name: str) -> str:
    """Return the URL of a name; Wikimedia's folder `latest` lists files that are in that of their date."""
    folder = _folder(url)
    dated = _DATED.match(name)
    if dated and folder.endswith("/latest"):
        return f"{folder.removesuffix('/latest')}/{dated[1]}/{name}"
    return f"{folder}/{name}"


# --- kinds


def _lines(text: str) -> Iterator[str]:
    """Yield the lines that are not empty."""
    return (line[0] for line in _LINE.finditer(text))


def _paths(text: str, url: str) -> Iterator[_Named]:
    for line in _lines(text):
        if name := line.strip():
            yield name, None, ""


def _sums(text: str, url: str) -> Iterator[_Named]:
    for line in map(str.strip, _lines(text)):
        if found := _SUM.fullmatch(line):
            yield found[2], None, f"{_SUMS[len(found[1])]}:{found[1].lower()}"
        elif line:
            raise InputError(f"{url} is a list of checksums, but not in this line: {line[:100]!r}")


def _ls(text: str, url: str) -> Iterator[_Named]:
    root: str | None = None
    folder = ""
    for line in _lines(text):
        if found := _LONG.fullmatch(line) or _RSYNC.fullmatch(line):
            if found[1] == "-":
                yield folder + found[3], int(found[2].replace(",", "")), ""
        elif found := _FOLDER.fullmatch(line):
            root = found[1] if root is None else root
            below = found[1].removeprefix(root).strip("/")
            folder = f"{below}/" if below else ""
        elif not line.startswith("total ") and not _MODE.match(line):
            yield folder + line, None, ""


def _dumpstatus(text: str, url: str) -> Iterator[_Named]:
    try:
        jobs = json.loads(text)["jobs"].values()
        files = [f for job in jobs if job["status"] == "done" for f in (job.get("files") or {}).items()]
        for name, file in files:
            size, sha1 = file.get("size"), file.get("sha1")
            yield str(name), int(size) if size else None, f"sha1:{sha1}" if sha1 else ""
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{url} is no dumpstatus.json of Wikimedia: {type(error).__name__} {error}"
        ) from error


def _xml(text: str, url: str) -> Iterator[_Named]:
    """Yield the `<file>` elements of archive.org (name in an attribute) and of arXiv (name in an element)."""
    found: list[_Named] = []
    fields: dict[str, str] = {}
    path: list[str] = []

    def refuse(*_: Any) -> None:
        raise InputError(
            f"{url} has a document type: no list of files has one, and it may expand without end"
        )

    def start(tag: str, attributes: dict[str, str]) -> None:
        path.append(tag)
        if len(path) == 2:
            fields.clear()
            fields.update(attributes)

    def data(piece: str) -> None:
        if len(path) == 3 and path[1] == "file":
            fields[path[2]] = fields.get(path[2], "") + piece

    def end(tag: str) -> None:
        path.pop()
        if len(path) == 1 and tag == "file":
            name = (fields.get("filename") or fields.get("name") or "").strip()
            size = fields.get("size", "").strip()
            sums = (f"{kind}:{fields[key].strip()}" for kind, key in _XML_SUMS if fields.get(key, "").strip())
            is_size = size.isascii() and size.isdecimal() and len(size) < 19
            found.append((name, int(size) if is_size else None, next(sums, "")))

    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise InputError(f"{url} is no XML: {error}") from error
    return iter(found)
