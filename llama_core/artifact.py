"""An artifact: a finished step, as the stages after it read it.

Its manifest names an index of its shards, a Parquet object, since a large step has hundreds of thousands.
"""

import bisect
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import AfterValidator, BaseModel, TypeAdapter

from llama_core.errors import DamagedError
from llama_core.objects import FileName, Name, Object, Writer
from llama_core.parse import Text, Whole, damaged, json_as, json_value, shaped, shown
from llama_core.store import Store, to_json

MANIFEST = "manifest.json"
INDEX = "index.parquet"
INDEX_ROWS = 1000  # rows of a row group of the index, which is unpacked whole to find one shard
# What an index may take at most: that of 300,000 shards of tokens, as 65B has them, is far below it.
MOST_PACKED = 256 << 20  # bytes of the index
MOST_UNPACKED = 128 << 20  # bytes of a row group, or of all names
MOST_SHARDS = 1 << 20

Counts = dict[Text, Whole]
Facts = dict[Text, Any]
COUNTS = TypeAdapter(Counts)
FACTS = TypeAdapter(Facts)

_INDEX_SCHEMA = pa.schema([(n, pa.string()) for n in ("name", "digest", "objects", "counts", "facts")])


def digest_of(value: Any) -> str:
    """Return the sha256 of a JSON value, written with sorted keys, in hex digits."""
    return hashlib.sha256(to_json(value)).hexdigest()


def _of_an_attempt(entry: Object) -> Object:
    """Refuse an object that is no attempt's: a commit could have the manifest or another commit deleted."""
    if "/" not in entry.name or entry.name.startswith("shards/"):
        raise ValueError(f"{shown(entry.name)!r} does not lie in the folder of an attempt")
    return entry


def _step_name(name: str) -> str:
    if name.count("/") != 1:
        raise ValueError(f"{shown(name)!r} is no <stage>/<id>")
    return name


StepName = Annotated[Name, AfterValidator(_step_name)]


@dataclass(frozen=True)
class Shard:
    """A committed shard: its objects (names relative to the step's folder), counts and other facts."""

    name: FileName
    digest: Text
    """Equal for shards that hold the same output."""
    objects: tuple[Annotated[Object, AfterValidator(_of_an_attempt)], ...]
    counts: Counts
    """Numbers that are added up over the shards of a step."""
    facts: Facts
    """What else is known of the shard, as JSON values."""

    def as_dict(self) -> dict[str, Any]:
        """Return the shard as a JSON value."""
        return {
            "name": self.name,
            "digest": self.digest,
            "objects": [o.as_dict() for o in self.objects],
            "counts": self.counts,
            "facts": self.facts,
        }

    @classmethod
    def from_json(cls, data: bytes, url: str, name: str) -> "Shard":
        """Return the shard called `name` that was written to `url` as JSON. Raises DamagedError."""
        return cls.from_dict(json_value(data, url), url, name)

    @classmethod
    def from_dict(cls, value: Any, url: str, name: str) -> "Shard":
        """Return the shard called `name` that `as_dict` wrote, and that was read from `url`.

        Raises DamagedError.
        """
        shard = shaped(SHARD, value, url)
        if shard.name != name:
            raise damaged(url, f"it holds the shard {shown(shard.name)!r}, not {shown(name)!r}")
        return shard

    def object(self, ending: str) -> Object:
        """Return the one object with this ending. Raises DamagedError where there is not just one."""
        found = [o for o in self.objects if o.name.endswith(ending)]
        if len(found) != 1:
            raise DamagedError(f"shard {self.name} has {len(found)} objects that end in {ending!r}")
        return found[0]

    def fact(self, name: str) -> Any:
        """Return one of the facts. Raises DamagedError where there is none of this name."""
        if name not in self.facts:
            raise DamagedError(f"shard {shown(self.name)} tells no {name!r}: its index is damaged")
        return self.facts[name]


SHARD = TypeAdapter(Shard)


class Manifest(BaseModel, extra="allow"):
    """What a manifest holds, whatever its step adds."""

    stage: FileName
    id: FileName
    digest: Text
    inputs: dict[Text, Text]
    parents: dict[Text, list[StepName]]
    identity: dict[Text, Any]
    counts: Counts
    facts: Facts
    index: Object
    finished: Text


MANIFEST_OF = TypeAdapter(Manifest)


