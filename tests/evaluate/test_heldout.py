"""Held-out bits per byte: the arithmetic of the definition, on what the tokens step has prepared."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ranks
import torch
from trained import Trained

from llama_core.artifact import Artifact
from llama_core.errors import DamagedError
from llama_core.evaluate.heldout import heldout
from llama_core.evaluate.score import Scorer
from llama_core.protocols import local_disk
from llama_core.store import Store
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokens.heldout import HELDOUT, texts
from llama_core.tokens.histograms import unigram
from llama_core.train.distributed import World

ALONE = World(0, 1, torch.device("cpu"))


def test_bits_per_byte_are_the_models_and_the_frequencies_own(trained: Trained) -> None:
    model, tokenizer = trained.model(), trained.tokenizer
    frequencies = unigram(trained.inputs["tokens"], trained.recipe.mixture)
    seq_len = trained.recipe.train.seq_len
    scorer = Scorer(model, seq_len, 512, ALONE)
    found = heldout(scorer, tokenizer, trained.inputs["tokens"], trained.recipe.mixture, limit=600)
    assert found.keys() == {"code", "docs"}
    for source, result in found.items():
        bits = unigram_bits = 0.0
        chosen = texts(trained.inputs["tokens"], source, 600)
        for text in chosen:
            ids = tokenizer.encode(text, bos=True)
            assert len(ids) > seq_len, "the test should need more than one window"
            with torch.no_grad():
                for start in range(1, len(ids), seq_len):
                    end = min(start + seq_len, len(ids))
                    first = max(0, end - seq_len - 1)
                    logs = model(torch.tensor([ids[first : end - 1]])).log_softmax(-1)[0]
                    bits -= sum(float(logs[i - 1 - first, ids[i]]) for i in range(start, end)) / math.log(2)
            unigram_bits -= sum(frequencies[i] for i in ids[1:])
        size = sum(len(text.encode()) for text in chosen)
        assert result["bytes"] == size <= 600
        assert result["bits_per_byte"] == pytest.approx(bits / size, abs=1e-4)
        assert result["unigram_bits_per_byte"] == pytest.approx(unigram_bits / size, abs=1e-4)
        assert result["ratio"] == pytest.approx(bits / unigram_bits, abs=1e-4)


def test_frequencies_are_probabilities(trained: Trained) -> None:
    assert np.exp2(unigram(trained.inputs["tokens"], trained.recipe.mixture)).sum() == pytest.approx(1)


class Flat(torch.nn.Module):
    """A model to which all tokens are alike."""

    def forward(self, tokens: torch.Tensor, cache: Any, head: Callable[..., torch.Tensor]) -> torch.Tensor:
        return head(torch.zeros(*tokens.shape, 512), torch.nn.Identity())


def scored(world: World, tokens: str, tokenizer: str) -> tuple[dict[str, Any], Counter[str]]:
    """What a rank finds, and how often it has read each object of the tokens, its manifest aside."""
    opened: Counter[str] = Counter()
    read = local_disk.open_regular

    def counting(path: str) -> Any:
        opened[Path(path).name] += 1
        return read(path)

    words = Tokenizer.load(Artifact.open(Store(tokenizer)))
    artifact = Artifact.open(Store(tokens))
    local_disk.open_regular = counting  # the process is this case's own
    return heldout(Scorer(Flat(), 64, 512, world), words, artifact, {"code": 0.6, "docs": 0.4}, 600), opened


def test_one_rank_reads_what_is_scored_and_each_object_once(trained: Trained) -> None:
    tokens, tokenizer = trained.inputs["tokens"], trained.inputs["tokenizer"]
    found = ranks.call(2, scored, tokens.url, tokenizer.url)
    (one, opened), (two, nothing) = found
    assert one == two and one.keys() == {"code", "docs"}
    assert opened == dict.fromkeys(
        ["index.parquet", "code.parquet", "docs.parquet", "code.npy", "docs.npy"], 1
    )
    assert not nothing


def refused(world: World, tokens: str, tokenizer: str) -> str:
    with pytest.raises(DamagedError) as error:
        scored(world, tokens, tokenizer)
    return str(error.value)


def test_a_damaged_object_is_an_error_of_every_rank(store: Store) -> None:
    from trained import make_trained

    trained = make_trained(store)
    tokens = trained.inputs["tokens"]
    path = Path(tokens.store.path(tokens.shard(HELDOUT).object("/docs.parquet").name))
    path.write_bytes(path.read_bytes()[:-9])
    found = ranks.call(2, refused, tokens.url, trained.inputs["tokenizer"].url)
    assert len(set(found)) == 1 and "heldout/docs.parquet" in found[0]
