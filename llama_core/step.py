"""A step: one stage's output, at an address made from what went into it.

    <store>/<stage>/<id>/<attempt>/...        objects, written by one attempt
    <store>/<stage>/<id>/shards/<name>.json   commits one shard: which attempt's objects count
    <store>/<stage>/<id>/manifest.json        commits the step; written last. Names the index of the shards

A shard is committed by the exclusive creation of one small object, so a killed step goes on where it
was, two writers cannot mix, and nobody waits for a lease. No manifest, no artifact.

An attempt IN_PLACE has no folder of its own: what others load by the step's URL lies in the step's folder. It
is for stages whose inputs give the same bytes every time, so that it does not matter which attempt wrote them.
"""

import bisect
import contextlib
import hashlib
import importlib.metadata
import json
import platform
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from llama_core.errors import DamagedError
from llama_core.store import MANY, Object, Store, Writer, to_json

MANIFEST = "manifest.json"
IN_PLACE = ""  # an attempt without a folder of its own
INDEX = "index.parquet"  # the shards of the manifest, of which a large step has hundreds of thousands
INDEX_ROWS = 1000  # of a row group of it: what is unpacked to find a shard
LIBRARIES = ("torch", "numpy", "pyarrow", "sentencepiece", "fsspec", "s3fs", "xxhash")

Counts = dict[str, int]

_INDEX_SCHEMA = pa.schema([(n, pa.string()) for n in ("name", "digest", "objects", "counts", "facts")])


def digest_of(value: Any) -> str:
    """sha256 of a JSON value with sorted keys."""
    return hashlib.sha256(to_json(value)).hexdigest()


@dataclass(frozen=True)
class Shard:
    """A committed shard: its objects (names relative to the step's folder), counts and other facts."""

    name: str
    digest: str
    objects: tuple[Object, ...]
    counts: Counts
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "digest": self.digest,
            "objects": [o.as_dict() for o in self.objects],
            "counts": self.counts,
            "facts": self.facts,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Shard":
        objects = tuple(Object(**o) for o in value["objects"])
        return cls(value["name"], value["digest"], objects, value["counts"], value["facts"])

    def object(self, ending: str) -> Object:
        """The one object whose name ends so."""
        found = [o for o in self.objects if o.name.endswith(ending)]
        if len(found) != 1:
            raise KeyError(f"shard {self.name} has {len(found)} objects that end in {ending!r}")
        return found[0]


@dataclass(frozen=True)
class Artifact:
    """A finished step, as the next stage reads it."""

    store: Store  # the step's folder
    manifest: dict[str, Any]

    @property
    def stage(self) -> str:
        return self.manifest["stage"]

    @property
    def id(self) -> str:
        return self.manifest["id"]

    @property
    def digest(self) -> str:
        """What the next stage's address is made from: equal where the output is the same."""
        return self.manifest["digest"]

    @property
    def counts(self) -> Counts:
        return self.manifest["counts"]

    @property
    def facts(self) -> dict[str, Any]:
        return self.manifest["facts"]

    @property
    def url(self) -> str:
        return self.store.url

    @property
    def name(self) -> str:
        """`<stage>/<id>`, the step's folder on the store."""
        return f"{self.stage}/{self.id[:16]}"

    @property
    def parents(self) -> dict[str, list[str]]:
        """The folders (`<stage>/<id>`) of the artifacts that went in, by role, in the order of their use."""
        return self.manifest["parents"]

    @cached_property
    def shards(self) -> list[Shard]:
        """In the order of their names. Raises DamagedError."""
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
        """Whether all shards are in memory; not so in a worker, which asks for a few of them."""
        return "shards" in self.__dict__

    def shard(self, name: str) -> Shard:
        return self._by_name[name] if self._is_unpacked else self._index.shard(name)

    def has(self, shard: str) -> bool:
        return shard in self._by_name if self._is_unpacked else self._index.row_of(shard) is not None

    def objects(self) -> Iterator[Object]:
        """Everything that the manifest stands for: its index first."""
        yield Object(**self.manifest["index"])
        for shard in self.shards if self._is_unpacked else self._index.each():
            yield from shard.objects

    def read(self, entry: Object) -> bytes:
        """Return an object's bytes, checked. Raises DamagedError."""
        return self.store.read(entry.name, expect=entry)

    def digests(self, role: str) -> dict[str, str]:
        return {role: self.digest}

    def folders(self, role: str) -> dict[str, list[str]]:
        return {role: [self.name]}

    @classmethod
    def load(cls, store: Store, folder: str) -> "Artifact":
        """The artifact in `folder` (`<stage>/<id>`) of the store. Raises FileNotFoundError."""
        below = store.at(folder)
        return cls(below, below.read_json(MANIFEST))


Inputs = Mapping[str, "Input | str"]


