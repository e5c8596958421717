"""Raw files: files outside the store, known by URL, size and ETag, and never read before their turn."""

import contextlib
import glob
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import fsspec

from llama_core.artifact import digest_of
from llama_core.corpus.formats.streams import CHUNK_BYTES
from llama_core.corpus.recipe import Files, UrlSource
from llama_core.corpus.sources.checksum import Checksum
from llama_core.corpus.sources.listing import LISTED, MAX_BYTES, ListedFile, parse_listing
from llama_core.errors import InputError, LlamaError, StoreError
from llama_core.file_system import Tries, brief, file_system, hint_of, may_pass

T = TypeVar("T")

ANEW = "with --refresh (make: SET=--refresh, a deployment: refresh=true)"
AT_ONCE = ("file://", "memory://", "s3://")  # never tried again here: s3fs does that itself
_HOPELESS = (FileNotFoundError, PermissionError, ValueError, ImportError, NotImplementedError, StoreError)

# What tells two states of a file apart, by the file system's own name for it; the hub's is `blob_id`.
_STATE = ("ETag", "etag", "blob_id", "mtime", "created", "LastModified", "Last-Modified", "updated")


@dataclass(frozen=True, slots=True)
class Raw:
    """A file or a package that a source is read from. A shard of ingest is named after it."""

    name: str
    url: str
    digest: str
    """Changes when the outside data changes; made without reading it."""
    listed: ListedFile | None = None
    """What the published list that names the file says of it."""
    checksum: Checksum | None = field(default=None, compare=False)
    """Computed from what is read of the file, where its list states a checksum."""
    facts: dict[str, Any] = field(default_factory=lambda: {"group": None}, compare=False)
    """Facts of its shard. Documents of one `group` are held out together; without one, each by itself."""


def find_files(source: UrlSource, key: str, endings: Iterable[str], folders: bool = False) -> list[Raw]:
    """Return the raw files that the `urls` of a source stand for, in the order of their names.

    A file is known by its URL, its size, and its checksum or ETag: no text is downloaded. `key` is the
    source's place in the recipe, for errors. Raises InputError where there is no file at a URL, and where it
    has none of the `endings` or is no file (a FIFO, a device); a folder is one where `folders` says so.
    Raises StoreError where a server cannot be reached or denies access.
    """
    if not source.urls:
        raise InputError(f"{key}.urls is empty: set it to the paths or URLs of this source's files")
    found: dict[str, Raw] = {}
    lists: dict[str, bytes] = {}
    try:
        for pattern in source.urls:
            raws = list(_find(source, pattern, lists))
            if not raws:
                raise InputError(f"there is no file at {pattern}")
            for raw in raws:
                _check_ending(raw.url, endings, folders)
                found[raw.name] = raw
    except (InputError, StoreError) as error:
        raise type(error)(f"{key}.urls: {error}") from error
    return [found[name] for name in sorted(found)]


@contextlib.contextmanager
def unchanged(source: UrlSource, raw: Raw) -> Iterator[Raw]:
    """Check a file around a block that reads it: yield what the block is to open with `open_raw`.

    Raises InputError where the file has changed since it was found, or is not what its list says: at the
    start of the block if its size is another one, at the end if its checksum is. For the checksum, what the
    block has left unread is read at the end.
    """
    _check_unchanged(source, raw)
    if raw.listed is None or not raw.listed.checksum:
        yield raw
        return
    checksum = Checksum(raw.listed.checksum)
    raw = replace(raw, checksum=checksum)
    yield raw
    if not checksum.is_whole:
        with contextlib.closing(open_raw(source, raw)) as file:
            with contextlib.suppress(InputError):  # a server without ranges gives the file from its start
                file.seek(checksum.at)
            while file.read(CHUNK_BYTES):
                pass
    checksum.check(raw.url)


@contextlib.contextmanager
def open_unchanged(source: UrlSource, raw: Raw) -> Iterator[BinaryIO]:
    """Open a raw file for a block that reads it once, and check it as `unchanged` does.

    A read that fails raises StoreError. Raises InputError.
    """
    with unchanged(source, raw) as known, contextlib.closing(open_raw(source, known)) as file:
        yield file


