"""Decisions: the verdict on each document, written for each ingest shard, and the facts of the whole step."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llama_core.artifact import Shard
from llama_core.corpus.decisions import ENDING, Decision, write_decisions
from llama_core.corpus.dedup.scratch import Piece, RowLayout, Scratch, Unit, hex_of
from llama_core.corpus.dedup.verdicts import REASONS, VERDICTS, drop_books, judge
from llama_core.corpus.documents import Documents
from llama_core.corpus.lookup import find_id, read_row
from llama_core.corpus.partition import KeyRuns, Table, publish_runs
from llama_core.step import Step

EXAMPLES = 10  # near-duplicates that the facts show
FAR = 0.7  # near-duplicates that are less similar to their survivor are counted


def write_verdicts(
    scratch: Scratch,
    layout: RowLayout,
    copies: KeyRuns,
    near: KeyRuns,
    overlaps: KeyRuns | None,
    piece: Piece,
) -> None:
    """Write the verdict on each document of a piece: `verdicts` by ingest shard."""
    table = scratch.signed(piece)
    verdicts = judge(piece, table, layout.copies(copies, table, piece.index), near.read(piece.index))
    shard = piece.shard_of
    if overlaps:
        found = overlaps.read(piece.index)
        most = np.array([scratch.max_overlap(source) or 1.0 for source, _ in piece.shards])
        large = found["share"] > most[shard[piece.within(found["row"])]]
        drop_books(piece, verdicts, found[large])
    with scratch.shard("verdicts", piece.index) as out:
        out.facts |= _facts(verdicts, piece)
        publish_runs(out, "verdicts", verdicts, shard, len(piece.shards))


@dataclass(frozen=True)
class JudgedShard:
    """An ingest shard whose verdicts are written, and where they are."""

    source: str
    shard: str
    pieces: tuple[tuple[int, int], ...]  # (index of the piece, place of the ingest shard in it)


def judged_shards(units: Sequence[Unit], pieces: Sequence[Piece]) -> dict[str, JudgedShard]:
    """Return all ingest shards, by the name of their decision shard: `<source>.<ingest shard>`."""
    where: dict[tuple[str, str], list[tuple[int, int]]] = {s: [] for unit in units for s in unit.shards}
    for piece in pieces:
        for place, shard in enumerate(piece.shards):
            where[shard].append((piece.index, place))
    return {
        f"{source}.{shard}": JudgedShard(source, shard, tuple(found))
        for (source, shard), found in where.items()
    }


def write_shard(step: Step, scratch: Scratch, documents: dict[str, Documents], judged: JudgedShard) -> None:
    """Commit the decisions on one ingest shard. Raises DamagedError if its verdicts cannot be read whole."""
    name = f"{judged.source}.{judged.shard}"
    group = documents[judged.source].ingested.shard(judged.shard).facts["group"]
    with step.shard(name) as out:
        with out.publish(f"{name}/{ENDING}") as writer:
            write_decisions(writer, _counted(scratch, judged, out.counts))
        out.facts |= {"source": judged.source, "group": group}


def _counted(scratch: Scratch, judged: JudgedShard, counts: Counter[str]) -> Iterator[Decision]:
    """Yield the decisions on one ingest shard, and add them up in `counts`."""
    counts.update(documents=0)
    for piece, place in judged.pieces:
        rows = scratch.own("verdicts", piece, "verdicts", VERDICTS, partition=place)
        counts.update(_counts(rows))
        yield from _decisions(rows)


def _decisions(verdicts: Table) -> Iterator[Decision]:
    columns = [verdicts[name].tolist() for name in ("hi", "lo", "reason", "kept_hi", "kept_lo", "similarity")]
    for hi, lo, reason, kept_hi, kept_lo, similarity in zip(*columns, strict=True):
        decision = Decision(hex_of(hi, lo), REASONS[reason])
        if not decision.keep:
            decision.evidence = {"kept": hex_of(kept_hi, kept_lo), "similarity": round(similarity, 4)}
        yield decision


def _counts(verdicts: Table) -> dict[str, int]:
    stays, heldout = verdicts["reason"] == 0, verdicts["heldout"]
    counts = {"kept.train": int((stays & ~heldout).sum()), "kept.heldout": int((stays & heldout).sum())}
    for number, reason in enumerate(REASONS):
        if reason:
            counts[f"dropped.{reason}"] = int((verdicts["reason"] == number).sum())
    return {"documents": len(verdicts)} | {name: n for name, n in counts.items() if n}


def _facts(verdicts: Table, piece: Piece) -> dict[str, Any]:
    """Return what a piece adds to the step's facts.

    `examples` are the first near-duplicates by their id, so that they are the same each time.
    """
    near, shard = np.flatnonzero(verdicts["near"]), piece.shard_of
    chosen = near[np.lexsort([verdicts["lo"][near], verdicts["hi"][near]])][:EXAMPLES]
    return {
        "clusters": int((verdicts["cluster"] > 1).sum()),
        "largest": int(verdicts["cluster"].max(initial=0)),
        "near": len(near),
        "far": int((verdicts["similarity"][near] < FAR).sum()),
        "examples": [
            {
                "id": hex_of(verdicts["hi"][row], verdicts["lo"][row]),
                "shard": piece.shards[shard[row]],
                "kept": hex_of(verdicts["kept_hi"][row], verdicts["kept_lo"][row]),
                "kept_row": int(verdicts["kept_row"][row]),
                "similarity": round(float(verdicts["similarity"][row]), 3),
            }
            for row in chosen
        ],
    }


def facts_of(
    pieces: Sequence[Piece], layout: RowLayout, verdicts: Iterable[Shard], documents: dict[str, Documents]
) -> dict[str, Any]:
    """Put together the step's facts.

    `clusters`: how many clusters have more than one document. `largest_cluster`: how many documents the
    largest has. `near_below_0.7`: the share of the near-duplicates that are less similar than that to their
    survivor. `pairs`: some near-duplicates and what is kept in their place, each document as (source, ingest
    shard, id). `examples`: the same pairs, each document by its URL.
    """
    parts = [shard.facts for shard in verdicts]
    near = sum(part["near"] for part in parts)
    chosen = sorted((e for part in parts for e in part["examples"]), key=lambda e: e["id"])[:EXAMPLES]
    pairs = [
        {
            "dropped": [*example["shard"], example["id"]],
            "kept": [*_shard_of(pieces, layout, example["kept_row"]), example["kept"]],
            "similarity": example["similarity"],
        }
        for example in chosen
    ]
    by_url = [
        {
            "dropped": _url_of(documents, *pair["dropped"]),
            "kept": _url_of(documents, *pair["kept"]),
            "similarity": pair["similarity"],
        }
        for pair in pairs
    ]
    return {
        "clusters": sum(part["clusters"] for part in parts),
        "largest_cluster": max((part["largest"] for part in parts), default=0),
        "near_below_0.7": round(sum(part["far"] for part in parts) / max(near, 1), 4),
        "pairs": pairs,
        "examples": by_url,
    }


def _shard_of(pieces: Sequence[Piece], layout: RowLayout, row: int) -> tuple[str, str]:
    """Return the (source, ingest shard) of the document in a row."""
    piece = pieces[int(layout.piece_of(np.array([row], np.uint64))[0])]
    return piece.shards[int(piece.shard_of[row - piece.start])]


def _url_of(documents: dict[str, Documents], source: str, shard: str, document_id: str) -> str:
    artifact = documents[source].ingested
    place = find_id(artifact, [artifact.shard(shard)], "documents.parquet", document_id)
    assert place is not None, f"{source}.{shard} has no document {document_id}"
    return read_row(place, ["url"])["url"]
