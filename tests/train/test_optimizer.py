"""The schedule is the paper's, a function of the step alone; clipping and decay do what they say."""

import pytest
import torch

from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.recipes.load import load_recipe
from llama_core.recipes.training import Model
from llama_core.train.loss import cross_entropy
from llama_core.train.optimizer import clip, lr_at, make_optimizer


def test_the_rate_of_7b_rises_for_2000_steps_and_falls_to_a_tenth():
    cfg = load_recipe(
        "micro", {"train.warmup_steps": 2000, "train.lr": 3e-4, "train.tokens": 10_000 * 1024}
    ).train
    assert cfg.steps == 10_000
    assert lr_at(1, cfg) == pytest.approx(3e-4 / 2000)
    assert lr_at(2000, cfg) == pytest.approx(3e-4)
    assert lr_at(6000, cfg) == pytest.approx(3e-4 * 0.55)
    assert lr_at(10_000, cfg) == pytest.approx(3e-5)
    rates = [lr_at(n, cfg) for n in range(2000, 10_001)]
    assert rates == sorted(rates, reverse=True)


def test_a_run_without_warm_up_starts_just_below_the_peak():
    cfg = load_recipe("micro", {"train.warmup_steps": 0}).train
    assert 0.98 * cfg.lr < lr_at(1, cfg) < cfg.lr


def test_norms_are_not_decayed_and_matrices_are():
    model = Llama(Model(dim=16, n_layers=1, n_heads=2, multiple_of=16), 32)
    init_weights(model, model.cfg, 0.1, 1)
    optimizer = make_optimizer(model, load_recipe("micro", {"train.lr": 0.5}).train)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in model.named_parameters():
        decayed = before[name] * (1 - 0.5 * 0.1) if p.ndim == 2 else before[name]
        assert torch.allclose(p, decayed), name


def test_clipping_scales_all_gradients_by_one_number():
    p, q = torch.zeros(3), torch.zeros(2, 2)
    p.grad, q.grad = torch.tensor([3.0, 0.0, 0.0]), torch.full((2, 2), 2.0)
    assert clip([p, q], 10.0).item() == pytest.approx(5.0)
    assert p.grad[0] == 3.0, "small enough: left alone"
    assert clip([p, q], 1.0).item() == pytest.approx(5.0)
    assert torch.allclose(p.grad, torch.tensor([0.6, 0.0, 0.0])) and torch.allclose(
        q.grad, torch.full((2, 2), 0.4)
    )


def test_the_losses_of_sequences_add_up_to_the_batch_mean():
    logits, targets = torch.randn(4, 5, 11), torch.randint(0, 11, (4, 5))
    rows = [cross_entropy(x, y) for x, y in zip(logits.split(1), targets.split(1), strict=True)]
    whole = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    assert torch.cat(rows).sum() / 20 == pytest.approx(whole.item(), rel=1e-6)
