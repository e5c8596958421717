"""Who stays: the global part of dedup. It sees keys and signatures, never text.

Groups are held out before anything is compared. Documents stand in one order of rank (training before
held-out, then the longer text, then the smaller id) and the first of a cluster stays, so that neither
the order nor the partitioning of the input changes who survives.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from llama_core.corpus.dedup.exact import first_of_equals
from llama_core.corpus.dedup.minhash import Signatures, components, near_pairs, similarity
from llama_core.corpus.dedup.signatures import SIGNATURES
from llama_core.corpus.document import Rows
from llama_core.corpus.recipe import Corpus
from llama_core.errors import InputError
from llama_core.step import Artifact, Step

EXAMPLES = 10

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("keep", pa.bool_()),
        ("reason", pa.string()),
        ("evidence", pa.string()),
        ("similarity", pa.float64()),
    ]
)


@dataclass
class Table:
    """All documents, one row each, shard by shard in the order of ingest."""

    shards: list[str]  # `<source>.<ingest shard>`
    groups: list[str | None]  # of each shard
    sizes: list[int]  # documents of each shard
    ids: npt.NDArray[np.str_]  # (n,)
    urls: list[str]
    digests: npt.NDArray[np.bytes_]  # (n,) sha256 of the text
    chars: npt.NDArray[np.int64]  # (n,)
    signatures: Signatures  # (n, bands * rows)


@dataclass
class Decisions:
    """`reason` is empty where a document is kept; `evidence` is the row it gave way to, else -1.

    A cluster is a connected component: `similarity` is to its survivor, and may lie below the threshold
    where the two are linked by others between them.
    """

    heldout: npt.NDArray[np.bool_]
    reason: npt.NDArray[np.str_]
    evidence: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]


def decide(step: Step, ingested: dict[str, Artifact], cfg: Corpus) -> dict[str, Any]:
    """Commit a decisions shard for each ingest shard, from the signatures that this step holds.

    Returns the step's facts: `clusters`, and `examples` of near-duplicates. Raises InputError where
    `corpus.holdout` names no group, DamagedError.
    """
    table = _load(step, ingested)
    heldout = hold_out(table, cfg)
    decisions = compare(table, heldout, cfg)
    start = 0
    for name, group, size in zip(table.shards, table.groups, table.sizes, strict=True):
        if step.committed(name) is None:
            _write(step, name, group, table, decisions, range(start, start + size))
        start += size
    return _facts(table, decisions)


def hold_out(table: Table, cfg: Corpus) -> npt.NDArray[np.bool_]:
    """bool (n,): the documents of held-out groups; a document without a group is a group by itself."""
    unknown = sorted(set(cfg.holdout) - {g for g in table.groups if g})
    if unknown:
        known = ", ".join(sorted({g for g in table.groups if g})) or "none"
        raise InputError(f"corpus.holdout names {', '.join(unknown)}, which is no group; there are: {known}")
    heldout = np.zeros(len(table.ids), bool)
    start = 0
    for group, size in zip(table.groups, table.sizes, strict=True):
        rows = slice(start, start + size)
        if group is None:
            heldout[rows] = [_drawn(i, cfg) for i in table.ids[rows]]
        else:
            heldout[rows] = group in cfg.holdout or _drawn(group, cfg)
        start += size
    return heldout


def _drawn(group: str, cfg: Corpus) -> bool:
    if not cfg.holdout_fraction:
        return False
    digest = hashlib.sha256(f"holdout\0{cfg.dedup.seed}\0{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < cfg.holdout_fraction * 2**64


def compare(table: Table, heldout: npt.NDArray[np.bool_], cfg: Corpus) -> Decisions:
    """Exact duplicates first, then near-duplicates among the texts that are left."""
    n = len(table.ids)
    ranked = np.lexsort((table.ids, -table.chars, heldout))
    held = heldout[ranked]
    reason = np.full(n, "", "<U12")
    evidence = np.full(n, -1)
    agreement = np.full(n, np.nan)

    first = first_of_equals(table.digests[ranked])
    copies = np.flatnonzero(first != np.arange(n))
    reason[copies] = np.where(held[copies] & ~held[first[copies]], "heldout_near", "exact")
    evidence[copies], agreement[copies] = first[copies], 1.0

    texts = np.flatnonzero(first == np.arange(n))
    signatures = table.signatures[ranked[texts]]
    survivor = components(len(texts), near_pairs(signatures, cfg.dedup))
    lost = np.flatnonzero(survivor != np.arange(len(texts)))
    pairs = np.stack([survivor[lost], lost], axis=1)
    rows, winners = texts[lost], texts[survivor[lost]]
    reason[rows] = np.where(held[rows] & ~held[winners], "heldout_near", "near")
    evidence[rows], agreement[rows] = winners, similarity(signatures, pairs)

    result = Decisions(heldout, np.empty_like(reason), np.empty_like(evidence), np.empty_like(agreement))
    result.reason[ranked] = reason
    result.evidence[ranked] = np.where(evidence < 0, -1, ranked[evidence])
    result.similarity[ranked] = agreement
    return result


def _load(step: Step, ingested: dict[str, Artifact]) -> Table:
    shards, groups, tables = [], [], []
    for source, artifact in sorted(ingested.items()):
        for shard in artifact.shards:
            name = f"{source}.{shard.name}"
            signed = step.committed(SIGNATURES + name)
            assert signed is not None, f"{name} was never signed"
            entry = signed.object("signatures.parquet")
            data = step.folder.read(entry.name, expect=entry)
            tables.append(pq.read_table(pa.BufferReader(data)))
            shards.append(name)
            groups.append(shard.facts["group"])
    whole = pa.concat_tables(tables)
    signatures = whole["signature"].combine_chunks()
    width = signatures.type.list_size
    return Table(
        shards=shards,
        groups=groups,
        sizes=[t.num_rows for t in tables],
        ids=np.array(whole["id"].to_pylist(), dtype=np.str_),
        urls=whole["url"].to_pylist(),
        digests=np.array(whole["sha256"].to_pylist(), dtype="V32"),
        chars=whole["chars"].to_numpy(),
        signatures=signatures.flatten().to_numpy().reshape(-1, width),
    )


def _write(step: Step, name: str, group: str | None, table: Table, decisions: Decisions, rows: range) -> None:
    with step.shard(name) as out, out.publish(f"{name}/decisions.parquet") as writer:
        out.facts |= {"source": name.split(".", 1)[0], "group": group}
        counts: Counter[str] = Counter(documents=len(rows))
        with Rows(writer, SCHEMA) as parquet:
            for row in rows:
                split = "heldout" if decisions.heldout[row] else "train"
                reason = str(decisions.reason[row])
                counts[f"dropped.{reason}" if reason else f"kept.{split}"] += 1
                evidence = str(table.ids[decisions.evidence[row]]) if reason else None
                agreement = float(decisions.similarity[row]) if reason else None
                parquet.append((str(table.ids[row]), split, not reason, reason or None, evidence, agreement))
        out.counts.update(counts)


def _facts(table: Table, decisions: Decisions) -> dict[str, Any]:
    """The examples are the same at every run: the first by id."""
    near = np.flatnonzero(np.isin(decisions.reason, ["near", "heldout_near"]))
    chosen = near[np.argsort(table.ids[near])][:EXAMPLES]
    examples = [
        {
            "dropped": table.urls[row],
            "kept": table.urls[decisions.evidence[row]],
            "similarity": round(float(decisions.similarity[row]), 3),
        }
        for row in chosen
    ]
    clusters = np.unique(decisions.evidence[decisions.evidence >= 0])
    return {"clusters": len(clusters), "examples": examples}
