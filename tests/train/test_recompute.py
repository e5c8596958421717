"""What is computed again changes no bit of the gradients, and takes the memory that it should."""

import functools
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from llama_core.errors import RecipeError
from llama_core.model.attention import DocMask
from llama_core.model.llama import Llama
from llama_core.recipes.load import load_recipe
from llama_core.recipes.running import Layout
from llama_core.recipes.training import Model
from llama_core.train.recompute import compile_and_checkpoint

BOS = 1
TOKENS = torch.randint(0, 30, (2, 128), generator=torch.Generator().manual_seed(2))
KINDS = ("none", "selective", "full")


class Peak(TorchDispatchMode):
    """The most bytes that the tensors made under it have held at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.calls: dict[str, int] = {}
        self._seen = weakref.WeakSet()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls[str(function)] = self.calls.get(str(function), 0) + 1
        out = function(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            storage = tensor.untyped_storage() if isinstance(tensor, torch.Tensor) else None
            if storage is not None and storage not in self._seen:
                self._seen.add(storage)
                size = storage.nbytes()
                self.now += size
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self._free, size)
        return out

    def _free(self, size: int) -> None:
        self.now -= size


def gradients(masked: bool, **layout) -> tuple[list[torch.Tensor], Peak]:
    model = Llama(Model(dim=64, n_layers=4, n_heads=4, multiple_of=32), 32)
    model.init_weights(0.1, 1)
    for layer in model.layers:
        compile_and_checkpoint(layer, Layout.model_validate(layout))
    mask = DocMask.from_tokens(TOKENS, BOS) if masked else None
    with Peak() as peak:
        loss = model(TOKENS, mask).float().logsumexp(-1).square().sum()
        loss.backward()
    return [loss.detach(), *(p.grad for p in model.parameters())], peak


@pytest.fixture
def quick_compiler(monkeypatch):
    """The real compiler up to the choice of what is kept; its operators then run as they are."""
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("masked", [False, True])
def test_recomputation_changes_no_bit_and_selective_holds_more_than_full_and_less_than_none(masked):
    found = {kind: gradients(masked, activation_checkpointing=kind) for kind in KINDS}
    for kind in KINDS:
        assert all(map(torch.equal, found[kind][0], found["none"][0])), kind
    none, selective, full = (found[kind][1].most for kind in KINDS)
    assert full < 0.9 * selective and selective < 0.9 * none, (none, selective, full)
    products = [found[kind][1].calls["aten.mm.default"] for kind in KINDS]
    assert products[0] == products[1] < products[2], "linear layers are not computed again"
    attention = (
        "llama_core.attention.default"
        if masked
        else "aten._scaled_dot_product_flash_attention_for_cpu.default"
    )
    times = [found[kind][1].calls[attention] for kind in KINDS]
    assert times == [4, 4, 8], "once for each layer, and only `full` again"


@pytest.mark.parametrize("kind", ["selective", "full", "budget"])
def test_compiled_blocks_that_recompute_give_the_same_gradients(quick_compiler, kind):
    expected, _ = gradients(True)
    found, _ = compiled_gradients(kind)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


def compiled_gradients(kind: str, **layout) -> tuple[list[torch.Tensor], int]:
    """Gradients, and how many bytes the compiled blocks kept for the backward pass."""
    model = Llama(Model(dim=64, n_layers=4, n_heads=4, multiple_of=32), 32)
    model.init_weights(0.1, 1)
    for layer in model.layers:
        chosen = {"activation_checkpointing": kind, "compile": True} | layout
        compile_and_checkpoint(layer, Layout.model_validate(chosen))
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(TOKENS, DocMask.from_tokens(TOKENS, BOS)).float().logsumexp(-1).square().sum()
    loss.backward()
    return [loss.detach(), *(p.grad for p in model.parameters())], sum(kept.values())


def test_a_smaller_budget_keeps_less(quick_compiler):
    kept = [compiled_gradients("none")[1]]
    for budget in (0.5, 0.0):
        torch._dynamo.reset()
        kept.append(compiled_gradients("budget", activation_budget=budget)[1])
    assert kept[0] > kept[1] > kept[2], kept


def test_a_budget_needs_the_compiler():
    with pytest.raises(RecipeError, match="set layout.compile to true, or"):
        load_recipe("micro", {"layout.activation_checkpointing": "budget"})
    load_recipe("micro", {"layout.activation_checkpointing": "budget", "layout.compile": True})
