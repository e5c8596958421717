"""Ingest: raw records to documents, one step a source. Every record is counted once.

raw = members + non_content.<kind> + dropped.<reason> + quarantined.<error>, for each shard, where
`members` are the raw records that the documents were made of: one each, unless the source merges them. Bytes
between raw records are counted by themselves, as `skipped_bytes`.

Where a raw file cannot be read without something out of others, a first phase collects that from all of them.
"""

import contextlib
import importlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple
from functools import lru_cache, partial
from typing import Any, cast

import pyarrow as pa

from llama_core.corpus.document import (
    DROPPED_SCHEMA,
    QUARANTINE_SCHEMA,
    SCHEMA,
    Document,
    Dropped,
    NonContent,
    Noted,
    Outcome,
    RowWriter,
)
from llama_core.corpus.recipe import Source
from llama_core.corpus.sources.kind import CollectingModule, SourceModule
from llama_core.corpus.sources.raw import Raw
from llama_core.corpus.table import read_groups
from llama_core.errors import InputError
from llama_core.objects import Object
from llama_core.phases import Phase, Plan
from llama_core.step import OpenShard, Step
from llama_core.store import Store

Objects = dict[str, list[Object]]

REVISION = 8
COLLECTED = "collected."  # how the names of the first phase's shards begin; the artifact does not hold these
SAMPLES = 3  # texts that each shard keeps, to be read by eye, of those dropped for one reason
SAMPLE_CHARS = 2000  # characters that are kept of such a text


def reader(kind: str) -> SourceModule[Any]:
    """Return the module of `sources/` that reads a kind of source.

    Raises InputError where a library that it needs is not installed.
    """
    try:
        return cast("SourceModule[Any]", importlib.import_module(f"llama_core.corpus.sources.{kind}"))
    except ModuleNotFoundError as error:
        raise InputError(
            f"sources of kind {kind} need {error.name}: pip install 'llama-pretrain[corpus]'"
        ) from error


def identity(source_name: str, source: Source) -> dict[str, Any]:
    """Return what the documents of a source depend on beside its raw files: not how they are cleaned."""
    fields = source.identity()
    return {k: v for k, v in fields.items() if k not in ("clean", "urls")} | {"source": source_name}


def raw_files(source_name: str, source: Source) -> list[Raw]:
    """Return the raw files of a source, each of which becomes a shard. No text is downloaded for it.

    They are the first so many if the source has a limit. Raises InputError.
    """
    raws = reader(source.kind).raw_files(source, f"corpus.sources.{source_name}")
    return raws[: source.limit.files] if source.limit else raws


def plan(step: Step, source_name: str, source: Source, raws: Iterable[Raw]) -> Plan:
    """Yield the phases: what a source collects of all its raw files, if it does; then a shard for each.

    With a limit of documents, one raw file after another is read until there are so many.
    """
    objects: Objects = {}
    shards = {raw.name: raw for raw in raws}
    if source.limit is None or source.limit.documents is None:
        yield from _collect(step, source, shards, objects)
        work = partial(ingest_shard, step, source_name, source, objects=objects)
        yield Phase("shards", shards, work)
        return {"shards": list(shards)}
    left = source.limit.documents
    names: list[str] = []
    for name, raw in shards.items():
        yield from _collect(step, source, {name: raw}, objects)
        work = partial(ingest_shard, step, source_name, source, objects=objects, most=left)
        yield Phase("shards", {name: raw}, work)
        names.append(name)
        left -= step.committed_shards([name])[0].counts.get("documents", 0)
        if left <= 0:
            break
    return {"shards": names}


def _collect(step: Step, source: Source, raws: Mapping[str, Raw], objects: Objects) -> Iterator[Phase]:
    """Yield the phase that collects of raw files, if the source does, and add what it made to `objects`."""
    if not isinstance(reader(source.kind), CollectingModule):
        return
    first = {COLLECTED + name: raw for name, raw in raws.items()}
    yield Phase("first reading", first, partial(_collect_shard, step, source))
    for shard in step.each_committed(first):
        for entry in shard.objects:
            objects.setdefault(shard.facts["group"], []).append(entry)