@dataclass(frozen=True)
class Artifact:
    """A finished step, as the next stage reads it."""

    store: Store
    """The step's folder."""
    manifest: dict[str, Any]
    """The contents of its manifest."""

    @property
    def stage(self) -> str:
        """The stage whose output it is."""
        return self.manifest["stage"]

    @property
    def id(self) -> str:
        """The digest of everything that went into the step."""
        return self.manifest["id"]

    @property
    def digest(self) -> str:
        """The digest of the output, which the next stage's address is made from."""
        return self.manifest["digest"]

    @property
    def counts(self) -> Counts:
        """The counts of all its shards, added up."""
        return self.manifest["counts"]

    @property
    def facts(self) -> dict[str, Any]:
        """What else the step tells of its output, as JSON values."""
        return self.manifest["facts"]

    @property
    def url(self) -> str:
        """The URL of the step's folder."""
        return self.store.url

    @property
    def name(self) -> str:
        """The step's folder on the store, `<stage>/<id>`."""
        return f"{self.stage}/{self.id[:16]}"

    @property
    def parents(self) -> dict[str, list[str]]:
        """The folders (`<stage>/<id>`) of the artifacts that went in, by role, in the order of their use."""
        return self.manifest["parents"]

    @cached_property
    def shards(self) -> list[Shard]:
        """All shards, in the order of their names. Raises DamagedError."""
        return list(self._index.each())

    def __getstate__(self) -> dict[str, Any]:
        return {"store": self.store, "manifest": self.manifest}  # another process reads the index itself

    @cached_property
    def _index(self) -> "_Index":
        entry = Object(**self.manifest["index"])
        url = self.store.url_of(entry.name)
        return _Index(self.store.read(entry.name, expect=entry, most=MOST_PACKED), url)

    @cached_property
    def _by_name(self) -> dict[str, Shard]:
        return {s.name: s for s in self.shards}

    @property
    def _is_unpacked(self) -> bool:
        """True if all shards are in memory. They are not in a worker, which asks for a few of them."""
        return "shards" in self.__dict__

    def shard(self, name: str) -> Shard:
        """Return the shard of this name. Raises DamagedError, also where there is none."""
        if not self.has(name):
            raise DamagedError(f"{self.url} has no shard {shown(name)!r}")
        return self._by_name[name] if self._is_unpacked else self._index.shard(name)

    def has(self, shard: str) -> bool:
        """Tell whether there is a shard of this name. Raises DamagedError."""
        return shard in self._by_name if self._is_unpacked else self._index.row_of(shard) is not None

    def shard_at(self, row: int) -> Shard:
        """Return the shard in row `row` of the index, counted from 0. Raises DamagedError."""
        return self._index.at(row)

    def rows(self) -> Iterator[tuple[str, Counts, Facts]]:
        """Yield the name, the counts and the facts of each shard, by row. Raises DamagedError.

        One row group is unpacked at a time and nothing is kept, however many shards there are.
        """
        return self._index.rows()

    def objects(self) -> Iterator[Object]:
        """Yield the index of the shards, and then the objects of every shard. Raises DamagedError."""
        yield Object(**self.manifest["index"])
        for shard in self.shards if self._is_unpacked else self._index.each():
            yield from shard.objects

    def read(self, entry: Object) -> bytes:
        """Return an object's bytes. Raises DamagedError where they differ from what the manifest says."""
        return self.store.read(entry.name, expect=entry)

    def digests(self, role: str) -> dict[str, str]:
        """Return its digest by role (see `step.Input`)."""
        return {role: self.digest}

    def folders(self, role: str) -> dict[str, list[str]]:
        """Return its folder by role (see `step.Input`)."""
        return {role: [self.name]}

    @classmethod
    def open(cls, folder: Store) -> "Artifact":
        """Return the artifact whose step has this folder.

        Raises FileNotFoundError where no step is finished there, and DamagedError.
        """
        manifest = folder.read_json(MANIFEST)
        shaped(MANIFEST_OF, manifest, folder.url_of(MANIFEST))
        return cls(folder, manifest)

    @classmethod
    def load(cls, store: Store, folder: str) -> "Artifact":
        """Return the artifact in `folder` (`<stage>/<id>`) of the store.

        Raises FileNotFoundError where no step is finished there, and DamagedError.
        """
        found = cls.open(store.at(folder))
        if found.name != folder:
            raise damaged(found.store.url_of(MANIFEST), f"it belongs to {shown(found.name)}")
        return found


def write_index(file: Writer, shards: Iterable[Shard]) -> None:
    """Write the index, with one row for each shard. Equal shards give equal bytes."""
    rows = (
        {k: v if isinstance(v, str) else to_json(v).decode() for k, v in s.as_dict().items()} for s in shards
    )
    with pq.ParquetWriter(file, _INDEX_SCHEMA, compression="zstd") as writer:
        while some := list(islice(rows, INDEX_ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema=_INDEX_SCHEMA))


