"""Texts that begin alike give the logits that each of them gives alone."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.model.trees import Branch, Tree, Trees
from llama_core.recipes.training import Model

VOCAB = 50


@pytest.fixture(scope="module")
def model() -> Llama:
    cfg = Model(dim=32, n_layers=2, n_heads=4)
    model = Llama(cfg, VOCAB)
    init_weights(model, cfg, 0.2, seed=1)
    return model.eval()


ids = st.lists(st.integers(0, VOCAB - 1), max_size=6)
context = st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=9)
branches = st.builds(Branch, context, st.lists(ids, min_size=1, max_size=4))
trees = st.builds(Tree, ids, st.lists(branches, min_size=1, max_size=3))


@settings(deadline=None, max_examples=60)
@given(st.lists(trees, min_size=1, max_size=3))
def test_each_text_has_the_logits_that_it_has_alone(model: Llama, trees: list[Tree]) -> None:
    read = Trees(trees)
    assert read.ids.shape[1] == sum(tree.size for tree in trees)
    with torch.no_grad():
        found = model(read.ids, cache=read)[0]
        places = iter(read.places)
        for tree in trees:
            for branch in tree.branches:
                for text in branch.texts:
                    before = [*tree.head, *branch.context]
                    alone = model(torch.tensor([[*before, *text]]))[0, len(before) - 1 : -1]
                    torch.testing.assert_close(found[next(places)], alone, atol=1e-4, rtol=1e-4)
    assert next(places, None) is None


def test_what_follows_a_text_changes_nothing_before_it(model: Llama) -> None:
    rng = random.Random(1)
    head, context, text = ([rng.randrange(VOCAB) for _ in range(n)] for n in (5, 4, 3))
    with torch.no_grad():
        alone = Trees([Tree(head, [Branch(context, [text])])])
        more = Trees([Tree(head, [Branch(context, [text, [1, 2, 3]]), Branch([7], [[8, 9]])])])
        first, second = (model(t.ids, cache=t)[0][t.places[0]] for t in (alone, more))
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)
