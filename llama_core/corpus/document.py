"""A document: one row of Parquet, as every stage of the corpus reads and writes it.

Readers yield an outcome for the raw records: a `Document`, `NonContent`, `Dropped` or `Quarantined`.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llama_core.step import Artifact
from llama_core.store import Writer

ROW_GROUP_ROWS = 4096
ROW_GROUP_BYTES = 16 << 20  # of text: bounds the memory of whoever reads or writes a row group
ENTRY_BYTES = 32  # of an entry of a list, as cuts are: in memory it takes ten times that


@dataclass(slots=True)
class Document:
    """A row of strings: `id` is unique in the corpus, `url` says where the text came from, `meta` is JSON.

    `members`, which is no column: the raw records that the text was made of.
    """

    id: str
    text: str
    source: str
    url: str
    license: str
    language: str
    date: str
    meta: str
    members: int = 1

    def row(self) -> tuple[str, ...]:
        return tuple(getattr(self, name) for name in SCHEMA.names)


@dataclass(frozen=True, slots=True)
class NonContent:
    """Records that hold no text by their nature, as figures, redirects or votes, by kind."""

    kind: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record that was read and left out, by a named reason. `text` is kept of some, to be read by eye."""

    reason: str
    record: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that could not be read: its name, its byte offset in the decompressed input, the error."""

    record: str
    offset: int
    error: str


Outcome = Document | NonContent | Dropped | Quarantined

SCHEMA = pa.schema([(f.name, pa.string()) for f in fields(Document) if f.type is str])
DROPPED_SCHEMA = pa.schema([("reason", pa.string()), ("record", pa.string()), ("text", pa.string())])
QUARANTINE_SCHEMA = pa.schema([("record", pa.string()), ("offset", pa.int64()), ("error", pa.string())])


def document_id(source: str, place: str) -> str:
    """32 hex digits from the source's name and the record's place in it."""
    return hashlib.sha256(f"{source}\0{place}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


class RowWriter:
    """A Parquet object written row by row (zstd), in row groups of bounded size.

    Equal rows give equal bytes. Use as a context manager around the writer's own block.
    """

    def __init__(self, writer: Writer, schema: pa.Schema):
        self._parquet = pq.ParquetWriter(writer, schema, compression="zstd")
        self._schema = schema
        self._strings = [i for i, f in enumerate(schema) if f.type == pa.string()]
        self._lists = [i for i, f in enumerate(schema) if pa.types.is_list(f.type)]
        self._rows: list[Sequence[Any]] = []
        self._bytes = 0

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self._flush()
            self._parquet.close()
        else:
            with contextlib.suppress(Exception):  # the object is discarded: the first error is what counts
                self._parquet.close()

    def append(self, row: Sequence[Any]) -> None:
        self._rows.append(row)
        for column in self._strings:
            self._bytes += len(row[column])
        for column in self._lists:
            self._bytes += ENTRY_BYTES * len(row[column])
        if self._bytes >= ROW_GROUP_BYTES or len(self._rows) >= ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(column, type=f.type) for column, f in zip(columns, self._schema, strict=True)]
        self._parquet.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows, self._bytes = [], 0


def write_documents(writer: Writer, documents: Iterable[Document]) -> None:
    with RowWriter(writer, SCHEMA) as rows:
        for document in documents:
            rows.append(document.row())


def read_documents(artifact: Artifact, shard: str, ending: str = "documents.parquet") -> Iterator[Document]:
    """The documents of one object of a shard, streamed; its digest is checked first.

    Raises DamagedError, and KeyError where the shard has no such object.
    """
    for batch in read_batches(artifact, shard, ending):
        columns = [batch.column(name).to_pylist() for name in SCHEMA.names]
        for row in zip(*columns, strict=True):
            yield Document(*row)


def batched(documents: Iterable[Document], chars: int, most: int = 1 << 30) -> Iterator[list[Document]]:
    """Documents that are worked on together: until they have `chars` characters, and at most `most`."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= chars or len(batch) == most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def read_batches(artifact: Artifact, shard: str, ending: str) -> Iterator[pa.RecordBatch]:
    """The rows of one Parquet object of a shard, one row group in memory at a time."""
    entry = artifact.shard(shard).object(ending)
    with artifact.store.checked(entry.name, entry) as file, pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):
            yield from parquet.read_row_group(group).to_batches()
