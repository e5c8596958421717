"""The evaluation sets as passages: every text that their files hold, whatever their shape.

JSON lines (packed with gzip or zstd too), JSON, CSV, TSV and Parquet are read. Licences, READMEs, manifests
and files of other formats are listed as not read.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from llama_core.corpus.formats import json_lines
from llama_core.corpus.formats.parquet import ParquetRows
from llama_core.errors import InputError
from llama_core.store import Store

NO_TEXT = (
    "license",
    "licence",
    "readme",
    "manifest",
    "sources",
    "notice",
    "dataset_info",
)  # how the names of files begin that hold no text of an evaluation set
MAX_FIELD = 1 << 27  # characters that a CSV field may have
MAX_ROW = 16 << 20  # bytes that a row of Parquet may have

Item = Any  # a JSON value


@dataclass(frozen=True, slots=True)
class Passage:
    """A text of an evaluation set, and its place there."""

    benchmark: str
    """The evaluation set: the file's first folder, or its name up to the first dot."""
    file: str
    """The file's name, relative to the folder of the evaluation sets."""
    item: int
    """The number of the row in its file, from 1."""
    field: str
    """The place in the row, such as `endings.3`."""
    text: str


def files(data: str) -> tuple[list[str], list[str]]:
    """Return the names of the files below the folder `data` that are read, and of those that are not."""
    read: list[str] = []
    left: list[str] = []
    for name in Store(data).list():
        begins = name.rsplit("/", 1)[-1].lower().startswith(NO_TEXT)
        (left if begins or _reader(name) is None else read).append(name)
    return read, left


def digests(data: str) -> dict[str, str]:
    """Return the size and sha256 of each file that is read, as `<size>:<sha256>` by name."""
    store = Store(data)
    found = {}
    for name in files(data)[0]:
        content = content_of(store, name)
        found[name] = f"{len(content)}:{hashlib.sha256(content).hexdigest()}"
    return found


def check(data: str) -> None:
    """Read every file below the folder `data` that is read. Raises InputError where one cannot be."""
    store = Store(data)
    for name in files(data)[0]:
        for _ in passages(store, name):
            pass


def passages(store: Store, name: str) -> Iterator[Passage]:
    """Yield the texts of one file. Raises InputError where it is not what its name says."""
    read = _reader(name)
    assert read is not None, f"{name} is none of the files that are read"
    benchmark = name.split("/", 1)[0].split(".", 1)[0]
    number = 0
    try:
        for number, item in enumerate(read(content_of(store, name)), 1):
            for field, text in texts(item):
                yield Passage(benchmark, name, number, _unicode(field), _unicode(text))
    except (ValueError, csv.Error, RecursionError) as error:
        raise InputError(
            f"{store.url_of(name)}, row {number + 1}: cannot be read for decontamination: {error}"
        ) from error


def content_of(store: Store, name: str) -> bytes:
    """Return the bytes of a file. Raises InputError where it is a link that leads nowhere."""
    try:
        return store.read(name)
    except FileNotFoundError as error:
        raise InputError(f"{store.url_of(name)} is gone, or a link that leads nowhere") from error


def _unicode(text: str) -> str:
    """Return a text without halves of surrogate pairs that stand alone, which no document can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def texts(item: Item, field: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string in a JSON value, after its place in it."""
    if isinstance(item, str):
        yield field, item
    elif isinstance(item, dict):
        for key, value in item.items():
            yield from texts(value, f"{field}.{key}" if field else str(key))
    elif isinstance(item, list):
        for index, value in enumerate(item):
            yield from texts(value, f"{field}.{index}" if field else str(index))


def _reader(name: str) -> Callable[[bytes], Iterator[Item]] | None:
    """Return what reads the rows of a file, by the ending of its name, or None."""
    if name.lower().endswith((".jsonl.gz", ".jsonl.zst")):
        return partial(_jsonl, name=name)
    ending = name.lower().rsplit(".", 1)[-1]
    return {"jsonl": _jsonl, "json": _json, "csv": _csv, "tsv": _tsv, "parquet": _parquet}.get(ending)


def _jsonl(data: bytes, name: str = "") -> Iterator[Item]:
    return (value for _, value in json_lines.values(data, name))


def _json(data: bytes) -> Iterator[Item]:
    whole = json.loads(data)
    yield from whole if isinstance(whole, list) else [whole]


def _csv(data: bytes, delimiter: str = ",") -> Iterator[Item]:
    """Yield rows under the names in the first line; a row may be longer or shorter than that line."""
    csv.field_size_limit(MAX_FIELD)
    for row in csv.DictReader(io.StringIO(data.decode("utf-8-sig")), delimiter=delimiter):
        yield {str(key): value for key, value in row.items()}


def _tsv(data: bytes) -> Iterator[Item]:
    return _csv(data, "\t")


def _parquet(data: bytes) -> Iterator[Item]:
    for _, row in ParquetRows(io.BytesIO(data), MAX_ROW).rows():
        if isinstance(row, str):
            raise ValueError(row)
        yield row
