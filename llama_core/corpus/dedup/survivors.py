"""Which text of each cluster of near texts stays, and how similar the others are to it.

A cluster is a connected component. A text's similarity to the survivor may be below the threshold, because
the two may be linked through other texts only.
"""

import numpy as np

from llama_core.corpus.dedup.exact import firsts
from llama_core.corpus.dedup.minhash import similarity
from llama_core.corpus.dedup.scratch import (
    HELDOUT,
    Piece,
    RowLayout,
    Scratch,
    edge_dtype,
    member_dtype,
    near_dtype,
)
from llama_core.corpus.partition import KeyRuns, Table, partition_of, publish_runs, scattered


def name_clusters(scratch: Scratch, layout: RowLayout, edges: KeyRuns, partition: int) -> None:
    """Write for each text of a cluster the smallest row of the cluster, which names it: `labels` by piece.

    `edges`: stars, each edge kept by both its ends.
    """
    labels = stars_to_labels(edges.read(partition))
    with scratch.shard("labels", partition) as out:
        publish_runs(out, "labels", labels, layout.piece_of(labels["node"]), layout.pieces)


def stars_to_labels(edges: Table) -> Table:
    """Return one edge for each node: to the least node of its star, which may be itself."""
    order = np.lexsort([edges["other"], edges["node"]])
    edges = edges[order][firsts(edges["node"][order])]
    labels = np.empty(len(edges), edge_dtype())
    labels["node"], labels["other"] = edges["node"], np.minimum(edges["node"], edges["other"])
    return labels


def gather_members(
    scratch: Scratch, layout: RowLayout, copies: KeyRuns, labels: KeyRuns, n: int, piece: Piece
) -> None:
    """Write what is known of a piece's texts that are in a cluster.

    Publishes `members`, in n partitions by the name of their cluster.
    """
    table = scratch.signed(piece)
    answers = layout.copies(copies, table, piece.index)
    named = labels.read(piece.index)
    at = piece.within(named["node"])
    members = np.empty(len(named), member_dtype(scratch.cfg.dedup))
    members["row"], members["label"] = named["node"], named["other"]
    members["copies"] = answers["copies"][at]
    for name in ("hi", "lo", "rank", "sketch"):
        members[name] = table[name][at]
    with scratch.shard("members", piece.index) as out:
        publish_runs(out, "members", members, partition_of(scattered(members["label"]), n), n)


def choose_survivors(scratch: Scratch, layout: RowLayout, members: KeyRuns, partition: int) -> None:
    """Answer for each member of a partition's clusters which member stays: `near` by piece."""
    rows = members.read(partition)
    size = scratch.cfg.dedup.bands * scratch.cfg.dedup.rows
    with scratch.shard("near", partition) as out:
        publish_runs(out, "near", survivors_of(rows, size), members.owners(partition), layout.pieces)


def survivors_of(members: Table, size: int) -> Table:
    """Return for each member which one of its cluster stays, and how similar the two are.

    The one of the smallest (rank, hi, lo) stays. `members`: rows of `member_dtype`, of whole clusters.
    `size`: the values of a signature. Returns rows of `near_dtype`, in the same order.
    """
    order = np.lexsort([members[name] for name in ("lo", "hi", "rank", "label")])
    first = firsts(members["label"][order])
    starts = np.flatnonzero(first)
    survivors = members[order[starts]]
    sizes = np.add.reduceat(members["copies"][order], starts) if len(starts) else np.zeros(0, np.uint64)
    group = np.empty(len(members), np.int64)
    group[order] = np.cumsum(first) - 1
    stays = np.empty(len(members), bool)
    stays[order] = first
    answers = np.empty(len(members), near_dtype())
    answers["row"] = members["row"]
    answers["cluster"] = np.where(stays, sizes[group], 0)
    answers["heldout"] = (survivors["rank"] & HELDOUT != 0)[group]
    answers["kept_hi"], answers["kept_lo"] = survivors["hi"][group], survivors["lo"][group]
    answers["kept_row"] = survivors["row"][group]
    answers["similarity"] = similarity(members["sketch"], survivors["sketch"][group], size)
    return answers
