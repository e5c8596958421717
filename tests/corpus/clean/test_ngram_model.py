"""The n-gram model: a distribution, with Kneser-Ney's counts, as KenLM estimates and reads it."""

import io
import itertools
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus.clean import ngram_model
from llama_core.corpus.clean.ngram_model import Special, estimate, write_arpa

WORDS = ["<unk>", "<s>", "</s>", *"abcdef"]
SPECIAL = Special(bos=1, eos=2, unk=0)
SENTENCES = st.lists(st.lists(st.sampled_from("abcde"), max_size=7), min_size=1, max_size=25)
# What KenLM's `lmplz -o 3 --discount_fallback`, of commit 4cb443e, writes for some n-grams of `drawn()`.
LMPLZ = {
    "<unk>": (-1.5539986, 0),
    "<s>": (0, -1.1135093),
    "</s>": (-0.8387914, 0),
    "a": (-0.8387914, -0.44594777),
    "f": (-0.98972714, -0.07006003),
    "<s> </s>": (-0.93869495, 0),
    "f </s>": (-0.8947136, 0),
    "<s> a": (-0.6672366, -0.8619478),
    "a b": (-0.8529941, -0.8021129),
    "e f": (-1.2851635, -0.35471487),
    "a a a": (-0.36201057, 0),
    "<s> a b": (-0.6370557, 0),
    "a b c": (-0.9088093, 0),
}


def drawn() -> list[list[str]]:
    """Return 200 sentences, in which the first letters are frequent and the last ones rare."""
    rng = random.Random(1)
    return [
        ["abcdef"[min(rng.randrange(6), rng.randrange(6))] for _ in range(rng.randrange(8))]
        for _ in range(200)
    ]


def tokens_of(sentences: list[list[str]]) -> np.ndarray:
    return np.array([i for s in sentences for i in (1, *map(WORDS.index, s), 2)])


def model_of(sentences: list[list[str]], order: int = 3) -> dict[tuple[str, ...], tuple[float, float]]:
    """Return (log10 p, log10 backoff) by n-gram, read back from the ARPA file."""
    file = io.BytesIO()
    write_arpa(file, estimate(tokens_of(sentences), len(WORDS), order, SPECIAL), WORDS, SPECIAL)
    rows = [line.split("\t") for line in file.getvalue().decode().splitlines() if "\t" in line]
    return {tuple(r[1].split(" ")): (float(r[0]), float(r[2]) if len(r) > 2 else 0.0) for r in rows}


def probability(
    model: dict[tuple[str, ...], tuple[float, float]], context: tuple[str, ...], word: str
) -> float:
    """Compute a probability as every reader of ARPA files does."""
    if (*context, word) in model:
        return 10 ** model[*context, word][0]
    if not context:
        return 10 ** model[("<unk>",)][0]
    backoff = 10 ** model[context][1] if context in model else 1.0
    return backoff * probability(model, context[1:], word)


@given(SENTENCES)
@settings(deadline=None)
def test_the_probabilities_after_every_context_sum_to_one(sentences: list[list[str]]) -> None:
    model = model_of(sentences)
    words = [w for (w,) in (g for g in model if len(g) == 1) if w != "<s>"]
    contexts = [(), *((a,) for a in "abf"), *itertools.product(["<s>", *"abc"], "abf")]
    for context in contexts:
        assert sum(probability(model, context, w) for w in words) == pytest.approx(1, abs=1e-5)


@given(SENTENCES)
@settings(deadline=None)
def test_an_ngram_is_counted_by_the_words_before_it(sentences: list[list[str]]) -> None:
    order = 3
    orders = estimate(tokens_of(sentences), len(WORDS), order, SPECIAL)
    whole = [["<s>", *s, "</s>"] for s in sentences]
    for n, table in enumerate(orders, 1):
        seen = Counter(tuple(s[i : i + n]) for s in whole for i in range(len(s) - n + 1))
        longer = {tuple(s[i : i + n + 1]) for s in whole for i in range(len(s) - n)}
        before = Counter(gram[1:] for gram in longer)
        rows = ngram_model._words_of(orders, n, np.arange(len(table.last)))
        for *ids, count in zip(*rows, table.count.tolist(), strict=True):
            gram = tuple(WORDS[i] for i in ids)
            if n == order or (n > 1 and gram[0] == "<s>"):
                assert count == seen[gram]
            else:
                assert count == before[gram]


def test_a_model_by_hand() -> None:
    """The model is of order 2, over the sentences `a b`, `a c` and `a b`."""
    model = model_of([["a", "b"], ["a", "c"], ["a", "b"]], order=2)
    # Words by what stands before them: a 1 (<s>), b 1 (a), c 1 (a), </s> 2 (b, c): 5 in all, and none of
    # count 3, so the discounts are 0.5, 1 and 1.5. The words are a, b, c, </s> and <unk>.
    uniform = (3 * 0.5 + 1.0) / 5 / 5
    b, end = 0.5 / 5 + uniform, 1 / 5 + uniform
    assert 10 ** model[("b",)][0] == pytest.approx(b, rel=1e-5)
    assert 10 ** model[("<unk>",)][0] == pytest.approx(uniform, rel=1e-5)
    # Pairs: 2 of count 1, 2 of count 2, 1 of count 3, so y = 2 / (2 + 2 * 2), and the discounts:
    one, two = 1 - 2 / 3 * 2 / 2, 2 - 3 / 3 * 1 / 2
    assert 10 ** model["a", "b"][0] == pytest.approx((2 - two) / 3 + (one + two) / 3 * b, rel=1e-5)
    assert 10 ** model["b", "</s>"][0] == pytest.approx((2 - two) / 2 + two / 2 * end, rel=1e-5)


def test_the_probabilities_are_those_of_lmplz() -> None:
    """Here order 1 has the fallback discounts, and orders 2 and 3 have discounts of their own."""
    model = model_of(drawn())
    assert len(model) == 247
    for ngram, numbers in LMPLZ.items():
        assert model[tuple(ngram.split(" "))] == pytest.approx(numbers, abs=1e-6)


def test_kenlm_reads_the_file_and_gives_its_probabilities(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    rng = np.random.default_rng(0)
    sentences = [
        rng.choice(list("abcde"), rng.integers(1, 9), p=[0.4, 0.3, 0.15, 0.1, 0.05]).tolist()
        for _ in range(300)
    ]
    path = tmp_path / "model.arpa"
    with path.open("wb") as file:
        write_arpa(file, estimate(tokens_of(sentences), len(WORDS), 5, SPECIAL), WORDS, SPECIAL)
    model = model_of(sentences, order=5)
    read = kenlm.Model(str(path))
    assert read.order == 5
    for sentence in (["a", "b", "a"], ["e"] * 6, ["a", "f", "b"], []):
        words = ["<s>", *sentence, "</s>"]
        expected = sum(
            np.log10(
                probability(
                    model, tuple("<unk>" if w == "f" else w for w in words[max(0, i - 4) : i]), words[i]
                )
            )
            for i in range(1, len(words))
        )
        assert read.score(" ".join(sentence)) == pytest.approx(expected, rel=1e-4)
