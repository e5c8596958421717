"""Log-likelihoods are those of the whole sequence, whatever the batch, and each token counts once."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from trained import Trained

from llama_core.evaluate.score import Scorer
from llama_core.tokens.heldout import bits_per_byte, windows
from llama_core.train.distributed import World

ALONE = World(0, 1, torch.device("cpu"))
VOCAB = 16


class Bigram(nn.Module):
    """A model whose log-likelihoods can be added up by hand: what comes next depends on one token."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(1)).log_softmax(-1)

    def forward(self, tokens: Tensor, cache: Any, head: Callable[[Tensor, nn.Module], Tensor]) -> Tensor:
        return head(self.table[tokens], nn.Identity())

    def loglikelihood(self, before: int, tokens: list[int]) -> float:
        pairs = zip([before, *tokens], tokens)
        return sum(float(self.table[a, b]) for a, b in pairs)


tokens = st.lists(st.integers(3, VOCAB - 1), min_size=1, max_size=40)


@settings(deadline=None)
@given(st.lists(tokens, min_size=1, max_size=5), st.integers(1, 12), st.integers(1, 60))
def test_windows_score_every_token_once(texts: list[list[int]], seq_len: int, batch_tokens: int) -> None:
    model = Bigram()
    found = Scorer(model, seq_len, batch_tokens, ALONE).rolling(texts, bos_id=1)
    assert found == pytest.approx([model.loglikelihood(1, text) for text in texts], abs=1e-4)


@settings(deadline=None)
@given(tokens, st.integers(1, 50))
def test_windows_cover_the_text_and_fit_the_model(text: list[int], seq_len: int) -> None:
    pairs = windows(text, 1, seq_len)
    assert [token for _, continuation in pairs for token in continuation] == text
    assert all(context and len(context) + len(continuation) <= seq_len + 1 for context, continuation in pairs)
    if len(pairs) > 1:  # the last one reaches back
        assert len(pairs[-1][0]) + len(pairs[-1][1]) == seq_len + 1


def test_a_continuation_scores_the_same_in_any_batch(trained: Trained) -> None:
    model, rng = trained.model(), random.Random(1)
    pairs = [
        (
            [1, *rng.choices(range(3, 500), k=rng.randrange(30))],
            rng.choices(range(3, 500), k=rng.randrange(1, 9)),
        )
        for _ in range(25)
    ]
    alone = [score for pair in pairs for score in Scorer(model, 64, 1, ALONE).score([pair])]
    together = Scorer(model, 64, 500, ALONE).score(pairs)
    assert [s.loglikelihood for s in together] == pytest.approx([s.loglikelihood for s in alone], abs=1e-3)
    for (context, continuation), score in zip(pairs, alone):
        with torch.no_grad():
            logs = model(torch.tensor([context + continuation])).log_softmax(-1)[0, len(context) - 1 : -1]
        expected = logs.gather(1, torch.tensor(continuation)[:, None]).sum()
        assert score.loglikelihood == pytest.approx(float(expected), abs=1e-3)
        assert score.greedy == (logs.argmax(-1).tolist() == continuation)


def test_what_texts_have_in_common_is_read_once_and_changes_no_score(trained: Trained) -> None:
    model, rng = trained.model(), random.Random(2)
    read: list[int] = []
    model.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0].numel()))

    def ids(n: int) -> list[int]:
        return rng.choices(range(3, 500), k=n)

    head, other = [1, *ids(60)], [1, *ids(70)]
    pairs = [([*head, *ids(5)], ids(1 + n % 4)) for n in range(20)]
    pairs += [(other, ids(1 + n % 3)) for n in range(5)] + [([*other, 7], ids(80)), ([1], [3]), (other, [5])]
    pairs += pairs[:4]
    alone = [score for pair in pairs for score in Scorer(model, 200, 1, ALONE).score([pair])]
    read.clear()
    for batch_tokens in (4096, 100):
        together = Scorer(model, 200, batch_tokens, ALONE).score(pairs)
        assert [s.loglikelihood for s in together] == pytest.approx(
            [s.loglikelihood for s in alone], abs=1e-3
        )
        assert [s.greedy for s in together] == [s.greedy for s in alone]
        if batch_tokens == 4096:
            assert sum(read) < 61 + 20 * 8 + 71 + 5 * 2 + 80 + 3


def test_greedy_is_said_of_what_the_model_would_write() -> None:
    model = Bigram()
    best = int(model.table[5].argmax())
    scores = Scorer(model, 8, 64, ALONE).score([([5], [best]), ([5], [(best + 1) % VOCAB])])
    assert [score.greedy for score in scores] == [True, False]


def test_a_long_context_is_cut_on_the_left() -> None:
    model = Bigram()
    (score,) = Scorer(model, 4, 64, ALONE).score([([3] * 30 + [5], [6, 7])])
    assert score.loglikelihood == pytest.approx(model.loglikelihood(5, [6, 7]), abs=1e-5)


def test_a_uniform_guess_over_bytes_is_eight_bits() -> None:
    assert bits_per_byte(-100 * math.log(256), 100) == pytest.approx(8)