def _check_unchanged(source: UrlSource, raw: Raw) -> None:
    """Raise InputError where what is known of a file without reading it is not what it was."""
    if raw.listed is None:
        if _identity(source, raw.url) != raw.digest:
            raise InputError(f"{raw.url} has changed since this run planned it: run again {ANEW}")
    elif raw.listed.size is not None:
        fs, path = file_system_of(source, raw.url)
        size = _call(raw.url, lambda: fs.info(path))["size"]
        if size is not None and size != raw.listed.size:
            raise InputError(f"{raw.url} has {size:,} bytes, its list says {raw.listed.size:,}: get it again")


def shard_name(url: str) -> str:
    """Return the file's name and a hash of its URL, in characters that every store takes."""
    name = re.sub(r"[^a-z0-9_-]+", "-", url.rstrip("/").rsplit("/", 1)[-1].lower()).strip("-")[:60]
    return f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"


def open_raw(source: UrlSource, raw: Raw) -> BinaryIO:
    """Open a file inside a block of `unchanged`. A read that fails raises StoreError. Raises InputError."""
    return _open(source, raw.url, raw.checksum)


def open_url(url: str) -> BinaryIO:
    """Open a file that is no raw file of `find_files`. Raises InputError; a read that fails, StoreError."""
    return _open(Files(kind="files"), url)


def _open(source: UrlSource, url: str, checksum: Checksum | None = None) -> BinaryIO:
    fs, path = file_system_of(source, url)

    def open_from(at: int) -> BinaryIO:
        """Open the file in one piece, and pass over its beginning."""
        file = fs.open(path, "rb", block_size=0)
        while at and (piece := file.read(min(at, CHUNK_BYTES))):
            at -= len(piece)
        return file

    file = _call(url, lambda: fs.open(path, "rb"))
    return RawFile(file, url, checksum, open_from)  # type: ignore[return-value]


