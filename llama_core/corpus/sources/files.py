"""Text, JSONL and Parquet at any path or fsspec URL. One shard a file, read as a stream.

What cannot be read is quarantined with its reason, and the next record is read. Memory is bounded by
`max_record_bytes` for text and JSONL, by a row group for Parquet.
"""

import contextlib
import glob
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from llama_core.corpus import filters
from llama_core.corpus.document import Document, Dropped, Outcome, Quarantined, document_id
from llama_core.errors import InputError, StoreError
from llama_core.recipe import Source
from llama_core.step import digest_of
from llama_core.store import _file_system

FORMATS = {
    "text": (".txt", ".md", ".rst"),
    "jsonl": (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".json.gz", ".jsonl.zst", ".json.zst"),
    "parquet": (".parquet",),
}
T = TypeVar("T")
PIECE = 1 << 20  # bytes read at a time
# A zstd block of 4 bytes may hold 128 KiB, and its decompressor knows no limit of output: small pieces.
ZSTD_PIECE = 1 << 10

# The names that public corpora give to what a document knows of itself.
_FIELDS = {
    "url": ("url", "source_url"),
    "license": ("license", "licence"),
    "language": ("language", "lang"),
    "date": ("date", "timestamp", "created"),
}


def plan(source: Source, key: str) -> dict[str, str]:
    if not source.urls:
        raise InputError(f"{key}.urls is empty: set it to the paths or URLs of this source's files")
    shards: dict[str, str] = {}
    try:
        for pattern in source.urls:
            urls = _expand(pattern)
            if not urls:
                raise InputError(f"there is no file at {pattern}")
            for url in urls:
                _format(url)
                shards[shard_name(url)] = _identity(url)
    except InputError as error:
        raise InputError(f"{key}.urls: {error}") from error
    return shards


def digest(source: Source, shard: str) -> str:
    return _identity(_find(source, shard))


def describe(source: Source, shard: str) -> dict[str, Any]:
    """No group: of a file's documents each is held out, or not, by itself."""
    return {"group": None, "url": _find(source, shard)}


def read(source_name: str, source: Source, shard: str) -> Iterator[Outcome]:
    """An outcome for each document of a text file, line of JSONL, or row of Parquet.

    Raises InputError, and StoreError where the file cannot be read on.
    """
    url = _find(source, shard)
    reader = {"text": _read_text, "jsonl": _read_jsonl, "parquet": _read_parquet}[_format(url)]
    with contextlib.closing(_open(url)) as file:
        for record, offset, found in reader(file, url, source.max_record_bytes):
            place = f"{url}#{record}"
            if isinstance(found, str):
                yield Quarantined(place, offset, found)
            else:
                yield _outcome(found, source_name, source, place, offset)


def shard_name(url: str) -> str:
    """The file's name and a hash of its URL, in characters that every store takes."""
    name = re.sub(r"[^a-z0-9_-]+", "-", url.rsplit("/", 1)[-1].lower()).strip("-")[:60]
    return f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"


# --- one file

Record = tuple[int, int, dict[str, Any] | str]  # number, byte offset, fields or the error's name


def _outcome(fields: dict[str, Any], source_name: str, source: Source, place: str, offset: int) -> Outcome:
    text = fields.pop("text", None)
    if not isinstance(text, str):
        return Quarantined(place, offset, "no_text")
    if error := filters.text_error(text):
        return Quarantined(place, offset, error)
    if reason := filters.text_reason(text, source.min_chars):
        return Dropped(reason)
    known = {name: _take(fields, names) for name, names in _FIELDS.items()}
    return Document(
        id=document_id(source_name, place),
        text=text,
        source=source_name,
        url=known["url"] or place,
        license=known["license"] or source.license,
        language=known["language"],
        date=known["date"],
        meta=json.dumps(fields, default=str),
    )


def _take(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        if fields.get(name) is not None:
            value = fields.pop(name)
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            return text.encode("utf-8", "replace").decode().replace("\0", "")
    return ""


def _read_text(file: BinaryIO, url: str, limit: int) -> Iterator[Record]:
    data = file.read(limit + 1)
    if len(data) > limit:
        yield 0, 0, "too_long"
        return
    try:
        yield 0, 0, {"text": data.decode("utf-8-sig").replace("\r\n", "\n")}
    except UnicodeDecodeError as error:
        yield 0, error.start, "invalid_utf8"


def _read_jsonl(file: BinaryIO, url: str, limit: int) -> Iterator[Record]:
    number = 0
    for offset, line in _lines(_chunks(file, url), limit):
        if isinstance(line, str):
            yield number, offset, line
        elif not line.strip():
            continue
        else:
            yield number, offset, _parse(line)
        number += 1


def _parse(line: bytes) -> dict[str, Any] | str:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "invalid_utf8"
    try:
        value = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return "not_json"
    return value if isinstance(value, dict) else "no_text"


def _read_parquet(file: BinaryIO, url: str, limit: int) -> Iterator[Record]:
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowException, OSError):
        yield 0, 0, "damaged_parquet"
        return
    names = parquet.schema_arrow.names
    if "text" not in names:
        raise InputError(f"{url} has no column `text`: its columns are {', '.join(names)}")
    start = 0
    for group in range(parquet.num_row_groups):
        number = start
        start += parquet.metadata.row_group(group).num_rows
        try:
            for batch in parquet.iter_batches(batch_size=256, row_groups=[group]):
                for row in _rows(batch):
                    text = None if isinstance(row, str) else row["text"]
                    too_long = isinstance(text, str) and len(text.encode()) > limit
                    yield number, number, "too_long" if too_long else row
                    number += 1
        except (pa.ArrowException, OSError):
            yield number, number, "damaged_parquet"  # the rest of this row group


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any] | str]:
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            return ["invalid_utf8"]
        return [row for at in range(batch.num_rows) for row in _rows(batch.slice(at, 1))]


