"""Buckets: near texts are linked, others are not, and a hot bucket costs its size."""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus.dedup.buckets import NEIGHBOURS, STARS, is_shared, linked
from llama_core.corpus.dedup.components import components
from llama_core.corpus.dedup.exact import copies_of
from llama_core.corpus.dedup.minhash import MinHash, similarity, sketches
from llama_core.corpus.dedup.scratch import bucket_dtype, rank_of, texts_dtype
from llama_core.corpus.partition import Table
from llama_core.corpus.recipe import Dedup

CFG = Dedup()


def buckets_of(texts: list[str]) -> tuple[Table, np.ndarray]:
    """Every bucket that every text is in; and the sketches."""
    minhash = MinHash(CFG)
    signatures = minhash.sign(texts)
    table = np.empty(len(texts) * CFG.bands, bucket_dtype(CFG))
    table["key"] = minhash.keys(signatures).ravel()
    table["row"] = np.repeat(np.arange(len(texts)), CFG.bands)
    table["sketch"] = np.repeat(sketches(signatures), CFG.bands, axis=0)
    return table, sketches(signatures)


def clusters(n: int, edges: Table) -> np.ndarray:
    return components(n, np.stack([edges["node"], edges["other"]], axis=1).astype(np.int64))


def changed(words: list[str], rng: random.Random, changes: int) -> str:
    words = list(words)
    for _ in range(changes):
        words[rng.randrange(len(words))] = f"other{rng.randrange(10**6)}"
    return " ".join(words)


def words_of(rng: random.Random, count: int = 200) -> list[str]:
    return [f"word{rng.randrange(10**6)}" for _ in range(count)]


def test_clusters_are_those_of_all_pairs_that_share_a_bucket_and_are_near() -> None:
    rng = random.Random(1)
    texts = [
        changed(words, rng, rng.randrange(6))
        for words in (words_of(rng) for _ in range(60))
        for _ in range(8)
    ]
    table, sketch = buckets_of(texts)
    found = clusters(len(texts), linked(table, CFG)[0])
    keys = table["key"].reshape(len(texts), CFG.bands)
    left, right = np.triu_indices(len(texts), 1)
    shared = (keys[left] == keys[right]).any(axis=1)
    left, right = left[shared], right[shared]
    near = similarity(sketch[left], sketch[right], CFG.bands * CFG.rows) >= CFG.threshold
    expected = components(len(texts), np.stack([left[near], right[near]], axis=1))
    together = (found[left[near]] == found[right[near]]).mean()
    assert near.sum() > 500 and together > 0.995
    assert (expected[found] == expected).all()  # never wider than all pairs


def test_a_hot_bucket_costs_its_size_not_its_square() -> None:
    n = 20_000
    rng = np.random.default_rng(1)
    table = np.empty(n, bucket_dtype(CFG))
    table["key"], table["row"] = 7, np.arange(n)
    table["sketch"] = rng.integers(0, 1 << 63, table["sketch"].shape, dtype=np.uint64)
    pairs, compared = linked(table, CFG)
    assert len(pairs) == 0 and compared <= (STARS + NEIGHBOURS) * n  # alike in nothing but the bucket

    table["sketch"] = table["sketch"][0]
    pairs, compared = linked(table, CFG)
    assert compared == 0 and len(pairs) == n - 1
    assert (clusters(n, pairs) == 0).all()


def test_a_centre_that_few_are_near_to_does_not_hide_the_others_from_each_other() -> None:
    """Eight pages of one template share a bucket; within each, copies are near, and pages are not."""
    rng = random.Random(3)
    pages = [words_of(rng) for _ in range(8)]
    texts = [changed(page, rng, 2) for page in pages for _ in range(12)]
    table, _ = buckets_of(texts)
    table = table[:: CFG.bands].copy()
    table["key"] = 1  # one band only, and all of them in one bucket
    found = clusters(len(texts), linked(table, CFG)[0]).reshape(8, 12)
    assert len(np.unique(found)) <= 8 + 4
    assert all(len(set(found[i]) & set(found[j])) == 0 for i in range(8) for j in range(i))


def test_links_do_not_depend_on_the_order_of_the_rows() -> None:
    rng = random.Random(4)
    texts = [changed(words, rng, 5) for words in (words_of(rng) for _ in range(10)) for _ in range(6)]
    table, _ = buckets_of(texts)
    first = linked(table, CFG)[0]
    order = np.random.default_rng(1).permutation(len(table))
    second = linked(table[order], CFG)[0]
    assert (clusters(len(texts), first) == clusters(len(texts), second)).all()


@settings(deadline=None)
@given(st.lists(st.integers(0, 8), max_size=40))
def test_a_key_is_shared_if_it_occurs_again(keys: list[int]) -> None:
    assert is_shared(np.array(keys, np.uint64)).tolist() == [keys.count(key) > 1 for key in keys]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 2)), max_size=30))
def test_of_equal_texts_the_training_document_stays_then_the_smaller_id(
    texts: list[tuple[int, bool, int]],
) -> None:
    table = np.zeros(len(texts), texts_dtype())
    for number, (digest, heldout, high) in enumerate(texts):
        table[number] = (digest, digest * 3, rank_of(heldout, 100), high, number)
    answers = copies_of(table)
    for digest in {d for d, _, _ in texts}:
        group = [(heldout, high, i) for i, (d, heldout, high) in enumerate(texts) if d == digest]
        _, high, best = min(group)
        for _, _, i in group:
            assert answers[i]["copies"] == (len(group) if i == best else 0)
            assert (answers[i]["kept_hi"], answers[i]["kept_lo"]) == (high, best)
            assert answers[i]["heldout"] == min(group)[0]


def test_the_longer_text_ranks_before_the_shorter_and_training_before_held_out() -> None:
    ranks = [
        rank_of(False, 10**9),
        rank_of(False, 10),
        rank_of(False, 0),
        rank_of(True, 10**9),
        rank_of(True, 1),
    ]
    assert ranks == sorted(ranks) and ranks[-1] < 1 << 64