class Input(Protocol):
    """What a step reads: one artifact, or several that belong together."""

    def digests(self, role: str) -> dict[str, str]:
        """Return the digests that the step's address is made from, by role."""
        ...

    def folders(self, role: str) -> dict[str, list[str]]:
        """Return the folders (`<stage>/<id>`) of the artifacts, by role, in the order of their use."""
        ...


@dataclass(frozen=True)
class Implied:
    """An artifact that a step reads and that another of its inputs was made from.

    The address knows it through that other input, so it adds a parent and no digest.
    """

    artifact: Artifact

    def digests(self, role: str) -> dict[str, str]:
        return {}

    def folders(self, role: str) -> dict[str, list[str]]:
        return self.artifact.folders(role)


class OpenShard:
    """A shard being written: publish objects into it, count, and note facts."""

    def __init__(self, step: "Step", name: str):
        self._step, self.name = step, name
        self.objects: list[Object] = []
        self.counts: Counter[str] = Counter()
        self.facts: dict[str, Any] = {}
        self.digest: str | None = None  # set where equal outputs may differ in their bytes

    @contextlib.contextmanager
    def publish(self, name: str) -> Iterator[Writer]:
        """Publish `name` in this attempt's folder."""
        with self._step.folder.publish(self._step.place_of(name)) as writer:
            yield writer
        assert writer.object is not None
        self.objects.append(writer.object)

    def publish_bytes(self, name: str, data: bytes) -> Object:
        with self.publish(name) as file:
            file.write(data)
        return self.objects[-1]

    def _sealed(self) -> Shard:
        objects = tuple(sorted(self.objects, key=lambda o: o.name))
        plain = [(o.name.removeprefix(self._step.place_of("")), o.size, o.sha256) for o in objects]
        digest = self.digest or digest_of(plain)
        return Shard(self.name, digest, objects, dict(sorted(self.counts.items())), self.facts)


