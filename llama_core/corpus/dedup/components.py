"""Connected components of a graph too large for memory: alternating star contraction (Kiveris et al. 2014).

A large star links a node's larger neighbours to the smallest one, a small star the node and its smaller ones.
A round is one of each. It halves the length of paths, so that few rounds are needed. When a round changes
nothing, every node is linked to the smallest of its component, however the edges are partitioned.
"""

import numpy as np
import numpy.typing as npt

from llama_core.corpus.dedup.exact import firsts
from llama_core.corpus.dedup.scratch import Scratch, edge_dtype
from llama_core.corpus.partition import KeyRuns, Table, partition_of, publish_runs, scattered

Pairs = npt.NDArray[np.int64]  # (pairs, 2)


def large_star(scratch: Scratch, phase: str, edges: KeyRuns, n: int, partition: int) -> None:
    """Do the first half of a round on a partition of edges that are kept by both their ends.

    Publishes `edges`, in n partitions by the larger end.
    """
    found, changed = linked_to_least(edges.read(partition), larger=True)
    with scratch.shard(phase, partition) as out:
        out.facts["changed"] = changed
        publish_runs(out, "edges", found, by_node(found, n), n)


def small_star(scratch: Scratch, phase: str, edges: KeyRuns, n: int, partition: int) -> None:
    """Do the second half of a round on a partition of edges that are kept by their larger end.

    Publishes `edges`, each kept by both its ends, in n partitions.
    """
    found, changed = linked_to_least(edges.read(partition), larger=False)
    both = both_ways(found)
    with scratch.shard(phase, partition) as out:
        out.facts["changed"] = changed
        publish_runs(out, "edges", both, by_node(both, n), n)


def by_node(edges: Table, n: int) -> npt.NDArray[np.int64]:
    """Return which of n partitions keeps each edge, by its `node`: int64 (edges,)."""
    return partition_of(scattered(edges["node"]), n)


def both_ways(edges: Table) -> Table:
    """Return each edge twice, with each of its ends as `node`."""
    turned = np.empty_like(edges)
    turned["node"], turned["other"] = edges["other"], edges["node"]
    return np.concatenate([edges, turned])


def linked_to_least(edges: Table, larger: bool) -> tuple[Table, int]:
    """Link each node's neighbours to the least node of its star; also return how many of the edges are new.

    A star is a node with its neighbours, all of which have to be in `edges`. With `larger`, the neighbours
    larger than the node are linked to the least, otherwise the node itself and its smaller neighbours. The
    `node` of an edge that is returned is the larger end.
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
    """Return stars with the same components: an edge from each node to the least one of its component.

    The least one itself has no edge.
    """
    nodes, flat = np.unique(np.concatenate([edges["node"], edges["other"]]), return_inverse=True)
    least = components(len(nodes), flat.reshape(2, -1).T)
    lost = np.flatnonzero(least != np.arange(len(nodes)))
    stars = np.empty(len(lost), edge_dtype())
    stars["node"], stars["other"] = nodes[lost], nodes[least[lost]]
    return stars


def components(n: int, pairs: Pairs) -> npt.NDArray[np.int64]:
    """Find the smallest node of each node's connected component, in memory: int64 (n,).

    `pairs`: int64 (pairs, 2), of nodes below n.
    """
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