def _collect_shard(step: Step, source: Source, raw: Raw) -> None:
    """Make the shard of what a source collects of one raw file. Its objects are read in the next phase."""
    module = reader(source.kind)
    assert isinstance(module, CollectingModule)
    with step.shard(COLLECTED + raw.name) as out, contextlib.ExitStack() as stack:
        rows: RowWriter | None = None
        for group, row in module.collect(source, raw):
            if rows is None:
                out.facts["group"] = group
                writer = stack.enter_context(out.publish(f"{out.name}/collected.parquet"))
                rows = stack.enter_context(RowWriter(writer, module.COLLECTED_SCHEMA))
            rows.append(row)


def ingest_shard(
    step: Step,
    source_name: str,
    source: Source,
    raw: Raw,
    objects: Objects | None = None,
    most: int | None = None,
) -> None:
    """Make the shard of one raw file: `documents.parquet` and, where they have rows, `quarantine.parquet` and
    `dropped.parquet` (samples of what was left out).

    `objects`: what the first phase collected, by group. `most`: the number of documents after which reading
    ends. Raises InputError, and StoreError where the raw file cannot be read on.
    """
    module = reader(source.kind)
    if isinstance(module, CollectingModule):
        collected = partial(_collected, source.kind, step.folder.url, objects or {})
        outcomes = module.read(source_name, source, raw, collected)
    else:
        outcomes = module.read(source_name, source, raw)
    with step.shard(raw.name) as out:
        out.facts |= raw.facts | {"source": source_name, "url": raw.url}
        with contextlib.ExitStack() as stack:
            writer = _OutcomeWriter(out, stack)
            for outcome in outcomes:
                writer.put(outcome)
                if most is not None and out.counts["documents"] >= most:
                    break


def _collected(kind: str, folder: str, objects: Objects, group: str) -> Any:
    """Return what was collected of the raw files of a group."""
    return _gathered(kind, folder, tuple(objects.get(group, ())))


@lru_cache(maxsize=1)
def _gathered(kind: str, folder: str, objects: tuple[Object, ...]) -> Any:
    """Return what was collected in some objects. A worker process reads it once for many shards."""
    module, store = reader(kind), Store(folder)
    assert isinstance(module, CollectingModule)
    batches = (batch for entry in objects for batch in read_groups(store, entry))
    return module.gathered(row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True))


class _OutcomeWriter:
    """Writes the outcomes of one raw file to the objects of its shard, and counts them."""

    def __init__(self, out: OpenShard, stack: contextlib.ExitStack):
        self._out, self._stack = out, stack
        self._documents = self._open("documents", SCHEMA)
        self._others: dict[str, RowWriter] = {}
        self._sampled: Counter[str] = Counter()

    def put(self, outcome: Outcome) -> None:
        counts = self._out.counts
        if isinstance(outcome, Document):
            counts["raw"] += outcome.members
            counts["members"] += outcome.members
            counts["documents"] += 1
            counts["bytes"] += len(outcome.text.encode())
            self._documents.append(outcome.row())
        elif isinstance(outcome, NonContent):
            counts["raw"] += outcome.count
            counts[f"non_content.{outcome.kind}"] += outcome.count
        elif isinstance(outcome, Noted):
            counts.update(outcome.counts)
        elif isinstance(outcome, Dropped):
            counts["raw"] += 1
            counts[f"dropped.{outcome.reason}"] += 1
            if outcome.text and self._sampled[outcome.reason] < SAMPLES:
                self._sampled[outcome.reason] += 1
                row = (outcome.reason, outcome.record, outcome.text[:SAMPLE_CHARS])
                self._other("dropped", DROPPED_SCHEMA).append(row)
        else:
            counts["raw"] += 1
            counts[f"quarantined.{outcome.error}"] += 1
            self._other("quarantine", QUARANTINE_SCHEMA).append(astuple(outcome))

    def _other(self, name: str, schema: pa.Schema) -> RowWriter:
        if name not in self._others:
            self._others[name] = self._open(name, schema)
        return self._others[name]

    def _open(self, name: str, schema: pa.Schema) -> RowWriter:
        writer = self._stack.enter_context(self._out.publish(f"{self._out.name}/{name}.parquet"))
        return self._stack.enter_context(RowWriter(writer, schema))
