"""Ingest: raw records to documents, one step a source. Every record is counted once.

raw = members + non_content.<kind> + dropped.<reason> + quarantined.<error>, for each shard, where
`members` are the raw records that the documents were made of: one each, unless the source merges them. Bytes
between raw records are counted by themselves, as `skipped_bytes`.
"""

import contextlib
import importlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple
from functools import partial
from typing import Any, cast

import pyarrow as pa

from llama_core.corpus.document import (
    DROPPED_SCHEMA,
    QUARANTINE_SCHEMA,
    SCHEMA,
    Document,
    Dropped,
    NonContent,
    Outcome,
    RowWriter,
    Skipped,
)
from llama_core.corpus.recipe import Source
from llama_core.corpus.sources.kind import SourceModule
from llama_core.corpus.sources.raw import Raw
from llama_core.errors import InputError
from llama_core.phases import Phase, Plan, one_phase
from llama_core.step import OpenShard, Step

REVISION = 5
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
    """Make a shard of each raw file; with a limit of documents, one by one until there are so many."""
    if source.limit is None or source.limit.documents is None:
        work = partial(ingest_shard, step, source_name, source)
        return (yield from one_phase({raw.name: raw for raw in raws}, work))
    left = source.limit.documents
    names: list[str] = []
    for raw in raws:
        yield Phase("shards", {raw.name: raw}, partial(ingest_shard, step, source_name, source, most=left))
        names.append(raw.name)
        left -= step.committed_shards([raw.name])[0].counts.get("documents", 0)
        if left <= 0:
            break
    return {"shards": names}


def ingest_shard(step: Step, source_name: str, source: Source, raw: Raw, most: int | None = None) -> None:
    """Make the shard of one raw file: `documents.parquet` and, where they have rows, `quarantine.parquet` and
    `dropped.parquet` (samples of what was left out).

    `most`: the number of documents after which reading ends. Raises InputError, and StoreError where the raw
    file cannot be read on.
    """
    with step.shard(raw.name) as out:
        out.facts |= raw.facts | {"source": source_name, "url": raw.url}
        with contextlib.ExitStack() as stack:
            writer = _OutcomeWriter(out, stack)
            for outcome in reader(source.kind).read(source_name, source, raw):
                writer.put(outcome)
                if most is not None and out.counts["documents"] >= most:
                    break


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
        elif isinstance(outcome, Dropped):
            counts["raw"] += 1
            counts[f"dropped.{outcome.reason}"] += 1
            if outcome.text and self._sampled[outcome.reason] < SAMPLES:
                self._sampled[outcome.reason] += 1
                row = (outcome.reason, outcome.record, outcome.text[:SAMPLE_CHARS])
                self._other("dropped", DROPPED_SCHEMA).append(row)
        elif isinstance(outcome, Skipped):
            counts["skipped_bytes"] += outcome.size
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