class Step:
    """One stage's work at its address.

    `identity` holds what changes the output, `execution` what changes only how it is made. `inputs` says by
    role what goes in: artifacts, or the digests (str) of data from outside. What the address is made from,
    `digests`, and where the artifacts lie, `parents`, both follow from it. `revision` is raised when the
    stage's code gives another output for the same inputs.
    """

    def __init__(
        self,
        root: Store,
        stage: str,
        revision: int,
        identity: dict[str, Any],
        inputs: Inputs | None = None,
        execution: dict[str, Any] | None = None,
        attempt: str | None = None,
    ):
        self.root, self.stage, self.revision = root, stage, revision
        self.identity, self.execution = identity, execution or {}
        self.attempt = "a-" + secrets.token_hex(4) if attempt is None else attempt
        self.digests: dict[str, str] = {}
        self.parents: dict[str, list[str]] = {}
        for role, item in (inputs or {}).items():
            digests = {role: item} if isinstance(item, str) else item.digests(role)
            folders = {} if isinstance(item, str) else item.folders(role)
            twice = (digests.keys() & self.digests.keys()) | (folders.keys() & self.parents.keys())
            assert not twice, f"{stage} has two inputs by the name of {', '.join(sorted(twice))}"
            self.digests |= digests
            self.parents |= folders

    @property
    def id(self) -> str:
        return digest_of([self.stage, self.revision, self.identity, self.digests])

    @property
    def name(self) -> str:
        """`<stage>/<id>`, the step's folder on the store."""
        return f"{self.stage}/{self.id[:16]}"

    @property
    def folder(self) -> Store:
        return self.root.at(self.name)

    def place_of(self, name: str) -> str:
        """Return where this attempt writes `name`, relative to the step's folder."""
        return f"{self.attempt}/{name}" if self.attempt else name

    def finished(self) -> Artifact | None:
        """The artifact, if a manifest is there and every object still has its size.

        Raises DamagedError where an object is missing or cut: reuse never trusts a name alone.
        """
        folder = self.folder
        try:
            manifest = folder.read_json(MANIFEST)
        except FileNotFoundError:
            return None
        if manifest["id"] != self.id:
            raise DamagedError(f"{folder.url_of(MANIFEST)} belongs to another step: {manifest['id']}")
        artifact = Artifact(folder, manifest)
        sizes = folder.sizes()
        for entry in artifact.objects():
            if sizes.get(entry.name) != entry.size:
                raise DamagedError(
                    f"{folder.url_of(entry.name)} is missing or cut. "
                    f"Delete {folder.url} to make this step again."
                )
        return artifact

    def committed(self, name: str) -> Shard | None:
        """The shard, if an attempt has committed it."""
        try:
            return Shard.from_dict(self.folder.read_json(f"shards/{name}.json"))
        except FileNotFoundError:
            return None

    def committed_names(self) -> set[str]:
        """The names of all committed shards, by one listing."""
        prefix, ending = "shards/", ".json"
        return {n.removeprefix(prefix).removesuffix(ending) for n in self.folder.list("shards")}

    def committed_shards(self, names: Iterable[str]) -> list[Shard]:
        """These shards, all of them committed, in the order of their names."""
        return list(self.each_committed(names))

    def each_committed(self, names: Iterable[str]) -> Iterator[Shard]:
        """The same, some in memory at a time."""
        names = sorted(names)
        for start in range(0, len(names), MANY):
            some = [f"shards/{name}.json" for name in names[start : start + MANY]]
            yield from (Shard.from_dict(json.loads(data)) for data in self.folder.read_many(some))

    @contextlib.contextmanager
    def shard(self, name: str) -> Iterator[OpenShard]:
        """Write a shard and commit it at the end of the block. The loser of a race is discarded.

        Two workers of one attempt may race, too, where an engine took one for lost. They write the same
        objects, under the same names: those stay.
        """
        draft = OpenShard(self, name)
        yield draft
        sealed = draft._sealed()
        if not self.folder.create(f"shards/{name}.json", to_json(sealed.as_dict())):
            winner = self.committed(name)
            counted = {o.name for o in winner.objects} if winner else set()
            self.folder.delete([o.name for o in sealed.objects if o.name not in counted])

    def commit(
        self, shards: list[str], digest: str | None = None, facts: dict[str, Any] | None = None
    ) -> Artifact:
        """Write the manifest and its index over these shards, all of them committed, and sweep what lost.

        `digest` replaces the digest over the shards where a stage has a better notion of sameness.
        """
        folder = self.folder
        counts: Counter[str] = Counter()
        digests: list[tuple[str, str]] = []

        def seen() -> Iterator[Shard]:  # there may be hundreds of thousands: some are in memory at a time
            for shard in self.each_committed(shards):
                counts.update(shard.counts)
                digests.append((shard.name, shard.digest))
                yield shard

        with folder.publish(self.place_of(INDEX)) as file:
            _write_index(file, seen())
        assert file.object is not None
        manifest = {
            "stage": self.stage,
            "id": self.id,
            "revision": self.revision,
            "identity": self.identity,
            "inputs": self.digests,
            "parents": self.parents,
            "execution": self.execution,
            "digest": digest or digest_of(digests),
            "counts": dict(sorted(counts.items())),
            "facts": facts or {},
            "index": file.object.as_dict(),
            "libraries": _versions(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        folder.create(MANIFEST, to_json(manifest))
        artifact = Artifact(folder, folder.read_json(MANIFEST))  # another attempt may have been first
        self._sweep(artifact)
        return artifact

    def _sweep(self, artifact: Artifact) -> None:
        """Delete what no shard counts: every shard is committed, so nobody can still need it."""
        kept = {o.name for o in artifact.objects()}
        attempts = (n for n in self.folder.list() if "/" in n and not n.startswith("shards/"))
        self.folder.delete([n for n in attempts if n not in kept])

    def as_dict(self) -> dict[str, Any]:
        """What a job on another machine needs to write into this step."""
        names = ("stage", "revision", "identity", "execution", "parents", "attempt")
        return {"root": self.root.url, "inputs": self.digests} | {n: getattr(self, n) for n in names}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Step":
        step = cls(**{k: v for k, v in value.items() if k != "parents"} | {"root": Store(value["root"])})
        step.parents = value["parents"]
        return step


def _write_index(file: Writer, shards: Iterable[Shard]) -> None:
    """One row a shard, with zstd; equal shards give equal bytes."""
    rows = (
        {k: v if isinstance(v, str) else to_json(v).decode() for k, v in s.as_dict().items()} for s in shards
    )
    with pq.ParquetWriter(file, _INDEX_SCHEMA, compression="zstd") as writer:
        while some := list(islice(rows, INDEX_ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema=_INDEX_SCHEMA))


class _Index:
    """The shards of an artifact, packed: in memory are their names, and what the file takes on the store."""

    def __init__(self, data: bytes):
        self._parquet = pq.ParquetFile(pa.BufferReader(data))
        self._names = self._parquet.read(["name"]).column("name").combine_chunks()
        self._last: tuple[int, pa.Table] = (-1, None)  # row group that was unpacked

    def each(self) -> Iterator[Shard]:
        for group in range(self._parquet.num_row_groups):
            yield from map(_shard_of, self._parquet.read_row_group(group).to_pylist())

    def shard(self, name: str) -> Shard:
        row = self.row_of(name)
        if row is None:
            raise KeyError(name)
        group = 0
        while row >= (rows := self._parquet.metadata.row_group(group).num_rows):
            group, row = group + 1, row - rows
        if self._last[0] != group:  # who reads all shards reads them in order
            self._last = group, self._parquet.read_row_group(group)
        return _shard_of(self._last[1].slice(row, 1).to_pylist()[0])

    def row_of(self, name: str) -> int | None:
        rows = range(len(self._names))
        row = bisect.bisect_left(rows, name, key=lambda i: self._names[i].as_py())
        return row if row in rows and self._names[row].as_py() == name else None


def _shard_of(row: dict[str, str]) -> Shard:
    plain = ("name", "digest")
    return Shard.from_dict({k: v if k in plain else json.loads(v) for k, v in row.items()})


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
