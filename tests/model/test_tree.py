"""Texts that are laid out as a tree are computed as if each stood alone."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from llama_core.model import tree as module
from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.model.tree import Tree, shared
from llama_core.recipes.training import Model

CPU = torch.device("cpu")
text = st.lists(st.integers(0, 1), min_size=1, max_size=12).map(tuple)
texts = st.sets(text, min_size=1, max_size=12).map(sorted)


@settings(deadline=None)
@given(texts, st.integers(1, 5))
def test_every_token_of_every_text_has_its_place(some: list[tuple[int, ...]], shortest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHORTEST", shortest)
        tree = Tree(some, "sdpa", CPU)
    for text, places in zip(some, tree.places, strict=True):
        assert tree.tokens[0, places].tolist() == list(text)
        assert tree.positions[places].tolist() == list(range(len(text)))
    common = [max(0, shared(a, b) - shortest + 1) for a, b in itertools.pairwise(some)]
    assert len(some[0]) <= tree.tokens.numel() <= sum(map(len, some)) - sum(common)


@given(text, text)
def test_what_two_texts_share_is_their_common_beginning(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    n = shared(one, other)
    assert one[:n] == other[:n]
    assert n == min(len(one), len(other)) or one[n] != other[n]


@pytest.mark.parametrize("gathered", [1 << 16, 64])
def test_hidden_states_are_those_of_each_text_alone(gathered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHERED", gathered)
    cfg = Model(dim=32, n_layers=2, n_heads=2, multiple_of=16)
    model = Llama(cfg, 64, attention="sdpa").eval()
    init_weights(model, cfg, 0.2, 1)
    generator = torch.Generator().manual_seed(1)

    def draw(n: int) -> tuple[int, ...]:
        return tuple(torch.randint(64, (n,), generator=generator).tolist())

    examples, other = draw(40), draw(25)
    questions = [(*examples, *draw(20)) for _ in range(3)]
    some = [examples, other, *questions]
    some += [(*question, *draw(1 + i)) for question in questions for i in range(4)]
    some.sort()
    tree = Tree(some, "sdpa", CPU)
    assert tree.tokens.numel() < sum(map(len, some)) / 4

    def head(hidden: Tensor, output: nn.Linear) -> Tensor:
        return hidden

    with torch.no_grad():
        found = model(tree.tokens, cache=tree, head=head)[0]
        for one, places in zip(some, tree.places, strict=True):
            torch.testing.assert_close(found[places], model(torch.tensor([one]), head=head)[0])
