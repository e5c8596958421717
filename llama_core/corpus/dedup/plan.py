"""The phases of dedup, in their order.

    by piece                           by partition of a hash
    sign: keys instead of text
      (by unit of ingest shards)
                                       exact: equal texts, one stays
                                       shared: band keys that occur more than once
    buckets: sketches for those keys
                                       links: near texts, as stars
                                       large1, small1, large2 ...: stars to components
                                       labels: the component of each text
    members: the texts of components
                                       near: which text of a component stays
    shingles: of books that are left
                                       pairs, overlaps: books within books
    verdicts: all answers put together
    decisions, by ingest shard

A partition that holds one key only is not divided further: a text with ten million copies, a bucket or a
cluster of five million texts takes some 2 GB of memory.
"""

from collections.abc import Generator
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from llama_core.corpus.dedup import books, buckets, components, decide, exact, sign, survivors
from llama_core.corpus.dedup.scratch import (
    Piece,
    RowLayout,
    Scratch,
    bucket_dtype,
    copies_dtype,
    edge_dtype,
    member_dtype,
    near_dtype,
    pieces_of,
    texts_dtype,
    units_of,
)
from llama_core.corpus.documents import Documents
from llama_core.corpus.partition import KeyRuns, partitions_for, rows_in
from llama_core.corpus.recipe import Corpus
from llama_core.errors import InputError
from llama_core.phases import Phase, Plan
from llama_core.step import Step

REVISION = 4


def identity(cfg: Corpus) -> dict[str, Any]:
    """Return the settings that the decisions depend on, besides the documents."""
    overlap = {n: getattr(s, "max_overlap", None) for n, s in cfg.sources.items()}
    return {
        "dedup": cfg.dedup.identity(),
        "holdout": cfg.holdout,
        "holdout_fraction": cfg.holdout_fraction,
        "max_overlap": {name: most for name, most in overlap.items() if most is not None},
    }


def plan(step: Step, documents: dict[str, Documents], cfg: Corpus) -> Plan:
    """Yield the phases that decide on all documents of all sources.

    The decisions on each ingest shard are a shard `<source>.<ingest shard>`.

    `documents`: by the name of their source. Raises InputError if `corpus.holdout` names a group to which no
    ingest shard belongs, and DamagedError if an object of a scratch shard is damaged.
    """
    _check_holdout(documents, cfg)
    units = units_of(documents, cfg.dedup.unit_bytes)
    scratch = Scratch.of(step, cfg, units)

    def parts_of(rows: int, dtype: np.dtype[Any]) -> int:
        return partitions_for(rows * dtype.itemsize, cfg.dedup.partition_bytes)

    expected = sum(s.counts.get("documents", 0) for d in documents.values() for s in d.shards)
    n_texts = parts_of(expected, texts_dtype())
    n_keys = parts_of(expected * cfg.dedup.bands, np.dtype("<u8"))
    yield scratch.phase("sign", units, partial(sign.sign, scratch, documents, (n_texts, n_keys)))
    pieces = pieces_of(units, scratch.committed("sign", len(units)))
    layout = RowLayout(np.array([piece.start for piece in pieces]), n_texts, n_keys)

    texts = scratch.runs("sign", len(units), "texts", texts_dtype())
    yield scratch.phase("exact", range(n_texts), partial(exact.group_texts, scratch, texts, layout.pieces))
    copies = scratch.runs("exact", n_texts, "copies", copies_dtype())

    keys = scratch.runs("sign", len(units), "keys", np.dtype("<u8"))
    yield scratch.phase("shared", range(n_keys), partial(buckets.find_shared, scratch, keys, layout.pieces))
    shared = scratch.runs("shared", n_keys, "shared", np.dtype("?"))

    n_shared = sum(shard.facts["shared"] for shard in scratch.committed("shared", n_keys))
    n_buckets = parts_of(n_shared, bucket_dtype(cfg.dedup))
    fill = partial(buckets.fill_buckets, scratch, layout, copies, shared, n_buckets)
    yield scratch.phase("buckets", pieces, fill)
    filled = scratch.runs("buckets", layout.pieces, "buckets", bucket_dtype(cfg.dedup))

    n_nodes = parts_of(2 * filled.total, edge_dtype())
    yield scratch.phase("links", range(n_buckets), partial(buckets.link_buckets, scratch, filled, n_nodes))
    edges = scratch.runs("links", n_buckets, "edges", edge_dtype())
    stars = yield from _contract(scratch, edges, n_nodes)

    yield scratch.phase("labels", range(n_nodes), partial(survivors.name_clusters, scratch, layout, stars))
    labels = scratch.runs("labels", n_nodes, "labels", edge_dtype())
    n_members = parts_of(labels.total, member_dtype(cfg.dedup))
    gather = partial(survivors.gather_members, scratch, layout, copies, labels, n_members)
    yield scratch.phase("members", pieces, gather)
    members = scratch.runs("members", layout.pieces, "members", member_dtype(cfg.dedup))
    choose = partial(survivors.choose_survivors, scratch, layout, members)
    yield scratch.phase("near", range(n_members), choose)
    near = scratch.runs("near", n_members, "near", near_dtype())

    sampled = sum(rows_in(shard, "samples") for shard in scratch.committed("sign", len(units)))
    overlaps = yield from _compare_books(scratch, layout, pieces, sampled, copies, near)
    verdict = partial(decide.write_verdicts, scratch, layout, copies, near, overlaps)
    yield scratch.phase("verdicts", pieces, verdict)

    shards = decide.judged_shards(units, pieces)
    yield Phase("decisions", shards, partial(decide.write_shard, step, scratch, documents))
    judged = scratch.committed("verdicts", layout.pieces)
    return {"shards": list(shards), "facts": decide.facts_of(pieces, layout, judged, documents)}


