"""Held-out bits per byte: the same texts every time, and the arithmetic of the definition."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ranks
import torch
from trained import Trained

from llama_core.artifact import Artifact
from llama_core.corpus.document import Document, write_documents
from llama_core.errors import DamagedError
from llama_core.evaluate.heldout import choose_together, heldout
from llama_core.evaluate.score import Scorer
from llama_core.objects import Object
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokens.heldout import candidates, cut_texts, shards_with_text
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


def choose_texts(made: Artifact, source: str, limit: int) -> list[str]:
    """The texts that are to be chosen, by one process that reads all shards."""
    found = candidates(made, shards_with_text(made, source), limit)
    return cut_texts([text for _, _, text in found], limit)


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


def read_together(world: World, url: str, source: str, limit: int) -> tuple[list[str], list[str]]:
    """What a rank chooses with the others, and which shards it has read."""
    opened: list[str] = []
    checked = Store.checked

    def counting(store: Store, name: str, expect: Object) -> Any:
        opened.append(name.split("/")[1])
        return checked(store, name, expect)

    Store.checked = counting  # type: ignore[method-assign]  # the process is this case's own
    return choose_together(world, Artifact.open(Store(url)), source, limit), opened


@pytest.mark.parametrize("limit", [1, 8, 101, 102, 300, 10_000])
@pytest.mark.parametrize("size", [1, 3])
def test_ranks_choose_the_same_texts_and_each_reads_its_share(store: Store, size: int, limit: int) -> None:
    again = [*TEXTS[:20], *(f"{i:06d} another" for i in range(5)), *TEXTS[:3]]  # ids that are there twice
    shards = {f"code.{i:02d}": (TEXTS + again)[i::7] for i in range(7)}
    made = corpus(store, shards | {"code.empty": [], "docs.a": ["x"]})
    found = ranks.call(size, read_together, made.url, "code", limit)
    assert [texts for texts, _ in found] == [choose_texts(made, "code", limit)] * size
    assert sorted(name for _, names in found for name in names) == [*shards, "code.empty"]
    assert all(len(names) <= -(-8 // size) for _, names in found)


def refused(world: World, url: str) -> str:
    with pytest.raises(DamagedError) as error:
        choose_together(world, Artifact.open(Store(url)), "code", 100)
    return str(error.value)


def test_a_damaged_file_is_an_error_of_every_rank(store: Store) -> None:
    made = corpus(store, {f"code.{i}": TEXTS[i::3] for i in range(3)})
    path = Path(made.store.path(made.shard("code.1").object("heldout.parquet").name))
    path.write_bytes(path.read_bytes()[:-9])
    found = ranks.call(3, refused, made.url)
    assert len(set(found)) == 1 and "code.1/heldout.parquet" in found[0]


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
