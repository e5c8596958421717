"""Held-out bits per byte: the same texts every time, and the arithmetic of the definition."""

import math

import numpy as np
import pytest
import torch
from trained import Trained

from llama_core.artifact import Artifact
from llama_core.corpus.document import Document, write_documents
from llama_core.evaluate.heldout import heldout
from llama_core.evaluate.score import Scorer
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokens.heldout import choose_texts
from llama_core.tokens.histograms import unigram
from llama_core.train.distributed import World

ALONE = World(0, 1, torch.device("cpu"))


def corpus(store: Store, shards: dict[str, list[str]]) -> Artifact:
    step = Step(store, "corpus", 1, {})
    for name, texts in shards.items():
        with step.shard(name) as shard:
            shard.facts = {"source": name.split(".")[0], "group": ""}
            with shard.publish(f"{name}/heldout.parquet") as file:
                rows = [Document(text[:6], text, "code", "", "", "", "", "{}") for text in texts]
                write_documents(file, rows)
    return step.commit(list(shards))


TEXTS = [f"{i:06d} é{'x' * (i % 17)}" for i in range(60)]


def test_which_texts_are_chosen_does_not_depend_on_shards_or_order(store: Store) -> None:
    one = corpus(store.at("one"), {"code.a": TEXTS})
    many = corpus(
        store.at("many"), {"code.b": TEXTS[::-3], "code.a": TEXTS[1::3] + TEXTS[0::3], "docs.a": ["x" * 9]}
    )
    chosen = choose_texts(one, "code", 400)
    assert chosen == choose_texts(many, "code", 400)
    assert choose_texts(one, "code", 300) != chosen


@pytest.mark.parametrize("limit", [1, 7, 8, 100, 101, 102, 103, 10_000])
def test_no_more_than_the_limit_is_scored(store: Store, limit: int) -> None:
    texts = choose_texts(corpus(store, {"code.a": TEXTS}), "code", limit)
    size = sum(len(text.encode()) for text in texts)
    everything = sum(len(text.encode()) for text in TEXTS)
    assert min(limit, everything) - 1 <= size <= limit  # a character of two bytes may not fit
    assert all(any(whole.startswith(text) for whole in TEXTS) for text in texts)


def test_bits_per_byte_are_the_models_and_the_frequencies_own(trained: Trained) -> None:
    model, tokenizer = trained.model(), trained.tokenizer
    frequencies = unigram(trained.inputs["tokens"], trained.recipe.mixture)
    seq_len = trained.recipe.train.seq_len
    found = heldout(
        Scorer(model, seq_len, 512, ALONE), tokenizer, trained.inputs["corpus"], frequencies, limit=600
    )
    assert found.keys() == {"code", "docs"}
    for source, result in found.items():
        bits = unigram_bits = 0.0
        texts = choose_texts(trained.inputs["corpus"], source, 600)
        for text in texts:
            ids = tokenizer.encode(text, bos=True)
            assert len(ids) > seq_len, "the test should need more than one window"
            with torch.no_grad():
                for start in range(1, len(ids), seq_len):
                    end = min(start + seq_len, len(ids))
                    first = max(0, end - seq_len - 1)
                    logs = model(torch.tensor([ids[first : end - 1]])).log_softmax(-1)[0]
                    bits -= sum(float(logs[i - 1 - first, ids[i]]) for i in range(start, end)) / math.log(2)
            unigram_bits -= sum(frequencies[i] for i in ids[1:])
        size = sum(len(text.encode()) for text in texts)
        assert result["bytes"] == size <= 600
        assert result["bits_per_byte"] == pytest.approx(bits / size, abs=1e-4)
        assert result["unigram_bits_per_byte"] == pytest.approx(unigram_bits / size, abs=1e-4)
        assert result["ratio"] == pytest.approx(bits / unigram_bits, abs=1e-4)


def test_frequencies_are_probabilities(trained: Trained) -> None:
    assert np.exp2(unigram(trained.inputs["tokens"], trained.recipe.mixture)).sum() == pytest.approx(1)
