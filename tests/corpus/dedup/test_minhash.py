"""MinHash: words and shingles are what they are said to be, and the estimate of the similarity is right."""

import random
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus.dedup import minhash as module
from llama_core.corpus.dedup.minhash import EMPTY, MinHash, similarity, sketches
from llama_core.corpus.recipe import Dedup

CFG = Dedup()
WORDS = [f"word{i}" for i in range(5000)]


def jaccard(left: str, right: str) -> float:
    """Return the Jaccard index of two texts' sets of five-word shingles, computed by its definition."""
    sets = []
    for text in (left, right):
        words = re.findall(r"\w+", text.lower())
        sets.append({tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def pairs_of_texts(seed: int, count: int) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    pairs = []
    for _ in range(count):
        words = rng.choices(WORDS, k=rng.randrange(60, 400))
        changed = list(words)
        for _ in range(rng.randrange(0, max(1, len(words) // 20))):
            changed[rng.randrange(len(changed))] = rng.choice(WORDS)
        pairs.append((" ".join(words), " ".join(changed)))
    return pairs


def test_values_and_sketches_estimate_the_jaccard_index_without_bias() -> None:
    pairs = pairs_of_texts(1, 400)
    true = np.array([jaccard(a, b) for a, b in pairs])
    minhash = MinHash(CFG)
    left, right = (minhash.sign([pair[side] for pair in pairs]) for side in (0, 1))
    noise = np.sqrt((true * (1 - true)).mean() / minhash.size)  # of the values, by the theory
    for estimate in ((left == right).mean(axis=1), similarity(sketches(left), sketches(right), minhash.size)):
        errors = estimate - true
        assert abs(errors.mean()) < 4 * noise / np.sqrt(len(pairs))
        assert np.sqrt((errors**2).mean()) < 1.2 * noise


def test_pairs_share_a_band_as_often_as_the_theory_says() -> None:
    pairs = pairs_of_texts(2, 1500)
    true = np.array([jaccard(a, b) for a, b in pairs])
    minhash = MinHash(CFG)
    left, right = (minhash.keys(minhash.sign([pair[side] for pair in pairs])) for side in (0, 1))
    found = (left == right).any(axis=1)
    theory = 1 - (1 - true**CFG.rows) ** CFG.bands
    for low in (0.65, 0.7, 0.75, 0.8, 0.85):
        chosen = (true >= low) & (true < low + 0.05)
        scatter = np.sqrt((theory[chosen] * (1 - theory[chosen])).sum()) / chosen.sum()
        assert abs(found[chosen].mean() - theory[chosen].mean()) < 4 * scatter + 0.005
    assert found[true >= 0.9].mean() > 0.99


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(st.characters(codec="utf-16-le", max_codepoint=0xFFFF)), max_size=6))
def test_shingles_are_those_of_lower_case_words_whatever_stands_beside(texts: list[str]) -> None:
    """Below U+10000 a word is what `\\w+` finds; U+0130, two characters in lower case, is `i`."""
    minhash = MinHash(CFG)

    def plain(text: str) -> str:
        return " ".join(re.findall(r"\w+", "".join("i" if c == "\u0130" else c.lower() for c in text)))

    together = minhash.sign(texts)
    for text, signature in zip(texts, together, strict=True):
        assert (signature == minhash.sign([text])[0]).all()
        assert (signature == minhash.sign([plain(text)])[0]).all()
        assert (signature == EMPTY).all() == (plain(text) == "")


@settings(deadline=None)
@given(st.text(), st.integers(14, 40))
def test_a_text_longer_than_what_is_worked_on_at_once_has_the_same_shingles(text: str, at_once: int) -> None:
    text = " ".join(word[:6] for word in f"{text} one two three four five six seven {text}".split())
    minhash = MinHash(CFG)
    expected = minhash.shingles(text)
    module._powers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_STRETCH", at_once)
        assert minhash.shingles(text).tolist() == expected.tolist()


def test_one_endless_word_is_signed_too() -> None:
    minhash = MinHash(CFG)
    signature = minhash.sign(["x" * (1 << 20) + " and four more words"])
    assert (signature != EMPTY).any()


def test_any_number_of_values_and_any_width_of_shingles_can_be_chosen() -> None:
    pairs = pairs_of_texts(3, 200)
    for bands, rows, width in ((3, 5, 1), (1, 1, 2), (20, 13, 3)):
        minhash = MinHash(Dedup(bands=bands, rows=rows, shingle_words=width))
        left, right = (minhash.sign([pair[side] for pair in pairs]) for side in (0, 1))
        estimate = similarity(sketches(left), sketches(right), minhash.size)
        assert left.shape == (200, bands * rows) and minhash.keys(left).shape == (200, bands)
        assert abs((estimate - (left == right).mean(axis=1)).mean()) < 0.05
        assert (similarity(sketches(left), sketches(left), minhash.size) == 1).all()


def test_signatures_are_the_same_in_every_process_and_have_not_changed() -> None:
    """They may change only with the stage's REVISION."""
    code = (
        "from llama_core.corpus.dedup.minhash import MinHash; from llama_core.corpus.recipe import Dedup;"
        "import xxhash; texts = ['one two three four five six seven', 'one Два три čtyři 🙂 pět', 'x', ''];"
        "print(xxhash.xxh3_64_hexdigest(MinHash(Dedup()).sign(texts).tobytes()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "aabfc2dda49fe1df"


def test_signing_is_fast_enough_for_terabytes() -> None:
    texts = [" ".join(random.Random(seed).choices(WORDS, k=2000)) for seed in range(200)]
    minhash = MinHash(CFG)
    minhash.sign(texts[:10])
    started = time.process_time()
    minhash.sign(texts)
    assert sum(map(len, texts)) / 1e6 / (time.process_time() - started) > 15  # 74 MB/s on an idle core
