"""An artifact: a finished step, as the stages after it read it.

Its manifest names an index of its shards, a Parquet object, since a large step has hundreds of thousands.
"""

import bisect
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llama_core.objects import Object, Writer
from llama_core.store import Store, to_json

MANIFEST = "manifest.json"
INDEX = "index.parquet"
INDEX_ROWS = 1000  # rows of a row group of the index, which is unpacked whole to find one shard

Counts = dict[str, int]

_INDEX_SCHEMA = pa.schema([(n, pa.string()) for n in ("name", "digest", "objects", "counts", "facts")])


def digest_of(value: Any) -> str:
    """Return the sha256 of a JSON value, written with sorted keys, in hex digits."""
    return hashlib.sha256(to_json(value)).hexdigest()


@dataclass(frozen=True)
class Shard:
    """A committed shard: its objects (names relative to the step's folder), counts and other facts."""

    name: str
    digest: str
    """Equal for shards that hold the same output."""
    objects: tuple[Object, ...]
    counts: Counts
    """Numbers that are added up over the shards of a step."""
    facts: dict[str, Any]
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
    def from_dict(cls, value: dict[str, Any]) -> "Shard":
        """Return the shard that `as_dict` wrote."""
        objects = tuple(Object(**o) for o in value["objects"])
        return cls(value["name"], value["digest"], objects, value["counts"], value["facts"])

    def object(self, ending: str) -> Object:
        """Return the one object whose name has this ending. Raises KeyError where there is not just one."""
        found = [o for o in self.objects if o.name.endswith(ending)]
        if len(found) != 1:
            raise KeyError(f"shard {self.name} has {len(found)} objects that end in {ending!r}")
        return found[0]


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
        return _Index(self.read(Object(**self.manifest["index"])))

    @cached_property
    def _by_name(self) -> dict[str, Shard]:
        return {s.name: s for s in self.shards}

    @property
    def _is_unpacked(self) -> bool:
        """True if all shards are in memory. They are not in a worker, which asks for a few of them."""
        return "shards" in self.__dict__

    def shard(self, name: str) -> Shard:
        """Return the shard of this name. Raises KeyError where there is none, and DamagedError."""
        return self._by_name[name] if self._is_unpacked else self._index.shard(name)

    def has(self, shard: str) -> bool:
        """Tell whether there is a shard of this name. Raises DamagedError."""
        return shard in self._by_name if self._is_unpacked else self._index.row_of(shard) is not None

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
    def load(cls, store: Store, folder: str) -> "Artifact":
        """Return the artifact in `folder` (`<stage>/<id>`) of the store.

        Raises FileNotFoundError where no step is finished there.
        """
        below = store.at(folder)
        return cls(below, below.read_json(MANIFEST))


def write_index(file: Writer, shards: Iterable[Shard]) -> None:
    """Write the index, with one row for each shard. Equal shards give equal bytes."""
    rows = (
        {k: v if isinstance(v, str) else to_json(v).decode() for k, v in s.as_dict().items()} for s in shards
    )
    with pq.ParquetWriter(file, _INDEX_SCHEMA, compression="zstd") as writer:
        while some := list(islice(rows, INDEX_ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema=_INDEX_SCHEMA))


class _Index:
    """The shards of an artifact, packed: only their names and the bytes of the index are in memory."""

    def __init__(self, data: bytes):
        self._parquet = pq.ParquetFile(pa.BufferReader(data))
        self._names = self._parquet.read(["name"]).column("name").combine_chunks()
        self._last: tuple[int, pa.Table] = (-1, None)  # number and rows of the last row group unpacked

    def each(self) -> Iterator[Shard]:
        """Yield all shards in the order of their names, with one row group unpacked at a time."""
        for group in range(self._parquet.num_row_groups):
            yield from map(_shard_of, self._parquet.read_row_group(group).to_pylist())

    def shard(self, name: str) -> Shard:
        """Return the shard of this name. Raises KeyError where there is none."""
        row = self.row_of(name)
        if row is None:
            raise KeyError(name)
        group = 0
        while row >= (rows := self._parquet.metadata.row_group(group).num_rows):
            group, row = group + 1, row - rows
        if self._last[0] != group:  # shards are mostly asked for in order, and so from one row group
            self._last = group, self._parquet.read_row_group(group)
        return _shard_of(self._last[1].slice(row, 1).to_pylist()[0])

    def row_of(self, name: str) -> int | None:
        """Return the number of a shard's row, or None where there is no shard of this name."""
        rows = range(len(self._names))
        row = bisect.bisect_left(rows, name, key=lambda i: self._names[i].as_py())
        return row if row in rows and self._names[row].as_py() == name else None


def _shard_of(row: dict[str, str]) -> Shard:
    plain = ("name", "digest")
    return Shard.from_dict({k: v if k in plain else json.loads(v) for k, v in row.items()})
