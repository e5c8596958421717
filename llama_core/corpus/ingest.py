"""Ingest: raw records to documents, one step a source. Every record is counted once.

raw = documents + dropped.<reason> + quarantined.<error>, for each shard.
"""

import contextlib
from dataclasses import astuple
from types import ModuleType

from llama_core.corpus.document import QUARANTINE_SCHEMA, SCHEMA, Document, Dropped, Rows
from llama_core.corpus.sources import files, packages
from llama_core.errors import InputError
from llama_core.recipe import Source
from llama_core.step import OpenShard, Step

REVISION = 1

SOURCES: dict[str, ModuleType] = {"packages": packages, "files": files}


def plan(source_name: str, source: Source) -> dict[str, str]:
    """The shards of a source, each with the digest of the outside data that it reads.

    Nothing is downloaded: a file is known by URL, size and ETag, a package by its RECORD.
    Raises InputError.
    """
    return SOURCES[source.kind].plan(source, f"corpus.sources.{source_name}")


def ingest_shard(step: Step, source_name: str, source: Source, shard: str) -> None:
    """Write `documents.parquet` of one package or file and, if any record could not be read,
    `quarantine.parquet`. Raises InputError."""
    module = SOURCES[source.kind]
    if module.digest(source, shard) != step.inputs[shard]:
        raise InputError(f"{shard} of source {source_name} has changed since this run planned it: run again")
    with step.shard(shard) as out:
        out.facts |= {"source": source_name} | module.describe(source, shard)
        with contextlib.ExitStack() as stack:
            documents = _rows(stack, out, f"{shard}/documents.parquet", SCHEMA)
            quarantine: Rows | None = None
            for outcome in module.read(source_name, source, shard):
                out.counts["raw"] += 1
                if isinstance(outcome, Document):
                    out.counts["documents"] += 1
                    out.counts["bytes"] += len(outcome.text.encode())
                    documents.append(astuple(outcome))
                elif isinstance(outcome, Dropped):
                    out.counts[f"dropped.{outcome.reason}"] += 1
                else:
                    out.counts[f"quarantined.{outcome.error}"] += 1
                    quarantine = quarantine or _rows(
                        stack, out, f"{shard}/quarantine.parquet", QUARANTINE_SCHEMA
                    )
                    quarantine.append(astuple(outcome))


def _rows(stack: contextlib.ExitStack, out: OpenShard, name: str, schema: object) -> Rows:
    return stack.enter_context(Rows(stack.enter_context(out.publish(name)), schema))