class _Index:
    """The shards of an artifact, packed: only their names and the bytes of the index are in memory.

    `url`: where it was read. Every method raises DamagedError for what is no index, or is a bomb: its sizes
    are checked before it is unpacked, and a text that is there once stays so, however many rows have it.
    """

    def __init__(self, data: bytes, url: str):
        self._url = url
        with self._sound():
            found = pq.ParquetFile(pa.BufferReader(data)).schema_arrow
            if not found.equals(_INDEX_SCHEMA):
                raise ValueError(f"its columns are {shown(found.names)}, or are no texts")
            self._parquet = pq.ParquetFile(pa.BufferReader(data), read_dictionary=found.names)
            meta = self._parquet.metadata
            groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
            large = max((g.total_byte_size for g in groups), default=0)
            of_names = sum(group.column(0).total_uncompressed_size for group in groups)
            long = max((group.num_rows for group in groups), default=0)
            if max(large, of_names) > MOST_UNPACKED or long > INDEX_ROWS or meta.num_rows > MOST_SHARDS:
                raise ValueError(
                    f"it unpacks to {max(large, of_names):,} bytes and {meta.num_rows:,} rows at a time, "
                    f"where {MOST_UNPACKED:,} and {MOST_SHARDS:,} in groups of {INDEX_ROWS:,} are the most"
                )
            self._names = self._plain(self._parquet.read(["name"])).column("name").combine_chunks()
        self._last: tuple[int, pa.Table] = (-1, None)  # number and rows of the last row group unpacked

    def each(self) -> Iterator[Shard]:
        """Yield all shards in the order of their names, with one row group unpacked at a time."""
        for group in range(self._parquet.num_row_groups):
            for row in self._group(group).to_pylist():
                yield self._shard_of(row)

    def shard(self, name: str) -> Shard:
        """Return the shard of this name, which is in the index."""
        row = self.row_of(name)
        assert row is not None
        return self.at(row)

    def at(self, row: int) -> Shard:
        """Return the shard in this row, counted from 0."""
        group = 0
        while row >= (rows := self._parquet.metadata.row_group(group).num_rows):
            group, row = group + 1, row - rows
        if self._last[0] != group:  # shards are mostly asked for in order, and so from one row group
            self._last = group, self._group(group)
        return self._shard_of(self._last[1].slice(row, 1).to_pylist()[0])

    def rows(self) -> Iterator[tuple[str, Counts, Facts]]:
        """Yield what `Artifact.rows` does."""
        for group in range(self._parquet.num_row_groups):
            for row in self._group(group, ["name", "counts", "facts"]).to_pylist():
                what = f"{self._url}, shard {shown(row['name'])},"
                counts = json_as(COUNTS, row["counts"].encode(), what)
                yield row["name"], counts, json_as(FACTS, row["facts"].encode(), what)

    def row_of(self, name: str) -> int | None:
        """Return the number of a shard's row, or None where there is no shard of this name."""
        rows = range(len(self._names))
        row = bisect.bisect_left(rows, name, key=lambda i: self._names[i].as_py())
        return row if row in rows and self._names[row].as_py() == name else None

    def _group(self, number: int, columns: list[str] | None = None) -> pa.Table:
        with self._sound():
            return self._plain(self._parquet.read_row_group(number, columns))

    def _plain(self, table: pa.Table) -> pa.Table:
        """Return a table of dictionaries as one of strings, if that is not too large. Raises ValueError."""
        size = 0
        for column in table.columns:
            for chunk in column.chunks:
                size += pc.sum(pc.take(pc.binary_length(chunk.dictionary), chunk.indices)).as_py() or 0
        if size > MOST_UNPACKED or any(column.null_count for column in table.columns):
            raise ValueError(f"it has empty fields, or unpacks to {size:,} bytes at a time")
        plain = table.cast(pa.schema([_INDEX_SCHEMA.field(name) for name in table.column_names]))
        plain.validate(full=True)  # that strings are UTF-8
        return plain

    def _shard_of(self, row: dict[str, str]) -> Shard:
        what = f"{self._url}, shard {shown(row['name'])},"
        plain = ("name", "digest")
        value = {k: v if k in plain else json_value(v.encode(), what) for k, v in row.items()}
        return Shard.from_dict(value, what, row["name"])

    @contextmanager
    def _sound(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise damaged(self._url, f"it is not an index: {error}") from None