class RawFile:
    """An open file of which a read that fails is a fault of the store, and never taken for damaged data.

    A read is tried again before it fails, because connections break while a file of a gigabyte is read. Where
    the server gives no ranges the file is read on in one piece.
    """

    closed = False

    def __init__(
        self, raw: BinaryIO, url: str, checksum: Checksum | None, open_from: Callable[[int], BinaryIO]
    ):
        self._raw, self._url, self._checksum, self._open_from = raw, url, checksum, open_from
        self._size = getattr(raw, "size", None)  # as the file system states it

    def read(self, size: int = -1) -> bytes:
        """Return as many bytes as are asked for, or all that are left of the file.

        A server that knows no ranges gives what it has at hand, which does not mean that the file ends there.
        Raises StoreError.
        """
        piece = self._some(size)
        if size < 0 or len(piece) in (0, size):
            return piece
        pieces, left = [piece], size - len(piece)
        while left and (piece := self._some(left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def _some(self, size: int) -> bytes:
        at = self._raw.tell()

        def read() -> bytes:
            if self._raw.tell() != at:
                self._raw.seek(at)
            try:
                piece = self._raw.read(size)
            except ValueError:  # the server gives no ranges
                if not self._url.startswith(("http://", "https://")):
                    raise
                self._raw.close()
                self._raw = self._open_from(at)
                piece = self._raw.read(size)
            if size and not piece and self._size and at < self._size:
                raise EOFError(f"of {self._size:,} bytes come only {at:,}")
            return piece

        try:
            piece = _patiently(self._url, read)
        except LlamaError:
            raise
        except Exception as error:
            raise StoreError(f"cannot read {self._url}: {hint_of(error) or brief(error)}") from error
        if self._checksum and size:
            self._checksum.take(at, piece)
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._raw.seek(offset, whence)
        except ValueError as error:
            raise InputError(f"{self._url} is read in parts, and its server gives none: {error}") from error

    def tell(self) -> int:
        return self._raw.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._raw.close()

    def __enter__(self) -> "RawFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _find(source: UrlSource, pattern: str, lists: dict[str, bytes]) -> Iterable[Raw]:
    if pattern.startswith(LISTED):
        for entry in _listed(source, pattern, lists):
            yield Raw(shard_name(entry.url), entry.url, digest_of(entry.identity()), entry)
        return
    for url in _expand(source, pattern):
        yield raw_file(source, url)


def raw_file(source: UrlSource, url: str) -> Raw:
    """Return the raw file at a URL, known by its size and its ETag or time of change. Raises InputError."""
    return Raw(shard_name(url), url, _identity(source, url))


def _listed(source: UrlSource, pattern: str, lists: dict[str, bytes]) -> list[ListedFile]:
    """Return the files that a published list names, known by what it says of them and nothing else.

    `lists` holds the lists that were read already, by URL.
    """
    url = pattern.removeprefix(LISTED).partition("#")[0]
    if url not in lists:
        with _open(source, url) as file:
            pieces, size = [], 0
            while size <= MAX_BYTES and (piece := file.read(1 << 20)):  # a broken connection costs one piece
                pieces.append(piece)
                size += len(piece)
            lists[url] = b"".join(pieces)
    return parse_listing(LISTED + _absolute(url) + pattern.removeprefix(LISTED + url), lists[url])


def _expand(source: UrlSource, pattern: str) -> list[str]:
    """Return the URLs that a path, URL or glob stands for, sorted."""
    fs, path = file_system_of(source, pattern)
    if not glob.has_magic(path):
        return [fs.unstrip_protocol(path)]
    return sorted(map(fs.unstrip_protocol, _call(pattern, lambda: fs.glob(path))))


def _identity(source: UrlSource, url: str) -> str:
    """Return a digest of the URL, the size, and the ETag or the time of change: the file is not read.

    For a folder it is of the path, size and time of change of every file in it. A link's size is that of what
    it leads to, perhaps out of the folder, and does not count: links in a folder are not followed.
    """
    fs, path = file_system_of(source, url)
    info = _call(url, lambda: fs.info(path))
    if info["type"] == "other":
        raise InputError(f"{url} is a FIFO, a socket or a device: only files are read")
    if info["type"] != "directory":
        return digest_of([url, *_state(info)])
    if not url.startswith("file://"):
        raise InputError(f"{url} is a folder: name its files, as in {url}/*")
    files = _call(url, lambda: fs.find(path, detail=True))
    states = [
        [name, *_state(info | {"size": 0} if info.get("islink") else info)] for name, info in files.items()
    ]
    return digest_of([url, sorted(states)])


def _state(info: dict[str, Any]) -> list[Any]:
    changed = next((info[k] for k in _STATE if info.get(k)), None)
    return [info.get("size"), str(changed)]


def _check_ending(url: str, endings: Iterable[str], folders: bool) -> None:
    fs_path = url.removeprefix("file://")
    is_folder = url.startswith("file://") and Path(fs_path).is_dir()
    if is_folder and folders:
        return
    if is_folder:
        raise InputError(f"{url} is a folder: name its files, as in {url}/*")
    if not url.lower().endswith(tuple(endings)):
        raise InputError(f"{url} is none of the formats that are read: {', '.join(endings)}")


def file_system_of(source: UrlSource, url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return the file system of a path or URL, and the path on it. Raises InputError."""
    url = _absolute(url)
    try:
        fs = file_system(url, **source.storage_options)
    except StoreError as error:
        raise InputError(f"cannot read {url}: {error}") from error
    return fs, fs._strip_protocol(url)


def _absolute(url: str) -> str:
    return url if "://" in url else f"file://{Path(url).expanduser().absolute()}"


def _call(url: str, call: Callable[[], T]) -> T:
    try:
        return _patiently(url, call)
    except FileNotFoundError as error:
        raise InputError(f"there is no file at {url}") from error
    except LlamaError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise InputError(f"cannot read {url}: {hint_of(error) or error}") from error


def _patiently(url: str, call: Callable[[], T]) -> T:
    """Call, and call again while the network fails; raise what the last call raises."""
    tries = Tries()
    while True:
        try:
            return call()
        except Exception as error:
            status = getattr(error, "status", None)
            is_refused = isinstance(status, int) and status >= 400 and not may_pass(status)
            if _absolute(url).startswith(AT_ONCE) or isinstance(error, _HOPELESS) or is_refused:
                raise
            wait = tries.wait()
            if wait is None:
                raise
        time.sleep(wait)
