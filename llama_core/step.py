"""A step: one stage's output, at an address made from what went into it.

    <store>/<stage>/<id>/<attempt>/...        objects, written by one attempt
    <store>/<stage>/<id>/shards/<name>.json   commits one shard: which attempt's objects count
    <store>/<stage>/<id>/manifest.json        commits the step; written last. It names the index of the shards

A shard is committed by the exclusive creation of one small object, so a killed step goes on where it
was, two writers cannot mix, and nobody waits for a lease. No manifest, no artifact.
"""

import contextlib
import functools
import importlib.metadata
import platform
import secrets
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, TypeAdapter

from llama_core.artifact import INDEX, MANIFEST, Artifact, Shard, StepName, digest_of, write_index
from llama_core.errors import DamagedError
from llama_core.objects import FileName, Object, Writer
from llama_core.parse import Text, Whole, damaged, shaped
from llama_core.section import in_address, in_full
from llama_core.store import MANY, Store, to_json

LIBRARIES = ("torch", "numpy", "pyarrow", "sentencepiece", "fsspec", "s3fs", "xxhash")

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
        """Return nothing: another input has the digest."""
        return {}

    def folders(self, role: str) -> dict[str, list[str]]:
        """Return the artifact's folder by role."""
        return self.artifact.folders(role)


@dataclass(frozen=True)
class Named:
    """A step, finished or not, that the identity names: it adds a parent and no digest."""

    folder: str

    def digests(self, role: str) -> dict[str, str]:
        """Return nothing: the identity has its name."""
        return {}

    def folders(self, role: str) -> dict[str, list[str]]:
        """Return the step's folder by role."""
        return {role: [self.folder]}


class OpenShard:
    """A shard that is being written: its caller publishes objects into it, counts, and notes facts."""

    def __init__(self, step: "Step", name: str):
        self._step, self.name = step, name
        self.objects: list[Object] = []
        self.counts: Counter[str] = Counter()
        self.facts: dict[str, Any] = {}
        self.digest: str | None = None  # set by the caller where equal outputs may differ in their bytes

    @contextlib.contextmanager
    def publish(self, name: str) -> Iterator[Writer]:
        """Open `name` in this attempt's folder for writing, and publish it at the end of the block."""
        with self._step.folder.publish(self._step.place_of(name)) as writer:
            yield writer
        assert writer.object is not None
        self.objects.append(writer.object)

    def publish_bytes(self, name: str, data: bytes) -> Object:
        """Publish `data` as `name` in this attempt's folder."""
        with self.publish(name) as file:
            file.write(data)
        return self.objects[-1]

    def _sealed(self) -> Shard:
        """Return the shard as it is now, ready to be committed."""
        objects = tuple(sorted(self.objects, key=lambda o: o.name))
        plain = [(o.name.removeprefix(self._step.place_of("")), o.size, o.sha256) for o in objects]
        digest = self.digest or digest_of(plain)
        return Shard(self.name, digest, objects, dict(sorted(self.counts.items())), self.facts)


