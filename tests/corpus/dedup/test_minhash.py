"""MinHash: the estimate is right, the buckets find what brute force finds, hot buckets stay linear."""

import random
import subprocess
import sys
import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llama_core.corpus.dedup.exact import first_of_equals
from llama_core.corpus.dedup.minhash import EMPTY, MinHash, components, near_pairs, similarity
from llama_core.corpus.recipe import Dedup

CFG = Dedup()
WORDS = [f"word{i}" for i in range(5000)]


def jaccard(left: str, right: str) -> float:
    """Of sets of five-word shingles, by the definition."""
    sets = []
    for text in (left, right):
        words = text.lower().split()
        sets.append({tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def texts_with_copies(seed: int, originals: int = 40, copies: int = 4) -> list[str]:
    rng = random.Random(seed)
    texts = []
    for _ in range(originals):
        words = rng.choices(WORDS, k=rng.randrange(60, 400))
        texts.append(" ".join(words))
        for _ in range(copies):
            changed = list(words)
            for _ in range(rng.randrange(0, max(1, len(words) // 20))):
                changed[rng.randrange(len(changed))] = rng.choice(WORDS)
            texts.append(" ".join(changed))
    return texts


def test_similarity_estimates_the_jaccard_index_without_bias() -> None:
    texts = texts_with_copies(1)
    minhash = MinHash(CFG)
    signatures = np.stack([minhash.sign(t) for t in texts])
    pairs = np.array([(i, i + j) for i in range(0, len(texts), 5) for j in range(1, 5)])
    errors = similarity(signatures, pairs) - [jaccard(texts[a], texts[b]) for a, b in pairs]
    assert abs(errors.mean()) < 0.015 and np.sqrt((errors**2).mean()) < 0.05


def test_lsh_finds_nearly_all_pairs_that_brute_force_finds_and_no_other() -> None:
    texts = texts_with_copies(2)
    minhash = MinHash(CFG)
    signatures = np.stack([minhash.sign(t) for t in texts])
    n = len(texts)
    every = np.array([(i, j) for i in range(n) for j in range(i + 1, n)])
    agree = similarity(signatures, every)
    near = every[agree >= CFG.threshold]
    found = components(n, near_pairs(signatures, CFG))
    expected = components(n, near)
    assert len(near) > 100
    together = (found[near[:, 0]] == found[near[:, 1]]).mean()
    assert together >= 0.97
    assert (expected[found] == expected).all()  # a cluster found is never wider than brute force's


def test_a_hot_bucket_stays_linear() -> None:
    rng = np.random.default_rng(1)
    size = CFG.bands * CFG.rows
    signatures = rng.integers(0, 1 << 32, (20_000, size), dtype=np.uint32)
    signatures[:, : CFG.rows] = 7  # all share one bucket, and are alike in nothing else
    started = time.process_time()
    assert len(near_pairs(signatures, CFG)) == 0
    signatures[:] = signatures[0]  # all the same: one star, in every band
    pairs = near_pairs(signatures, CFG)
    assert len(pairs) < 2 * len(signatures)
    assert (components(len(signatures), pairs) == 0).all()
    assert time.process_time() - started < 30


@given(
    n=st.integers(1, 30),
    pairs=st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40),
)
def test_components_are_those_of_a_plain_union_find(n: int, pairs: list[tuple[int, int]]) -> None:
    pairs = [(a % n, b % n) for a, b in pairs]
    labels = list(range(n))
    for _ in range(n):
        for a, b in pairs:
            labels[a] = labels[b] = min(labels[a], labels[b])
    assert components(n, np.array(pairs, dtype=np.int64).reshape(-1, 2)).tolist() == labels


@given(st.lists(st.binary(min_size=2, max_size=2), min_size=1, max_size=40))
def test_the_first_of_equal_texts_stands_for_all(digests: list[bytes]) -> None:
    assert first_of_equals(np.array(digests, dtype="V2")).tolist() == [digests.index(d) for d in digests]


@given(st.text())
def test_any_text_can_be_signed_and_case_and_punctuation_do_not_count(text: str) -> None:
    minhash = MinHash(CFG)
    signature = minhash.sign(text)
    assert signature.shape == (112,) and signature.dtype == np.uint32
    plain = "the quick brown fox jumps over the lazy dog"
    assert (minhash.sign(plain) == minhash.sign("  The QUICK brown, fox! jumps over -- the lazy dog.")).all()


def test_texts_without_words_are_not_near_each_other() -> None:
    minhash = MinHash(CFG)
    signatures = np.stack([minhash.sign(t) for t in ("", "...", "--- !!! ---")])
    assert (signatures == EMPTY).all() and len(near_pairs(signatures, CFG)) == 0


def test_signatures_are_the_same_in_every_process() -> None:
    code = (
        "from llama_core.corpus.dedup.minhash import MinHash; from llama_core.corpus.recipe import Dedup;"
        "print(MinHash(Dedup()).sign('one two three four five six seven ä').tobytes().hex())"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)
    }
    assert len(runs) == 1


def test_signing_is_fast_enough_for_terabytes() -> None:
    text = " ".join(random.Random(1).choices(WORDS, k=400_000))
    minhash = MinHash(CFG)
    minhash.sign(text[:100_000])
    started = time.process_time()
    minhash.sign(text)
    assert len(text) / 1e6 / (time.process_time() - started) > 4  # 18 to 25 MB/s on an idle core
