"""Star contraction over partitions gives the components that a union-find gives, in few rounds."""

import random
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from corpus.dedup.made import corpus_of
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus.dedup import components
from llama_core.corpus.dedup.components import both_ways, by_node, linked_to_least, stars_of
from llama_core.corpus.dedup.plan import _contract
from llama_core.corpus.dedup.scratch import Scratch, edge_dtype
from llama_core.corpus.dedup.survivors import stars_to_labels
from llama_core.corpus.partition import Table, publish_runs
from llama_core.phases import Phase, in_turn
from llama_core.step import Step
from llama_core.store import Store

Edges = list[tuple[int, int]]


def edges_of(pairs: Iterable[tuple[int, int]]) -> Table:
    return np.array([(a, b) for a, b in pairs if a != b], edge_dtype())


def union_find(pairs: Edges) -> dict[int, int]:
    """The least node of each node's component."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return {node: root(node) for node in parent}


def contracted(pairs: Edges, n: int, shards: int, name: str) -> tuple[dict[int, int], int]:
    """Labels by the plan's own rounds over n partitions, and how many rounds there were."""
    step = Step(Store(f"memory://components/{name}"), "dedup", 1, {"n": n, "pairs": pairs})
    scratch = Scratch(step, corpus_of({}), "x")
    edges = both_ways(edges_of(pairs))
    for number in range(shards):
        with scratch.shard("links", number) as out:
            some = edges[number::shards]
            publish_runs(out, "edges", some, by_node(some, n), n)
    rounds = _contract(scratch, scratch.runs("links", shards, "edges", edge_dtype()), n)
    phases: list[Phase] = []
    while True:
        try:
            phases.append(next(rounds))
        except StopIteration as stop:
            stars = stop.value
            break
        assert len(list(in_turn(phases[-1], list(phases[-1].shards)))) == n
    labels: dict[int, int] = {}
    for partition in range(n):
        found = stars_to_labels(stars.read(partition)).tolist()
        assert not labels.keys() & dict(found).keys()
        labels.update(found)
    return labels, len(phases) // 2


graphs = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60)


@settings(deadline=None, max_examples=40)
@given(pairs=graphs, n=st.integers(1, 4), shards=st.integers(1, 3))
def test_rounds_over_partitions_give_the_components_of_a_union_find(
    pairs: Edges, n: int, shards: int
) -> None:
    pairs = [(a, b) for a, b in pairs if a != b]
    assert contracted(pairs, n, shards, str(hash((tuple(pairs), n, shards))))[0] == union_find(pairs)


@pytest.mark.parametrize("kind", ["path", "shuffled path", "star", "caterpillar"])
def test_rounds_grow_with_the_logarithm_of_the_longest_path(kind: str) -> None:
    nodes = list(range(1000))
    if kind != "path":
        random.Random(1).shuffle(nodes)
    pairs = list(pairwise(nodes))
    if kind == "star":
        pairs = [(nodes[0], node) for node in nodes[1:]]
    if kind == "caterpillar":
        pairs = [(nodes[i], nodes[max(0, i - 1 - i % 7)]) for i in range(1, len(nodes))]
    labels, rounds = contracted(pairs, 3, 2, kind)
    assert labels == dict.fromkeys(nodes, 0)
    assert rounds <= 2 + np.log2(len(nodes))


@settings(deadline=None)
@given(graphs)
def test_stars_in_memory_have_the_components_of_a_union_find(pairs: Edges) -> None:
    pairs = [(a, b) for a, b in pairs if a != b]
    stars = dict(stars_of(edges_of(pairs)).tolist())
    expected = union_find(pairs)
    assert stars == {node: least for node, least in expected.items() if node != least}


@settings(deadline=None)
@given(graphs)
def test_half_a_round_never_makes_more_edges(pairs: Edges) -> None:
    edges = edges_of({(max(p), min(p)) for p in pairs})
    large, _ = linked_to_least(both_ways(edges), larger=True)
    small, _ = linked_to_least(large, larger=False)
    assert len(small) <= len(large) <= len(edges)


def test_a_graph_without_edges_has_no_components() -> None:
    assert components.components(0, np.empty((0, 2), np.int64)).tolist() == []
    assert contracted([], 2, 1, "none") == ({}, 1)
