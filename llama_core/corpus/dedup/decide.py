"""Decisions: what became of each document, written for each ingest shard, and what to say of the whole."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from llama_core.corpus.decisions import ENDING, Decision, Documents, write_decisions
from llama_core.corpus.dedup.scratch import Layout, Scratch, Table, Unit, hex_of
from llama_core.corpus.dedup.verdicts import REASONS, drop_books, judge
from llama_core.corpus.lookup import find_id, read_row
from llama_core.corpus.partition import Partition, Runs, publish_runs
from llama_core.step import Shard, Step

EXAMPLES = 10
FAR = 0.7  # similarity to its survivor below which a document was removed for the sake of those between


def write_verdicts(
    scratch: Scratch,
    layout: Layout,
    units: list[Unit],
    signed: Runs,
    copies: Runs,
    near: Runs,
    overlaps: Runs | None,
    unit: int,
) -> None:
    """Write what became of a unit's documents: `verdicts` by ingest shard."""
    table = layout.signed(signed, unit)
    verdicts = judge(layout, table, layout.copies(copies, table, unit), near.read(unit), unit)
    shard = layout.shard_of(signed, unit)
    if overlaps:
        found = overlaps.read(unit)
        most = np.array([scratch.max_overlap(source) or 1.0 for source, _ in units[unit].shards])
        large = found["share"] > most[shard[layout.within(found["row"], unit)]]
        drop_books(layout, verdicts, found[large], unit)
    with scratch.shard("verdicts", unit) as out:
        out.facts |= _facts(verdicts, shard, units[unit])
        publish_runs(out, "verdicts", verdicts, shard, layout.most_shards)


def write_shard(
    step: Step, documents: dict[str, Documents], verdicts: Runs, where: tuple[str, str, int, int]
) -> None:
    """Commit the decisions on one ingest shard, `<source>.<shard>`.

    `where`: the source, the ingest shard, its unit, and its place in the unit. Raises DamagedError.
    """
    source, shard, unit, place = where
    name = f"{source}.{shard}"
    rows = verdicts.read_one(unit, place)
    with step.shard(name) as out:
        with out.publish(f"{name}/{ENDING}") as writer:
            write_decisions(writer, _decisions(rows))
        out.counts.update(_counts(rows))
        out.facts |= {"source": source, "group": documents[source].ingested.shard(shard).facts["group"]}


def _decisions(verdicts: Table) -> Iterator[Decision]:
    for row in verdicts:
        decision = Decision(hex_of(row["hi"], row["lo"]), REASONS[row["reason"]])
        if not decision.keep:
            kept = hex_of(row["kept_hi"], row["kept_lo"])
            decision.evidence = {"kept": kept, "similarity": round(float(row["similarity"]), 4)}
        yield decision


def _counts(verdicts: Table) -> dict[str, int]:
    stays, heldout = verdicts["reason"] == 0, verdicts["heldout"]
    counts = {"kept.train": int((stays & ~heldout).sum()), "kept.heldout": int((stays & heldout).sum())}
    for number, reason in enumerate(REASONS):
        if reason:
            counts[f"dropped.{reason}"] = int((verdicts["reason"] == number).sum())
    return {"documents": len(verdicts)} | {name: n for name, n in counts.items() if n}


def _facts(verdicts: Table, shard: Partition, unit: Unit) -> dict[str, Any]:
    """What a unit adds to the step's facts. `examples`: the first by id, which is the same at every run."""
    near = np.flatnonzero(verdicts["near"])
    chosen = near[np.lexsort([verdicts["lo"][near], verdicts["hi"][near]])][:EXAMPLES]
    return {
        "clusters": int((verdicts["cluster"] > 1).sum()),
        "largest": int(verdicts["cluster"].max(initial=0)),
        "near": len(near),
        "far": int((verdicts["similarity"][near] < FAR).sum()),
        "examples": [
            {
                "id": hex_of(verdicts["hi"][row], verdicts["lo"][row]),
                "shard": unit.shards[shard[row]],
                "kept": hex_of(verdicts["kept_hi"][row], verdicts["kept_lo"][row]),
                "kept_row": int(verdicts["kept_row"][row]),
                "similarity": round(float(verdicts["similarity"][row]), 3),
            }
            for row in chosen
        ],
    }


def facts_of(
    units: list[Unit],
    layout: Layout,
    signed: Runs,
    verdicts: Sequence[Shard],
    documents: dict[str, Documents],
) -> dict[str, Any]:
    """The step's facts: `clusters` of more than one document; documents of the `largest_cluster`; the share
    of near-duplicates less similar than 0.7 to their survivor; some `pairs` of near-duplicates as (source,
    ingest shard, id), and the same as `examples` by URL."""
    parts = [shard.facts for shard in verdicts]
    near = sum(part["near"] for part in parts)
    chosen = sorted((e for part in parts for e in part["examples"]), key=lambda e: e["id"])[:EXAMPLES]
    pairs = [
        {
            "dropped": [*example["shard"], example["id"]],
            "kept": [*_shard_of(units, layout, signed, example["kept_row"]), example["kept"]],
            "similarity": example["similarity"],
        }
        for example in chosen
    ]
    by_url = [
        pair | {which: _url_of(documents, *pair[which]) for which in ("dropped", "kept")} for pair in pairs
    ]
    return {
        "clusters": sum(part["clusters"] for part in parts),
        "largest_cluster": max((part["largest"] for part in parts), default=0),
        "near_below_0.7": round(sum(part["far"] for part in parts) / max(near, 1), 4),
        "pairs": pairs,
        "examples": by_url,
    }


def _shard_of(units: list[Unit], layout: Layout, signed: Runs, row: int) -> tuple[str, str]:
    unit = int(layout.unit_of(np.array([row], np.uint64))[0])
    place = np.searchsorted(signed.bounds[unit], row - layout.starts[unit], side="right") - 1
    return units[unit].shards[int(place)]


def _url_of(documents: dict[str, Documents], source: str, shard: str, document_id: str) -> str:
    artifact = documents[source].ingested
    place = find_id(artifact, [artifact.shard(shard)], "documents.parquet", document_id)
    assert place is not None, f"{source}.{shard} has no document {document_id}"
    return read_row(place, ["url"])["url"]