class Step:
    """One stage's work at its address.

    `identity` holds the settings that change the output, as sections give them: the manifest shows them all,
    and the address is made from those that are no defaults. `execution` holds the settings that change only
    how it is made.
    `inputs` says by role what the step reads: artifacts, or the digests (str) of data from outside. From them
    follow `digests`, which the address is made from, and `parents`, the folders of the artifacts. `revision`
    is raised when the stage's code gives another output for the same inputs.
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
        self.identity, self.address = in_full(identity), in_address(identity)
        self.execution = execution or {}
        self.attempt = new_attempt() if attempt is None else attempt
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
        """The digest of everything that goes into the step."""
        return digest_of([self.stage, self.revision, self.address, self.digests])

    @property
    def name(self) -> str:
        """The step's folder on the store, `<stage>/<id>`."""
        return f"{self.stage}/{self.id[:16]}"

    @functools.cached_property  # to make it takes as long as to write a small object
    def folder(self) -> Store:
        """The store, seen from the step's folder."""
        return self.root.at(self.name)

    def place_of(self, name: str) -> str:
        """Return where this attempt writes `name`, relative to the step's folder."""
        return f"{self.attempt}/{name}"

    def finished(self) -> Artifact | None:
        """Return the artifact if the step has a manifest and every object still has its size, else None.

        Raises DamagedError where an object is missing or cut short: reuse never trusts a name alone.
        """
        folder = self.folder
        try:
            artifact = Artifact.open(folder)
        except FileNotFoundError:
            return None
        if (artifact.stage, artifact.id) != (self.stage, self.id):
            raise DamagedError(f"{folder.url_of(MANIFEST)} belongs to another step: {artifact.name}")
        sizes = folder.sizes()
        for entry in artifact.objects():
            if sizes.get(entry.name) != entry.size:
                raise DamagedError(
                    f"{folder.url_of(entry.name)} is missing or cut. "
                    f"Delete {folder.url} to make this step again."
                )
        return artifact

    def committed(self, name: str) -> Shard | None:
        """Return the shard if an attempt has committed it, else None. Raises DamagedError."""
        try:
            return committed_shard(self.folder, name)
        except FileNotFoundError:
            return None

    def committed_names(self) -> set[str]:
        """Return the names of all committed shards, which takes one listing."""
        return committed_names(self.folder)

    def committed_shards(self, names: Iterable[str]) -> list[Shard]:
        """Return the shards of these names, all of them committed, in the order of their names."""
        return list(self.each_committed(names))

    def each_committed(self, names: Iterable[str]) -> Iterator[Shard]:
        """Yield what `committed_shards` returns, with at most MANY shards in memory at a time."""
        names = sorted(names)
        for start in range(0, len(names), MANY):
            some = names[start : start + MANY]
            commits = [f"shards/{name}.json" for name in some]
            for name, commit, data in zip(some, commits, self.folder.read_many(commits), strict=True):
                yield Shard.from_json(data, self.folder.url_of(commit), name)

    @contextlib.contextmanager
    def shard(self, name: str) -> Iterator[OpenShard]:
        """Write a shard, and commit it at the end of the block.

        Of two attempts that write a shard at the same time, the first to commit it wins, and the objects of
        the other are deleted. Two workers of one attempt may write it, too, where an engine took one of them
        for lost. They write the same objects under the same names, which stay.
        """
        draft = OpenShard(self, name)
        yield draft
        sealed = draft._sealed()
        if not self.folder.create(f"shards/{name}.json", to_json(sealed.as_dict())):
            self.discard(name, sealed.objects)

    def discard(self, name: str, objects: Iterable[Object]) -> None:
        """Delete the objects of an attempt whose shard does not count, but for those of the committed one."""
        winner = self.committed(name)
        counted = {o.name for o in winner.objects} if winner else set()
        self.folder.delete([o.name for o in objects if o.name not in counted])

    def commit(
        self,
        shards: list[str],
        digest: str | None = None,
        facts: dict[str, Any] | None = None,
        derived: Collection[str] = (),
    ) -> Artifact:
        """Write the manifest and its index over these shards, and delete the objects that are in no shard.

        All of the shards must be committed. `digest` replaces the digest over the shards where a stage knows
        better which outputs are the same. `derived`: those of the shards that are made of the others, and so
        have no part in it.
        """
        folder = self.folder
        counts: Counter[str] = Counter()
        digests: list[tuple[str, str]] = []

        def seen() -> Iterator[Shard]:  # counts them on the way: they may be too many for the memory
            for shard in self.each_committed(shards):
                counts.update(shard.counts)
                if shard.name not in derived:
                    digests.append((shard.name, shard.digest))
                yield shard

        with folder.publish(self.place_of(INDEX)) as file:
            write_index(file, seen())
        assert file.object is not None
        manifest = {
            "stage": self.stage,
            "id": self.id,
            "revision": self.revision,
            "identity": self.identity,
            "address": self.address,
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
        artifact = Artifact.open(folder)  # another attempt may have been first
        self._sweep(artifact)
        return artifact

    def _sweep(self, artifact: Artifact) -> None:
        """Delete the objects that are in no shard: all are committed, so nobody can still need these."""
        kept = {o.name for o in artifact.objects()}
        attempts = (n for n in self.folder.list() if "/" in n and not n.startswith("shards/"))
        self.folder.delete([n for n in attempts if n not in kept])

    def as_dict(self) -> dict[str, Any]:
        """Return, as a JSON value, what a program on another machine needs to write into this step."""
        names = ("stage", "revision", "identity", "address", "execution", "parents", "attempt")
        return {"root": self.root.url, "inputs": self.digests} | {n: getattr(self, n) for n in names}

    @classmethod
    def from_dict(cls, value: Any, what: str = "the step") -> "Step":
        """Return the step that `as_dict` wrote. Raises DamagedError, which calls it `what`."""
        plan = shaped(_PLAN, value, what)
        names = ("stage", "revision", "identity", "inputs", "execution", "attempt")
        step = cls(Store(plan.root), **{name: getattr(plan, name) for name in names})
        if not _is_part(plan.address, plan.identity):
            raise damaged(what, "its address is made from other settings than its identity")
        step.parents, step.address = dict(plan.parents), plan.address
        return step


def new_attempt() -> str:
    """Return a name that no other attempt has."""
    return "a-" + secrets.token_hex(4)


def committed_shard(folder: Store, name: str) -> Shard:
    """Return a shard of the step in a folder. Raises FileNotFoundError where it is not committed."""
    commit = f"shards/{name}.json"
    return Shard.from_dict(folder.read_json(commit), folder.url_of(commit), name)


def committed_names(folder: Store) -> set[str]:
    """Return the names of all committed shards of the step in a folder, which takes one listing."""
    return {n.removeprefix("shards/").removesuffix(".json") for n in folder.list("shards")}


class _Plan(BaseModel):
    """What `Step.as_dict` writes."""

    root: Text
    stage: FileName
    revision: Whole
    identity: dict[Text, Any]
    address: dict[Text, Any]
    execution: dict[Text, Any]
    inputs: dict[Text, Text]
    parents: dict[Text, list[StepName]]
    attempt: FileName | None


_PLAN = TypeAdapter(_Plan)


def _is_part(part: Any, whole: Any) -> bool:
    """Tell whether a JSON value is another one of whose objects some keys may be left out."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _is_part(value, whole[key]) for key, value in part.items())
    return bool(part == whole)


@functools.cache  # to read them takes as long as to commit a shard
def _versions() -> dict[str, str]:
    """Return the versions of Python and of those of the LIBRARIES that are installed."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
