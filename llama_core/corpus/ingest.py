"""Ingest: raw records to documents, one step a source. Every record is counted once.

raw = members + non_content.<kind> + dropped.<reason> + quarantined.<error>, for each shard, where
`members` are the raw records that the documents were made of: one each, unless the source merges them.
"""

import contextlib
import importlib
from collections import Counter
from dataclasses import astuple
from types import ModuleType
from typing import Any

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
)
from llama_core.corpus.recipe import Dataset, Packages, Source
from llama_core.corpus.sources import packages
from llama_core.corpus.sources.raw import Raw, raw_files, unchanged
from llama_core.errors import InputError
from llama_core.step import OpenShard, Step

REVISION = 4
SAMPLES = 3  # of the texts dropped for a reason, kept of each shard to be read by eye
SAMPLE_CHARS = 2000


def reader(kind: str) -> ModuleType:
    """The module of `sources/` that reads a kind. It has `ENDINGS` and `read(source_name, source, raw)`.

    Raises InputError where a library that it needs is not installed.
    """
    try:
        return importlib.import_module(f"llama_core.corpus.sources.{kind}")
    except ModuleNotFoundError as error:
        raise InputError(
            f"sources of kind {kind} need {error.name}: pip install 'llama-pretrain[corpus]'"
        ) from error


def identity(source_name: str, source: Source) -> dict[str, Any]:
    """What the documents of a source depend on, beside the raw shards: not on how they are cleaned."""
    fields = source.identity()
    return {k: v for k, v in fields.items() if k not in ("clean", "urls")} | {"source": source_name}


def raw_shards(source_name: str, source: Source) -> list[Raw]:
    """The raw shards of a source. No text is downloaded: a file is known by URL, size and checksum or
    ETag, a package by its RECORD. Raises InputError."""
    key = f"corpus.sources.{source_name}"
    if isinstance(source, Packages):
        return packages.raw_shards(source, key)
    module = reader(source.kind)
    if isinstance(source, Dataset):
        return module.plan(source, key)
    raws = raw_files(source, key, module.ENDINGS, folders=getattr(module, "FOLDERS", False))
    return module.choose(raws) if hasattr(module, "choose") else raws  # of several forms of one text


def ingest_shard(step: Step, source_name: str, source: Source, raw: Raw) -> None:
    """Write `documents.parquet` of one raw shard and, where there are any, `quarantine.parquet` and
    `dropped.parquet` (samples of what was left out). Raises InputError."""
    with step.shard(raw.name) as out:
        if isinstance(source, Packages):
            out.facts |= packages.describe(source, raw)
        else:
            out.facts |= {"group": None}  # its documents are held out, or not, one by one
        out.facts |= {"source": source_name, "url": raw.url}
        with contextlib.ExitStack() as stack:
            shelf = _Shelf(out, stack)
            with _known(source, raw) as known:
                for outcome in reader(source.kind).read(source_name, source, known):
                    shelf.put(outcome)


def _known(source: Source, raw: Raw) -> contextlib.AbstractContextManager[Raw]:
    """As planned: of packages and datasets, the reader sees to that."""
    return contextlib.nullcontext(raw) if isinstance(source, Packages | Dataset) else unchanged(source, raw)


class _Shelf:
    """The objects of one shard, opened when they have a first row, and the counts."""

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
