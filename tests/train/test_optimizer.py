"""The schedule is the paper's, a function of the step alone; clipping and decay do what they say."""

import math

import pytest
import torch

from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.recipes.load import load_recipe
from llama_core.recipes.training import Model
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


@pytest.mark.parametrize("name", ["micro", "tiny", "7b", "65b"])
def test_a_cosine_without_a_ramp_is_that_of_the_steps_bit_for_bit(name):
    cfg = load_recipe(name).train
    later = range(cfg.warmup_steps + 1, cfg.steps + 1)
    for step in later if len(later) < 1000 else (*later[:50], *later[:: len(later) // 500], *later[-50:]):
        done = (step - cfg.warmup_steps) / max(1, cfg.steps - cfg.warmup_steps)
        cosine = (1 + math.cos(math.pi * min(1.0, done))) / 2
        assert lr_at(step, cfg) == cfg.lr * (cfg.min_lr_ratio + (1 - cfg.min_lr_ratio) * cosine), step


@pytest.mark.parametrize(
    ("shape", "quarter"), [("linear", 0.75), ("1-sqrt", 0.5)]
)  # of the fall, when a quarter of the tokens is done
def test_a_stable_rate_falls_in_the_last_tokens_alone(shape, quarter):
    cfg = load_recipe(
        "micro",
        {
            "train.schedule": "wsd",
            "train.tokens": 100 * 1024,
            "train.decay_tokens": 40 * 1024,
            "train.decay_shape": shape,
        },
    ).train
    assert [lr_at(n, cfg) for n in (1, 2, 3, 4)] == [cfg.lr * n / 4 for n in (1, 2, 3, 4)]
    assert {lr_at(n, cfg) for n in range(4, 61)} == {cfg.lr}
    falling = [lr_at(n, cfg) for n in range(60, 101)]
    assert falling == sorted(falling, reverse=True) and len(set(falling)) == 41
    assert falling[10] == pytest.approx(cfg.lr * (0.1 + 0.9 * quarter))
    assert falling[-1] == pytest.approx(cfg.lr * 0.1)
    longer = cfg.model_copy(update={"tokens": 200 * 1024})
    assert [lr_at(n, longer) for n in range(1, 61)] == [lr_at(n, cfg) for n in range(1, 61)]


def test_with_a_ramp_the_rate_falls_by_tokens():
    whole = {"train.tokens": 40 * 1024, "train.warmup_steps": 0, "layout.micro_batch": 4}
    even = load_recipe("micro", whole).train
    ramp = load_recipe("micro", whole | {"train.batch_ramp": [[10 * 1024, 512]]}).train
    assert ramp.steps == 50
    for step in range(1, ramp.steps + 1):
        seen, rest = divmod(ramp.tokens_before(step + 1), 1024)
        if not rest:
            assert lr_at(step, ramp) == lr_at(seen, even), step


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
    rows = torch.zeros(1)
    assert clip([p, q], 10.0, rows)[0].item() == pytest.approx(5.0)
    assert p.grad[0] == 3.0, "small enough: left alone"
    assert clip([p, q], 1.0, rows)[0].item() == pytest.approx(5.0)
    assert torch.allclose(p.grad, torch.tensor([0.6, 0.0, 0.0])) and torch.allclose(
        q.grad, torch.full((2, 2), 0.4)
    )
