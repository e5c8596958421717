"""The loss by chunks is cross-entropy, with its gradients, and holds few logits at a time."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.recipes.training import Model
from llama_core.train import loss as module
from llama_core.train.loss import cross_entropy, head

VOCAB, DIM, BATCH, LENGTH = 500, 32, 3, 50


def plain(hidden: Tensor, output: nn.Linear, targets: Tensor) -> Tensor:
    """Row sums from all logits at once."""
    logits = output(hidden).flatten(0, 1).float()
    return F.cross_entropy(logits, targets.flatten(), reduction="none").view(targets.shape).sum(1)


def case(dtype: torch.dtype = torch.float32) -> tuple[Tensor, nn.Linear, Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(BATCH, LENGTH, DIM, generator=generator)
    output = nn.Linear(DIM, VOCAB, bias=False)
    with torch.no_grad():
        output.weight.normal_(0, 0.5, generator=generator)
    targets = torch.randint(0, VOCAB, (BATCH, LENGTH), generator=generator)
    return hidden.to(dtype).requires_grad_(), output.to(dtype), targets


def results(loss, dtype: torch.dtype, weights: Tensor) -> list[Tensor]:
    hidden, output, targets = case(dtype)
    sums = loss(hidden, output, targets)
    assert sums.shape == (BATCH,) and sums.dtype == torch.float32
    return [sums, *torch.autograd.grad((sums * weights).sum() / 7, (hidden, output.weight))]


@pytest.mark.parametrize("weights", [torch.tensor(2.0), torch.tensor([1.0, -2.0, 0.5])], ids=["mean", "rows"])
@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 1e-6), (torch.bfloat16, 8e-3)])
@pytest.mark.parametrize("logits", [10**9, VOCAB * 37], ids=["one chunk", "more"])
def test_losses_and_gradients_are_those_of_all_logits_at_once(monkeypatch, logits, dtype, tolerance, weights):
    monkeypatch.setitem(module.CHUNK, "cpu", logits)
    expected = results(plain, dtype, weights)
    for ours, theirs in zip(results(cross_entropy, dtype, weights), expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert (ours - theirs).float().norm() <= tolerance * theirs.float().norm()


def test_a_compiled_chunk_gives_the_same(monkeypatch):
    monkeypatch.setitem(module.CHUNK, "cpu", VOCAB * 75)
    expected = results(cross_entropy, torch.float32, torch.tensor(1.0))
    compiled = results(lambda *x: cross_entropy(*x, compiled=True), torch.float32, torch.tensor(1.0))
    for ours, theirs in zip(compiled, expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_model_with_the_loss_as_its_head_gives_the_loss_of_its_logits():
    model = Llama(Model(dim=16, n_layers=1, n_heads=2, multiple_of=16), 64)
    init_weights(model, model.cfg, 0.1, 1)
    tokens = torch.randint(0, 64, (2, 9))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    expected = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
    assert torch.allclose(model(inputs, head=head(targets)).sum() / 16, expected)
    with torch.no_grad():
        assert torch.allclose(model(inputs, head=head(targets)).sum() / 16, expected)


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that is made, by its precision."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: dict[torch.dtype, int] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            if isinstance(tensor, Tensor):
                largest = max(self.elements.get(tensor.dtype, 0), tensor.numel())
                self.elements[tensor.dtype] = largest
        return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_more_than_a_chunk_of_logits_is_ever_held(monkeypatch, dtype):
    monkeypatch.setitem(module.CHUNK, "cpu", 40 * VOCAB)  # of 150 positions: more than the weight has
    with Largest() as seen:
        results(cross_entropy, dtype, torch.tensor(1.0))
    assert max(seen.elements.values()) <= 40 * VOCAB
    with Largest() as seen:
        results(plain, dtype, torch.tensor(1.0))
    assert seen.elements[torch.float32] == BATCH * LENGTH * VOCAB, "it sees what the plain loss holds"


def test_a_factor_of_a_gradient_is_not_rounded_to_bf16():
    """This one would be off by 0.26 %, for every weight in the same direction."""
    factor = 1.5 + 1 / 256
    hidden, output, targets = case(torch.bfloat16)
    sums = cross_entropy(hidden, output, targets).sum()
    one = torch.autograd.grad(sums, output.weight, retain_graph=True)[0].double()
    more = torch.autograd.grad(sums, output.weight, torch.tensor(factor))[0].double()
    assert (more.norm() / one.norm()).item() == pytest.approx(factor, rel=5e-4)
