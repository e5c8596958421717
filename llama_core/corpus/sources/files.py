"""Text, JSONL and Parquet at any path or fsspec URL, read as streams.

What cannot be read is quarantined with its reason, and the next raw record is read. Memory is bounded by
`max_record_bytes`, of which Parquet takes a multiple.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from llama_core.corpus.document import Document, Dropped, Outcome, Quarantined, document_id
from llama_core.corpus.formats.json_lines import LineError, parse_line
from llama_core.corpus.formats.parquet import ParquetRows, UnreadableError
from llama_core.corpus.formats.streams import CHUNK_BYTES, chunks, lines
from llama_core.corpus.markup.newlines import with_newlines
from llama_core.corpus.recipe import C4, Dataset, Files, UrlSource
from llama_core.corpus.sources import rules
from llama_core.corpus.sources.raw import Raw, find_files, open_unchanged
from llama_core.errors import InputError

_TEXT = (".txt", ".md", ".rst")
_JSONL = tuple(name + packed for name in (".jsonl", ".ndjson", ".json") for packed in ("", ".gz", ".zst"))
FORMATS = dict.fromkeys(_TEXT, "text") | dict.fromkeys(_JSONL, "jsonl") | {".parquet": "parquet"}
ENDINGS = tuple(FORMATS)

Record = tuple[int, int, dict[str, Any] | str]  # its number, its byte offset, its fields or the error's name

# What public corpora call what is known of a document.
_FIELDS = {
    "url": ("url", "source_url"),
    "license": ("license", "licence"),
    "language": ("language", "lang"),
    "date": ("date", "timestamp", "created"),
}


def raw_files(source: Files, key: str) -> list[Raw]:
    """Return the files of a source. Raises InputError."""
    return find_files(source, key, ENDINGS)


def read(source_name: str, source: Files | C4, raw: Raw) -> Iterator[Outcome]:
    """Yield an outcome for a text file, or for each line of JSONL or row of Parquet.

    Raises InputError, and StoreError where the file cannot be read on.
    """
    for record, offset, found in read_records(source, raw):
        place = f"{raw.url}#{record}"
        if isinstance(found, str):
            yield Quarantined(place, offset, found)
        else:
            yield to_outcome(found, source_name, source, place, offset)


def read_records(source: UrlSource, raw: Raw, columns: tuple[str, ...] = ("text",)) -> Iterator[Record]:
    """Yield the raw records of one file: the whole of a text file, lines of JSONL, or rows of Parquet.

    A row of Parquet has its text in one of the `columns`. Raises InputError where the file has none of them
    or has changed, and StoreError where it cannot be read on.
    """
    url = raw.url
    ending = next(e for e in sorted(ENDINGS, key=len, reverse=True) if url.lower().endswith(e))
    reader = {"text": _read_text, "jsonl": _read_jsonl, "parquet": read_parquet}[FORMATS[ending]]
    with open_unchanged(source, raw) as file:
        yield from reader(file, url, source.max_record_bytes, columns)


def to_outcome(
    fields: dict[str, Any], source_name: str, source: Files | C4 | Dataset, place: str, offset: int
) -> Outcome:
    """Return the outcome for a raw record that has its text in the field `text`.

    `place` is its name. `offset` is that of its first byte in the decompressed file, or its row in Parquet;
    it is written to `meta` with the fields that have no place of their own in a document.
    """
    text = fields.pop("text", None)
    if not isinstance(text, str):
        return Quarantined(place, offset, "no_text")
    if error := rules.text_error(text):
        return Quarantined(place, offset, error)
    text = with_newlines(text)
    if reason := rules.text_reason(text, source.min_chars):
        return Dropped(reason)
    known = take_fields(fields)
    return Document(
        id=document_id(source_name, place),
        text=text,
        source=source_name,
        url=known["url"] or place,
        license=known["license"] or source.license,
        language=known["language"],
        date=known["date"],
        meta=json.dumps(fields | {"offset": offset}, default=str),
    )


def take_fields(fields: dict[str, Any]) -> dict[str, str]:
    """Take `url`, `license`, `language` and `date` out of a raw record, under any of their names.

    Those that it does not have are empty.
    """
    return {name: _take(fields, names) for name, names in _FIELDS.items()}


def _take(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        if fields.get(name) is not None:
            value = fields.pop(name)
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            return text.encode("utf-8", "replace").decode().replace("\0", "")
    return ""


def _read_text(file: BinaryIO, url: str, limit: int, columns: tuple[str, ...]) -> Iterator[Record]:
    data = file.read(limit + 1)
    if len(data) > limit:
        yield 0, 0, "too_long"
        return
    try:
        yield 0, 0, {"text": data.decode("utf-8-sig")}
    except UnicodeDecodeError as error:
        yield 0, error.start, "invalid_utf8"


def _read_jsonl(file: BinaryIO, url: str, limit: int, columns: tuple[str, ...]) -> Iterator[Record]:
    number = 0
    for offset, line in lines(chunks(file, url.lower()), limit):
        if isinstance(line, str):
            yield number, offset, line
        elif not line.strip():
            continue
        else:
            yield number, offset, _parse(line)
        number += 1
    if number == 0:
        yield 0, 0, "empty_file"


def _parse(line: bytes) -> dict[str, Any] | str:
    try:
        value = parse_line(line, str)
    except LineError as error:
        return error.name
    return value if isinstance(value, dict) else "no_text"


def read_parquet(file: BinaryIO, url: str, limit: int, columns: tuple[str, ...]) -> Iterator[Record]:
    """Yield the rows of Parquet, as `read_records` does."""
    with contextlib.ExitStack() as stack:
        if not url.startswith("file://"):
            file = stack.enter_context(fetched(file))
        try:
            parquet = ParquetRows(file, limit)
        except UnreadableError as error:
            yield 0, 0, error.name
            return
        held = [column for column in columns if column in parquet.names]
        if not held:
            wanted = " or ".join(f"`{column}`" for column in columns)
            raise InputError(f"{url} has no column {wanted}: its columns are {', '.join(parquet.names)}")
        for number, row in parquet.rows(held):
            yield number, number, row


@contextlib.contextmanager
def fetched(file: BinaryIO) -> Iterator[BinaryIO]:
    """Copy a file to this machine for a block that goes to and fro in it, which over a network costs much."""
    with tempfile.TemporaryFile() as copy:
        while piece := file.read(CHUNK_BYTES):
            copy.write(piece)
        copy.seek(0)
        yield copy