def _contract(scratch: Scratch, edges: KeyRuns, n: int) -> Generator[Phase, None, KeyRuns]:
    """Contract stars round by round until a round changes nothing, and return the edges that it leaves.

    The edges that are given and returned are kept by both their ends.
    """
    for number in count(1):
        changed = 0
        for size, star in (("large", components.large_star), ("small", components.small_star)):
            phase = f"{size}{number}"
            yield scratch.phase(phase, range(n), partial(star, scratch, phase, edges, n))
            edges = scratch.runs(phase, n, "edges", edge_dtype())
            changed += sum(shard.facts["changed"] for shard in scratch.committed(phase, n))
        if not changed:
            return edges
    raise AssertionError("unreachable")


def _compare_books(
    scratch: Scratch, layout: RowLayout, pieces: list[Piece], sampled: int, copies: KeyRuns, near: KeyRuns
) -> Generator[Phase, None, KeyRuns | None]:
    """Find how much of each book is in another, or None if no source has books.

    `sampled`: how many shingles are in the samples of all books.
    """
    if not sampled:
        return None
    n = partitions_for(sampled * books.SHINGLES.itemsize, scratch.cfg.dedup.partition_bytes)
    gather = partial(books.gather_samples, scratch, layout, copies, near, n)
    yield scratch.phase("shingles", pieces, gather)
    shingles = scratch.runs("shingles", layout.pieces, "shingles", books.SHINGLES)
    yield scratch.phase("pairs", range(n), partial(books.pair_books, scratch, shingles, n))
    pairs = scratch.runs("pairs", n, "pairs", books.PAIRS)
    yield scratch.phase("overlaps", range(n), partial(books.measure_overlaps, scratch, layout, pairs))
    return scratch.runs("overlaps", n, "overlaps", books.OVERLAPS)


def _check_holdout(documents: dict[str, Documents], cfg: Corpus) -> None:
    groups = {shard.facts["group"] for d in documents.values() for shard in d.shards} - {None}
    if unknown := sorted(set(cfg.holdout) - groups):
        known = ", ".join(sorted(groups)) or "none"
        raise InputError(f"corpus.holdout names {', '.join(unknown)}, which is no group; there are: {known}")
