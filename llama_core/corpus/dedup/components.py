"""Connected components of a graph that no memory holds: alternating star contraction (Kiveris et al. 2014).

A large star links a node's larger neighbours to its smallest one, a small star the smaller ones. A round of
both halves paths, so that rounds are few; where a round changes nothing, every node hangs on the smallest of
its component, whatever the partitions.
"""

import numpy as np
import numpy.typing as npt

from llama_core.corpus.dedup.exact import firsts
from llama_core.corpus.dedup.scratch import Scratch, edge_dtype
from llama_core.corpus.partition import Runs, Table, partition_of, publish_runs, scattered

Pairs = npt.NDArray[np.int64]  # (pairs, 2)


def large_star(scratch: Scratch, label: str, edges: Runs, n: int, partition: int) -> None:
    """One half of a round, over edges kept by both their ends: `edges` by the larger end."""
    found, changed = linked_to_least(edges.read(partition), larger=True)
    with scratch.shard(label, partition) as out:
        out.facts["changed"] = changed
        publish_runs(out, "edges", found, by_node(found, n), n)


def small_star(scratch: Scratch, label: str, edges: Runs, n: int, partition: int) -> None:
    """The other half, over edges kept by their larger end: `edges` by both ends."""
    found, changed = linked_to_least(edges.read(partition), larger=False)
    both = both_ways(found)
    with scratch.shard(label, partition) as out:
        out.facts["changed"] = changed
        publish_runs(out, "edges", both, by_node(both, n), n)


def by_node(edges: Table, n: int) -> npt.NDArray[np.int64]:
    return partition_of(scattered(edges["node"]), n)


def both_ways(edges: Table) -> Table:
    turned = np.empty_like(edges)
    turned["node"], turned["other"] = edges["other"], edges["node"]
    return np.concatenate([edges, turned])


def linked_to_least(edges: Table, larger: bool) -> tuple[Table, int]:
    """Edges from nodes to the least node of their star, the larger end first, and how many are new.

    Of each node's neighbours (all of them have to be here) those larger than itself are linked to the least
    one, or else itself and those smaller.
    """
    order = np.lexsort([edges["other"], edges["node"]])
    edges = edges[order]
    edges = edges[firsts(edges["node"], edges["other"])]
    if not larger:
        edges = edges[edges["other"] < edges["node"]]
    starts = np.flatnonzero(firsts(edges["node"]))
    sizes = np.diff(np.r_[starts, len(edges)])
    nodes = edges["node"]
    least = np.minimum(np.repeat(edges["other"][starts], sizes), nodes)  # neighbours are sorted
    found = np.empty(len(edges), edge_dtype())
    found["other"] = least
    if larger:
        found["node"] = edges["other"]
        found = found[edges["other"] > nodes]
        return found, int((least != nodes)[edges["other"] > nodes].sum())
    found["node"] = np.where(edges["other"] == least, nodes, edges["other"])
    return found, int((sizes - 1).sum())


def stars_of(edges: Table) -> Table:
    """The same components as edges from each node to the least one of its component here."""
    nodes, flat = np.unique(np.concatenate([edges["node"], edges["other"]]), return_inverse=True)
    least = components(len(nodes), flat.reshape(2, -1).T)
    lost = np.flatnonzero(least != np.arange(len(nodes)))
    stars = np.empty(len(lost), edge_dtype())
    stars["node"], stars["other"] = nodes[lost], nodes[least[lost]]
    return stars


def components(n: int, pairs: Pairs) -> npt.NDArray[np.int64]:
    """int64 (n,): the smallest node of each node's connected component, in memory."""
    parent = np.arange(n)
    while True:
        roots = parent[pairs]
        low, high = roots.min(axis=1), roots.max(axis=1)
        apart = low != high
        if not apart.any():
            return parent
        np.minimum.at(parent, high[apart], low[apart])
        while not np.array_equal(parent, parent[parent]):
            parent = parent[parent]
