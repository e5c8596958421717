"""Texts that share a bucket of the locality-sensitive hash, and which of them are near by their sketches.

Buckets that hold more than one text are found from their keys alone. Sketches are moved for these only, so
that a document without duplicates costs the keys of its bands and no more.
"""

import numpy as np
import numpy.typing as npt

from llama_core.corpus.dedup.components import both_ways, by_node, stars_of
from llama_core.corpus.dedup.exact import firsts
from llama_core.corpus.dedup.minhash import similarity
from llama_core.corpus.dedup.scratch import Piece, RowLayout, Scratch, bucket_dtype, edge_dtype
from llama_core.corpus.dedup.sign import keys_of
from llama_core.corpus.partition import KeyRuns, Table, as_asked, partition_of, publish_runs
from llama_core.corpus.recipe import Dedup

STARS = 4  # the most centres of a bucket that a text is compared with
NEIGHBOURS = 8  # texts before it, in the order of their sketches, that a text is compared with
PAIRS = 1 << 18  # pairs of sketches that are compared at a time


def find_shared(scratch: Scratch, keys: KeyRuns, n_pieces: int, partition: int) -> None:
    """Answer for each key of a partition whether it occurs more than once: `shared` by piece."""
    with scratch.shard("shared", partition) as out:
        shared = is_shared(keys.read(partition))
        out.facts["shared"] = int(shared.sum())
        publish_runs(out, "shared", shared, keys.owners(partition), n_pieces)


def is_shared(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Tell for each key whether it occurs more than once: bool (keys,)."""
    order = np.argsort(keys)
    first = firsts(keys[order])
    shared = np.empty(len(keys), bool)
    shared[order] = ~first | ~np.append(first[1:], True)
    return shared


def fill_buckets(
    scratch: Scratch, layout: RowLayout, copies: KeyRuns, shared: KeyRuns, n: int, piece: Piece
) -> None:
    """Write each text of a piece with its sketch, once for every shared bucket that it is in.

    Of equal texts only the one that stays is written. Publishes `buckets`, in n partitions by their key.
    """
    table = scratch.signed(piece)
    stays = layout.copies(copies, table, piece.index)["copies"] > 0
    keys = keys_of(table)
    flags = as_asked(shared.read(piece.index), partition_of(keys, layout.n_keys))
    worded = np.flatnonzero(table["words"])
    texts, bands = np.nonzero(flags.reshape(-1, scratch.cfg.dedup.bands) & stays[worded, None])
    rows = worded[texts]
    filled = np.empty(len(rows), bucket_dtype(scratch.cfg.dedup))
    filled["key"] = table["keys"][rows, bands]
    filled["row"] = piece.rows[rows]
    filled["sketch"] = table["sketch"][rows]
    with scratch.shard("buckets", piece.index) as out:
        publish_runs(out, "buckets", filled, partition_of(filled["key"], n), n)


def link_buckets(scratch: Scratch, buckets: KeyRuns, n: int, partition: int) -> None:
    """Link the near texts of a partition's buckets: `edges`, each kept by both its ends, in n partitions."""
    stars, compared = linked(buckets.read(partition), scratch.cfg.dedup)
    edges = both_ways(stars)
    with scratch.shard("links", partition) as out:
        out.facts["compared"] = compared
        publish_runs(out, "edges", edges, by_node(edges, n), n)


def linked(buckets: Table, cfg: Dedup) -> tuple[Table, int]:
    """Link each text to the least one that it is near to, directly or through others.

    `buckets`: the rows of whole buckets. Returns the edges, and how many pairs of sketches were compared.

    Of equal sketches in a bucket, one stands for all. Those that remain are sorted, so that the most alike
    are next to one another. Each is compared with the `NEIGHBOURS` before it and with the first of the
    bucket, which is a centre. Those that are not near the first are compared with the first among
    themselves, and so on, with at most `STARS` centres. So all pairs of a small bucket are compared, a large
    bucket costs time in proportion to its size, and a centre that few texts are near to does not hide the
    others from each other.
    """
    size = cfg.bands * cfg.rows
    sketch = buckets["sketch"]
    order = np.lexsort([*sketch.T[::-1], buckets["key"]])
    keys, rows, sketch = buckets["key"][order], buckets["row"][order], sketch[order]
    n = len(buckets)
    del buckets, order  # they would double the memory that is used
    distinct = firsts(keys, *sketch.T)
    equal = np.empty(int((~distinct).sum()), edge_dtype())
    equal["node"], equal["other"] = rows[~distinct], rows[distinct][np.cumsum(distinct) - 1][~distinct]
    edges = [equal]
    keys, rows, sketch = keys[distinct], rows[distinct], sketch[distinct]
    compared = 0

    def compare(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        nonlocal edges, compared
        compared += len(left)
        near = np.empty(len(left), bool)
        for start in range(0, len(left), PAIRS):
            some = slice(start, start + PAIRS)
            near[some] = similarity(sketch[left[some]], sketch[right[some]], size) >= cfg.threshold
        found = np.empty(int(near.sum()), edge_dtype())
        found["node"], found["other"] = rows[left[near]], rows[right[near]]
        edges.append(found)
        if sum(map(len, edges)) > n:  # stars have no more edges than there are texts
            edges = [stars_of(np.concatenate(edges))]
        return near

    for distance in range(1, NEIGHBOURS + 1):
        before = np.flatnonzero(keys[distance:] == keys[:-distance])
        compare(before, before + distance)
    left = np.arange(len(keys))
    for _ in range(STARS):
        first = firsts(keys[left])
        centres = left[np.flatnonzero(first)[np.cumsum(first) - 1]]
        left, centres = left[~first], centres[~first]
        left = left[~compare(centres, left)]
    return stars_of(np.concatenate(edges)), compared
