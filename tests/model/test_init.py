"""Initial weights are normal values that depend on nothing but the seed, the name and the place."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from llama_core.model import init
from llama_core.model.init import fill_normal, init_weights
from llama_core.model.llama import Llama
from llama_core.recipes.training import Model


def draw(rows, columns, key="1 a"):
    values = torch.empty(rows, columns)
    fill_normal(values, (0, 0), columns, 1.0, key)
    return values


class Work(TorchDispatchMode):
    """Counts the elements that operations make, and the most that one makes."""

    def __init__(self):
        super().__init__()
        self.total = self.most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.total += out.numel()
        self.most = max(self.most, out.numel())
        return out


def test_bits_are_those_of_splitmix64():
    """The first numbers of the published generator from the seed 1234567."""
    places = torch.arange(1, 4)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [n % 2**64 for n in init._splitmix(places, 1234567, 0).tolist()] == expected


def test_values_have_the_moments_and_the_tails_of_a_normal_distribution():
    values = draw(4000, 5000).double()  # 2e7 of them
    n = values.numel()
    assert abs(values.mean()) < 5 / n**0.5
    assert values.var() == pytest.approx(1, abs=5 * (2 / n) ** 0.5)
    assert (values**3).mean() == pytest.approx(0, abs=5 * (15 / n) ** 0.5)
    assert (values**4).mean() == pytest.approx(3, abs=5 * (96 / n) ** 0.5)
    for bound in (0.5, 1, 2, 3, 4, 5):
        expected = math.erfc(bound / 2**0.5)
        found = (values.abs() > bound).double().mean()
        assert found == pytest.approx(expected, abs=5 * (expected / n) ** 0.5), bound
    assert 5 < values.abs().max() < 7.6


@pytest.mark.parametrize("apart", [(0, 1), (0, 2), (1, 0), (1, 1), (0, 499)])
def test_neighbours_are_independent(apart):
    values = draw(1000, 1000)
    rows, columns = apart
    one, other = values[rows:, columns:], values[: 1000 - rows, : 1000 - columns]
    for power in (1, 2):  # of Box and Muller's pairs the squares would depend on each other
        a, b = ((v**power - v.pow(power).mean()).double() for v in (one, other))
        assert abs((a * b).mean() / (a.std() * b.std())) < 5e-3


def test_matrices_of_different_names_and_seeds_are_independent():
    drawn = [draw(1000, 1000, key).flatten() for key in ("1 a", "1 b", "2 a", "2 b", "1 a.1")]
    correlations = torch.corrcoef(torch.stack(drawn))
    assert (correlations - torch.eye(5)).abs().max() < 5e-3


@pytest.mark.parametrize("columns", [64, 77])
@pytest.mark.parametrize("part", [(0, 9, 0, 64), (5, 6, 3, 40), (17, 50, 31, 32), (49, 50, 0, 1)])
def test_a_part_has_the_values_of_the_whole(part, columns, monkeypatch):
    top, bottom, left, right = part
    whole = draw(50, columns)
    for pairs in (2, 100, 2**15):  # however many are drawn at once
        monkeypatch.setitem(init.CHUNK, "cpu", pairs)
        values = torch.full((bottom - top, right - left), torch.nan)
        fill_normal(values, (top, left), columns, 1.0, "1 a")
        assert torch.equal(values, whole[top:bottom, left:right])


@pytest.mark.parametrize("part", [(slice(1024, 2048), slice(None)), (slice(None), slice(1024, 2048))])
def test_an_eighth_takes_an_eighth_of_the_work_and_little_memory(part):
    whole = torch.empty(8192, 8192, device="meta")
    eighth = whole[part]
    work = []
    for values, first in ((whole, (0, 0)), (eighth, (part[0].start or 0, part[1].start or 0))):
        out = torch.empty(values.shape)
        with Work() as counted:
            fill_normal(out, first, 8192, 1.0, "1 a")
        work.append(counted)
    assert work[1].total < work[0].total / 8 * 1.02
    assert work[1].most <= eighth.numel() / 8


def test_a_part_of_a_model_has_the_weights_of_the_whole():
    cfg = Model(dim=64, n_layers=3, n_heads=4, multiple_of=32)
    whole, part = Llama(cfg, 97), Llama(cfg, 97)
    init_weights(whole, cfg, 0.1, 1)
    del part.layers[0]
    part.layers = torch.nn.ModuleDict({"1": part.layers[0], "2": part.layers[1]})
    init_weights(part, cfg, 0.1, 1)
    weights = whole.state_dict()
    assert len(weights) > len(part.state_dict()) > 20
    assert all(torch.equal(value, weights[name]) for name, value in part.state_dict().items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_draws_the_values_of_the_cpu():
    values = torch.empty(1000, 1001, device="cuda")
    fill_normal(values, (0, 0), 1001, 1.0, "1 a")
    assert torch.allclose(values.cpu(), draw(1000, 1001), atol=1e-5)
