"""Books whose content is in another, longer one: containment, which the Jaccard similarity does not see.

A book's sample is those of its shingles whose hash is small, which are the same share of every book. So the
share of the sample that is in another book's sample estimates the share of the content that is in that book.
Only books that are left after the removal of equal and near texts are compared.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from llama_core.corpus.dedup.exact import firsts
from llama_core.corpus.dedup.scratch import ID, KEPT, SAMPLES, Piece, RowLayout, Scratch
from llama_core.corpus.dedup.verdicts import judge
from llama_core.corpus.partition import KeyRuns, Table, partition_of, publish_runs, scattered

# The books of a shingle are compared with the first so many of them by rank, and not all with one another: a
# shingle that is in all books costs time in proportion to their number.
HOLDERS = 16
SLICE = 1 << 18  # shingles whose pairs are made at a time: up to `HOLDERS` pairs for each

SHINGLES = np.dtype([("hash", "<u8"), ("row", "<u8"), ("rank", "<u8"), *ID, ("sampled", "<u8")])
PAIRS = np.dtype([("row", "<u8"), ("holder", "<u8"), *KEPT, ("shared", "<u8"), ("sampled", "<u8")])
OVERLAPS = np.dtype([("row", "<u8"), *KEPT, ("share", "<f8")])


def gather_samples(
    scratch: Scratch, layout: RowLayout, copies: KeyRuns, near: KeyRuns, n: int, piece: Piece
) -> None:
    """Write the samples of those books of a piece that are left.

    Publishes `shingles`, in n partitions by their hash.
    """
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


def pair_books(scratch: Scratch, shingles: KeyRuns, n: int, partition: int) -> None:
    """Write how many of a partition's shingles each book shares with each book of a better rank.

    Publishes `pairs`, in n partitions by the row of the book of the worse rank.
    """
    rows = shingles.read(partition)
    rows = rows[np.lexsort([rows[name] for name in ("lo", "hi", "rank", "hash")])]
    with scratch.shard("pairs", partition) as out:
        for some in _slices(rows):
            pairs = shared_with_better(some)
            publish_runs(out, "pairs", pairs, partition_of(scattered(pairs["row"]), n), n)


def _slices(shingles: Table) -> Iterator[Table]:
    """Yield slices of shingles that are sorted by hash, at least one. All rows of a hash are in one slice."""
    start = 0
    while len(shingles) - start > SLICE:
        end = int(np.searchsorted(shingles["hash"], shingles["hash"][start + SLICE]))
        if end == start:  # the rows of one hash are more than a slice
            end = int(np.searchsorted(shingles["hash"], shingles["hash"][start], side="right"))
        yield shingles[start:end]
        start = end
    yield shingles[start:]


def shared_with_better(shingles: Table) -> Table:
    """Count the shingles that a book shares with one of a better rank: PAIRS, a row for each pair of books.

    `shingles`: SHINGLES, sorted by hash, rank and id. Only the first `HOLDERS` books of a shingle count as
    those of a better rank: a book whose content is in more others than that is found in the first of them.
    """
    first = firsts(shingles["hash"])
    starts = np.flatnonzero(first)
    group = np.cumsum(first) - 1
    place = np.arange(len(shingles)) - starts[group] if len(starts) else np.zeros(0, np.int64)
    found = [np.empty(0, PAIRS)]
    for holder in range(HOLDERS):
        later = np.flatnonzero(place > holder)
        if not len(later):
            break
        before = shingles[starts[group[later]] + holder]
        pairs = np.empty(len(later), PAIRS)
        pairs["row"], pairs["sampled"] = shingles["row"][later], shingles["sampled"][later]
        pairs["holder"], pairs["shared"] = before["row"], 1
        pairs["kept_hi"], pairs["kept_lo"] = before["hi"], before["lo"]
        found.append(pairs)
    return _summed(np.concatenate(found))


def measure_overlaps(scratch: Scratch, layout: RowLayout, pairs: KeyRuns, partition: int) -> None:
    """Write, for each book of a partition, which other book holds most of it: `overlaps` by piece."""
    overlaps = largest_overlaps(_all_summed(pairs.each(partition)))
    with scratch.shard("overlaps", partition) as out:
        publish_runs(out, "overlaps", overlaps, layout.piece_of(overlaps["row"]), layout.pieces)


def largest_overlaps(pairs: Table) -> Table:
    """Find the largest share of each book's sample that is in another book: OVERLAPS, a row for each book.

    `pairs`: PAIRS, a row for each pair of books. Of equal shares, the one in the book of the smallest id
    counts.
    """
    share = pairs["shared"] / np.maximum(pairs["sampled"], 1)
    order = np.lexsort([pairs["kept_lo"], pairs["kept_hi"], -share, pairs["row"]])
    best = order[firsts(pairs["row"][order])]
    overlaps = np.empty(len(best), OVERLAPS)
    overlaps["share"] = share[best]
    for name in ("row", "kept_hi", "kept_lo"):
        overlaps[name] = pairs[name][best]
    return overlaps


def _all_summed(parts: Iterable[Table]) -> Table:
    """Add up the pairs of all parts, with little more than the result in memory."""
    whole, held, size = np.empty(0, PAIRS), [], 0
    for some in parts:
        held.append(some)
        size += len(some)
        if size > max(SLICE, len(whole)):
            whole, held, size = _summed(np.concatenate([whole, *held])), [], 0
    return _summed(np.concatenate([whole, *held]))


def _summed(pairs: Table) -> Table:
    """Return one row for each pair of books, with `shared` added up."""
    pairs = pairs[np.lexsort([pairs["holder"], pairs["row"]])]
    starts = np.flatnonzero(firsts(pairs["row"], pairs["holder"]))
    whole = pairs[starts]
    if len(starts):
        whole["shared"] = np.add.reduceat(pairs["shared"], starts)
    return whole
