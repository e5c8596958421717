"""Books whose content is in another, longer one: containment, which the Jaccard similarity does not see.

Of a book's shingles are kept those whose hash is small, the same share of every book, so that the share of a
book's sample that is in another's estimates the share of its content that is. Only books that are left after
the removal of equal and near texts are compared.
"""

import numpy as np

from llama_core.corpus.dedup.exact import firsts
from llama_core.corpus.dedup.scratch import ID, KEPT, SAMPLES, Layout, Piece, Scratch, Table
from llama_core.corpus.dedup.verdicts import judge
from llama_core.corpus.partition import Runs, partition_of, publish_runs, scattered

HOLDERS = 16  # of a shingle, by rank, that a book is compared with: what is in all books costs their number
HELD = 2  # times the memory of other steps that a partition of shingles takes, for the pairs made of it

SHINGLES = np.dtype([("hash", "<u8"), ("row", "<u8"), ("rank", "<u8"), *ID, ("sampled", "<u8")])
PAIRS = np.dtype([("row", "<u8"), ("holder", "<u8"), *KEPT, ("shared", "<u8"), ("sampled", "<u8")])
OVERLAPS = np.dtype([("row", "<u8"), *KEPT, ("share", "<f8")])


def gather_samples(scratch: Scratch, layout: Layout, copies: Runs, near: Runs, n: int, piece: Piece) -> None:
    """Write the samples of a piece's books that are left: `shingles` in n partitions of their hashes."""
    table = scratch.signed(piece)
    answers = layout.copies(copies, table, piece.index)
    left = judge(piece, table, answers, near.read(piece.index))["reason"] == 0
    sample = scratch.own("sign", piece.unit.index, "samples", SAMPLES, piece.number)
    sample = sample[left[sample["row"].astype(np.int64)]]
    at = sample["row"].astype(np.int64)
    shingles = np.empty(len(sample), SHINGLES)
    shingles["hash"], shingles["row"] = sample["hash"], piece.rows[at]
    shingles["sampled"] = np.bincount(at, minlength=len(table))[at]
    for name in ("rank", "hi", "lo"):
        shingles[name] = table[name][at]
    with scratch.shard("shingles", piece.index) as out:
        publish_runs(out, "shingles", shingles, partition_of(shingles["hash"], n), n)


def pair_books(scratch: Scratch, shingles: Runs, n: int, partition: int) -> None:
    """Write which books share a partition's shingles with one of a better rank: `pairs` in n partitions."""
    pairs = shared_with_better(shingles.read(partition))
    with scratch.shard("pairs", partition) as out:
        publish_runs(out, "pairs", pairs, partition_of(scattered(pairs["row"]), n), n)


def shared_with_better(shingles: Table) -> Table:
    """For each pair of a book and one before it in rank, how many of the shingles they share.

    Of a shingle's books the first `HOLDERS` are taken: if a book lies in more than so many others, it lies in
    the first of them too.
    """
    order = np.lexsort([shingles[name] for name in ("lo", "hi", "rank", "hash")])
    sorted_ = shingles[order]
    first = firsts(sorted_["hash"])
    starts = np.flatnonzero(first)
    group = np.cumsum(first) - 1
    place = np.arange(len(sorted_)) - starts[group] if len(starts) else np.zeros(0, np.int64)
    found = []
    for holder in range(HOLDERS):
        later = np.flatnonzero(place > holder)
        if not len(later):
            break
        before = sorted_[starts[group[later]] + holder]
        pairs = np.empty(len(later), PAIRS)
        pairs["row"], pairs["sampled"] = sorted_["row"][later], sorted_["sampled"][later]
        pairs["holder"], pairs["shared"] = before["row"], 1
        pairs["kept_hi"], pairs["kept_lo"] = before["hi"], before["lo"]
        found.append(_summed(pairs))
    return _summed(np.concatenate([np.empty(0, PAIRS), *found]))


def measure_overlaps(scratch: Scratch, layout: Layout, pairs: Runs, partition: int) -> None:
    """Write of each book the one that holds most of it: `overlaps` by piece."""
    overlaps = largest_overlaps(pairs.read(partition))
    with scratch.shard("overlaps", partition) as out:
        publish_runs(out, "overlaps", overlaps, layout.piece_of(overlaps["row"]), layout.pieces)


def largest_overlaps(pairs: Table) -> Table:
    """For each book the largest share of its sample that is in another."""
    pairs = _summed(pairs)
    share = pairs["shared"] / np.maximum(pairs["sampled"], 1)
    order = np.lexsort([pairs["kept_lo"], pairs["kept_hi"], -share, pairs["row"]])
    best = order[firsts(pairs["row"][order])]
    overlaps = np.empty(len(best), OVERLAPS)
    overlaps["share"] = share[best]
    for name in ("row", "kept_hi", "kept_lo"):
        overlaps[name] = pairs[name][best]
    return overlaps


def _summed(pairs: Table) -> Table:
    """One row a pair, `shared` added up."""
    pairs = pairs[np.lexsort([pairs["holder"], pairs["row"]])]
    starts = np.flatnonzero(firsts(pairs["row"], pairs["holder"]))
    whole = pairs[starts]
    if len(starts):
        whole["shared"] = np.add.reduceat(pairs["shared"], starts)
    return whole
