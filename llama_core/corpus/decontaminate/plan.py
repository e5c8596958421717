"""Decontamination: training documents that share a run of words with an evaluation set are left out.

It writes decisions about the corpus, which are applied when training text is read. So a new evaluation set
does not change the corpus, nor anything after it if no further document shares a run of words with it.
"""

import contextlib
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

from llama_core.artifact import Artifact, digest_of
from llama_core.corpus.decisions import ENDING, Decision, write_decisions
from llama_core.corpus.decontaminate.evaluation_sets import files, passages
from llama_core.corpus.decontaminate.index import Index, Span, read_index, write_index
from llama_core.corpus.decontaminate.word_runs import BLOCK_CHARS, plain
from llama_core.corpus.document import DROPPED_SCHEMA, Document, RowWriter, batched, read_documents
from llama_core.corpus.recipe import Decontaminate
from llama_core.phases import Phase, Plan
from llama_core.step import OpenShard, Step, committed_shard
from llama_core.store import Store

REVISION = 1
REASON = "contaminated"
DROPPED = f"dropped.{REASON}"
BENCHMARKS = "benchmarks"  # the shard that holds the index, and is no part of the finished step
TRAIN_OBJECT = "train.parquet"  # the object of a corpus shard that holds its training documents
LISTED = 5  # passages that the evidence on a document lists
SPAN_CHARS = 300  # characters of each of them
SAMPLES = 3  # dropped documents that each shard keeps as examples and as text
SAMPLE_CHARS = 2000  # characters of each text
EXAMPLES = 20  # examples that the step keeps of all shards


def plan(step: Step, corpus: Artifact, cfg: Decontaminate, data: str) -> Plan:
    """Yield the phases: the index of the evaluation sets, then decisions about each corpus shard.

    Only corpus shards with training documents are looked at. `data`: path or URL of the folder of the
    evaluation sets. The step's digest is made from the documents that are left out, whatever evaluation set
    they were found in. Raises InputError where a file cannot be read, and DamagedError.
    """
    yield Phase("benchmarks", {BENCHMARKS: data}, partial(benchmarks_shard, step, cfg))
    names = [s.name for s in corpus.shards if s.counts.get("documents.train")]
    yield Phase("shards", {name: name for name in names}, partial(decontaminate_shard, step, corpus, cfg))
    shards = step.committed_shards(names)
    [index] = step.committed_shards([BENCHMARKS])
    examples = [example for s in shards for example in s.facts["examples"]]
    return {
        "shards": names,
        "digest": digest_of([[s.name, s.digest] for s in shards if s.counts.get(DROPPED)]),
        "facts": index.facts | {"runs": index.counts["runs"], "examples": examples[:EXAMPLES]},
    }


def benchmarks_shard(step: Step, cfg: Decontaminate, data: str) -> None:
    """Write the index of the evaluation sets. Raises InputError."""
    store = Store(data)
    read, left = files(data)
    with step.shard(BENCHMARKS) as out:
        write_index(out, (p for name in read for p in passages(store, name)), cfg.ngram)
        out.facts["not_read"] = left


def decontaminate_shard(step: Step, corpus: Artifact, cfg: Decontaminate, name: str) -> None:
    """Write a decision about each training document of a corpus shard, in their order.

    Counts: documents = kept + dropped.contaminated, and hits.<evaluation set> of these documents; bytes are
    those of the documents that are kept. Raises DamagedError.
    """
    index = _index(step, cfg.ngram)
    with step.shard(name) as out, contextlib.ExitStack() as stack:
        out.facts |= {"source": corpus.shard(name).facts["source"], "examples": []}
        out.counts.update(documents=0, kept=0, bytes=0)
        dropped: list[str] = []
        samples = _Samples(out, stack)

        def decided() -> Iterator[Decision]:
            for documents in batched(read_documents(corpus, name, TRAIN_OBJECT), BLOCK_CHARS):
                found = index.find([plain(d.text) for d in documents])
                for document, spans in zip(documents, found, strict=True):
                    out.counts["documents"] += 1
                    if not spans:
                        out.counts["kept"] += 1
                        out.counts["bytes"] += len(document.text.encode())
                        yield Decision(document.id)
                        continue
                    dropped.append(document.id)
                    decision = Decision(document.id, REASON, evidence(index, document, spans))
                    samples.add(document, decision, {index.passage(s.passage).benchmark for s in spans})
                    yield decision

        with out.publish(f"{name}/{ENDING}") as writer:
            write_decisions(writer, decided())
        out.digest = digest_of(dropped)


def evidence(index: Index, document: Document, spans: list[Span]) -> dict[str, Any]:
    """Return how many runs of words were found in a document, and the longest spans that they make."""
    longest = sorted(sorted(spans, key=lambda s: s.start - s.end)[:LISTED], key=lambda s: s.start)
    text = plain(document.text)
    listed = []
    for span in longest:
        p = index.passage(span.passage)
        matched = text[span.start : min(span.end, span.start + SPAN_CHARS)]
        listed.append(
            {"benchmark": p.benchmark, "file": p.file, "item": p.item, "field": p.field, "text": matched}
        )
    return {"runs": sum(s.runs for s in spans), "passages": listed}


class _Samples:
    """Counts the dropped documents of a shard, and keeps some of them as examples and as text."""

    def __init__(self, out: OpenShard, stack: contextlib.ExitStack):
        self._out, self._stack = out, stack
        self._rows: RowWriter | None = None

    def add(self, document: Document, decision: Decision, benchmarks: set[str]) -> None:
        """Count a document that was found in these evaluation sets, and keep it if it is among the first."""
        out = self._out
        out.counts[DROPPED] += 1
        for benchmark in benchmarks:
            out.counts[f"hits.{benchmark}"] += 1
        if out.counts[DROPPED] > SAMPLES:
            return
        out.facts["examples"].append(
            {"document": document.url or document.id, **decision.evidence["passages"][0]}
        )
        if self._rows is None:
            writer = self._stack.enter_context(out.publish(f"{out.name}/dropped.parquet"))
            self._rows = self._stack.enter_context(RowWriter(writer, DROPPED_SCHEMA))
        self._rows.append((REASON, document.id, document.text[:SAMPLE_CHARS]))


def _index(step: Step, n: int) -> Index:
    """Return the index that `benchmarks_shard` wrote."""
    shard = step.committed(BENCHMARKS)
    assert shard is not None, "the evaluation sets were never read"
    return _read_once(step.folder.url, shard.digest, n)


@lru_cache(maxsize=1)
def _read_once(url: str, digest: str, n: int) -> Index:
    """Read the index in the shard with this digest, once in a process."""
    store = Store(url)
    shard = committed_shard(store, BENCHMARKS)
    assert shard.digest == digest
    return read_index(store, shard, n)
