"""A document: one row of Parquet, as every stage of the corpus reads and writes it.

The modules of `sources/` yield an outcome for the raw records that they read: a `Document`, `NonContent`,
`Dropped` or `Quarantined`; and beside these what they have `Noted`.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llama_core.artifact import Artifact
from llama_core.corpus.table import read_groups
from llama_core.objects import Writer

ROW_GROUP_ROWS = 4096
ROW_GROUP_BYTES = 16 << 20  # of text; bounds the memory that reading or writing a row group takes
ENTRY_BYTES = 32  # what an entry of a list (such as the cuts) counts as; in memory it takes ten times that


@dataclass(slots=True)
class Document:
    """A text and what is known of it: a row of strings."""

    id: str
    """Unique in the corpus (see `document_id`)."""
    text: str
    source: str
    """The source's name in the recipe."""
    url: str
    """Where the text came from."""
    license: str
    language: str
    date: str
    meta: str
    """A JSON object of what else its source knows of it."""
    members: int = 1
    """How many raw records the text was made of; not a column."""

    def row(self) -> tuple[str, ...]:
        """Return its values in the order of `SCHEMA`."""
        return _values(self)


@dataclass(frozen=True, slots=True)
class NonContent:
    """Raw records that by their nature hold no text, such as figures, redirects or votes."""

    kind: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Dropped:
    """A raw record that was read and left out."""

    reason: str
    """Name of the rule that left it out; it is counted under this name."""
    record: str = ""
    """Name of the raw record, as a URL and its place in the file."""
    text: str = ""
    """Its text, which is kept for a few records of each reason, to be read by eye."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A raw record that could not be read."""

    record: str
    """Name of the raw record, as a URL and its place in the file."""
    offset: int
    """Its first byte in the decompressed raw file; its row in Parquet."""
    error: str
    """Name of the error; it is counted under this name."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What a source counts beside raw records, such as bytes between them: added to the shard's counts."""

    counts: Mapping[str, int]


Outcome = Document | NonContent | Dropped | Quarantined | Noted

SCHEMA = pa.schema([(f.name, pa.string()) for f in fields(Document) if f.type is str])
_values: Callable[[Document], tuple[str, ...]] = attrgetter(*SCHEMA.names)
DROPPED_SCHEMA = pa.schema([("reason", pa.string()), ("record", pa.string()), ("text", pa.string())])
QUARANTINE_SCHEMA = pa.schema([("record", pa.string()), ("offset", pa.int64()), ("error", pa.string())])


def document_id(source: str, place: str) -> str:
    """Return 32 hex digits made from the source's name and the raw record's place in it."""
    return hashlib.sha256(f"{source}\0{place}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


class RowWriter:
    """Writes a Parquet object (zstd) row by row, in row groups of bounded size. Equal rows give equal bytes.

    Use it as a context manager inside the block of the `writer` that it writes to.
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
        """Write a row, whose values are in the order of the schema."""
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
    """Write documents as an object of Parquet."""
    with RowWriter(writer, SCHEMA) as rows:
        for document in documents:
            rows.append(document.row())


def read_documents(artifact: Artifact, shard: str, ending: str = "documents.parquet") -> Iterator[Document]:
    """Yield the documents of the one object of a shard that ends in `ending`; its digest is checked first.

    Raises DamagedError, and KeyError where the shard has no such object.
    """
    for batch in read_batches(artifact, shard, ending, SCHEMA.names):
        columns = [batch.column(name).to_pylist() for name in SCHEMA.names]
        for row in zip(*columns, strict=True):
            yield Document(*row)


def batched(documents: Iterable[Document], chars: int, most: int = 1 << 30) -> Iterator[list[Document]]:
    """Yield lists of successive documents: each ends once it has `chars` characters or `most` documents."""
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


def read_batches(
    artifact: Artifact, shard: str, ending: str, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the one Parquet object of a shard that ends in `ending`, a row group at a time.

    Its digest is checked first. Raises DamagedError, and KeyError where the shard has no such object.
    """
    yield from read_groups(artifact.store, artifact.shard(shard).object(ending), columns)