# --- streams


def _chunks(file: BinaryIO, url: str) -> Iterator[bytes | str]:
    """The decompressed bytes in pieces; last, the error's name where the stream is cut or damaged."""
    if url.endswith(".gz"):
        yield from _inflate(file, lambda: zlib.decompressobj(wbits=31), zlib.error, PIECE >> 4)
    elif url.endswith(".zst"):
        decompressor = zstandard.ZstdDecompressor()
        yield from _inflate(file, decompressor.decompressobj, zstandard.ZstdError, ZSTD_PIECE)
    else:
        while piece := file.read(PIECE):
            yield piece


def _inflate(
    file: BinaryIO, start: Callable[[], Any], failure: type[Exception], piece: int
) -> Iterator[bytes | str]:
    """Members one after another, as gzip and zstd allow."""
    member = None
    while block := file.read(PIECE):
        for at in range(0, len(block), piece):
            data = block[at : at + piece]
            while data:
                if member is None:
                    data = data.lstrip(b"\0")  # padding between members
                    if not data:
                        break
                    member = start()
                try:
                    out = member.decompress(data)
                except failure:
                    yield "damaged_stream"
                    return
                if out:
                    yield out
                data = b""
                if member.eof:
                    data, member = member.unused_data, None
    if member is not None:
        yield "truncated_stream"


def _lines(chunks: Iterator[bytes | str], limit: int) -> Iterator[tuple[int, bytes | str]]:
    """(offset, line) for each line; an error's name for a line over `limit` bytes, which is never held."""
    held: list[bytes] = []
    size = start = 0  # of the line being read
    for chunk in chunks:
        if isinstance(chunk, str):
            yield start, chunk  # the line that it cut is lost with it
            return
        at = 0
        while (end := chunk.find(b"\n", at)) >= 0:
            size += end - at
            if size <= limit:
                yield start, b"".join((*held, chunk[at:end]))
            else:
                yield start, "too_long"
            held, start, at, size = [], start + size + 1, end + 1, 0
        size += len(chunk) - at
        if size <= limit:
            held.append(chunk[at:])
        else:
            held = []
    if size:
        yield start, b"".join(held) if size <= limit else "too_long"


# --- where files lie


class _File:
    """An open file whose failing reads are faults of the store, and never taken for damaged data."""

    closed = False

    def __init__(self, raw: BinaryIO, url: str):
        self._raw, self._url = raw, url

    def read(self, size: int = -1) -> bytes:
        try:
            return self._raw.read(size)
        except Exception as error:
            raise StoreError(f"cannot read {self._url}: {error}") from error

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._raw.close()


def _expand(pattern: str) -> list[str]:
    """The URLs that a path, URL or glob stands for, sorted."""
    fs, path = _file_system_of(pattern)
    if not glob.has_magic(path):
        return [fs.unstrip_protocol(path)] if _call(pattern, lambda: fs.exists(path)) else []
    return sorted(map(fs.unstrip_protocol, _call(pattern, lambda: fs.glob(path))))


def _find(source: Source, shard: str) -> str:
    """The URL of a shard; a plain URL is found without listing anything."""
    for pattern in sorted(source.urls, key=glob.has_magic):
        for url in _expand(pattern):
            if shard_name(url) == shard:
                return url
    raise InputError(f"the file of shard {shard} is gone from {', '.join(source.urls)}")


def _identity(url: str) -> str:
    """Digest of the URL, the size, and the ETag or the time of change: the file is not read."""
    fs, path = _file_system_of(url)
    info = _call(url, lambda: fs.info(path))
    if info["type"] == "directory":
        raise InputError(f"{url} is a folder: name its files, as in {url}/*.jsonl.gz")
    changed = next((info[k] for k in ("ETag", "mtime", "created", "LastModified") if info.get(k)), None)
    return digest_of([url, info.get("size"), str(changed)])


def _format(url: str) -> str:
    for name, endings in FORMATS.items():
        if url.lower().endswith(endings):
            return name
    allowed = ", ".join(e for group in FORMATS.values() for e in group)
    raise InputError(f"{url} is none of the formats that are read: {allowed}")


def _open(url: str) -> BinaryIO:
    fs, path = _file_system_of(url)
    return _File(_call(url, lambda: fs.open(path, "rb")), url)  # type: ignore[return-value]


def _file_system_of(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    if "://" not in url:
        url = str(Path(url).expanduser().absolute())
    if urlsplit(url).password:
        raise InputError("a URL of a source holds no credentials: put them in the environment")
    fs = _call(url, lambda: _file_system(url))
    return fs, fs._strip_protocol(url)


def _call(url: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except (OSError, ValueError, StoreError, ImportError) as error:
        raise InputError(f"cannot read {url}: {error}") from error
