"""float8: which matrices it is for, and what is refused before a training begins."""

import sys

import pytest
import torch

from llama_core.errors import RecipeError
from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.recipes.load import load_recipe
from llama_core.recipes.training import Model
from llama_core.train.distributed import World
from llama_core.train.float8 import multiply_in_float8
from llama_core.train.parallelize import build

SHAPE = Model(dim=64, n_layers=2, n_heads=2, multiple_of=32)
ON_GPU = {"train.precision": "bf16", "launch.device": "cuda", "launch.procs_per_node": 1}


@pytest.mark.parametrize("recipe", ["tensorwise", "rowwise"])
def test_blocks_multiply_in_float8_and_the_output_does_not(recipe):
    model, exact = Llama(SHAPE, 100), Llama(SHAPE, 100)
    multiply_in_float8(model.layers, recipe, emulate=True)
    for each in (model, exact):
        init_weights(each, each.cfg, 0.1, 1)
        each.bfloat16()
    assert dict(model.named_parameters()).keys() == dict(exact.named_parameters()).keys()
    assert type(model.layers[0].feed_forward.w2).__name__ == "Float8Linear"
    assert type(model.output) is torch.nn.Linear
    tokens = torch.randint(100, (2, 32))
    losses = []
    for each in (model, exact):
        logits = each(tokens)
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens.flatten())
        loss.backward()
        losses.append(loss.item())
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    ours, theirs = (each.layers[0].attention.wq.weight.grad.float() for each in (model, exact))
    assert (ours - theirs).norm() < 0.4 * theirs.norm(), "gradients pass through"


def test_a_matrix_whose_sizes_16_does_not_divide_stays_as_it_is():
    model = Llama(Model(dim=24, n_layers=1, n_heads=2, multiple_of=32), 100)
    multiply_in_float8(model.layers, "tensorwise", emulate=True)
    assert type(model.layers[0].attention.wq) is torch.nn.Linear


def test_float8_is_refused_with_float32_and_on_a_cpu():
    with pytest.raises(RecipeError, match="precision bf16"):
        load_recipe("micro", ON_GPU | {"train.float8": "rowwise", "train.precision": "fp32"})
    with pytest.raises(RecipeError, match=r"needs launch\.device cuda"):
        load_recipe("micro", ON_GPU | {"train.float8": "rowwise", "launch.device": "cpu"})


def test_float8_is_refused_on_a_device_without_it_and_without_torchao(monkeypatch):
    recipe = load_recipe("micro", ON_GPU | {"train.float8": "tensorwise"})
    with pytest.raises(RecipeError, match=r"a CPU has no products in float8"):
        build(recipe, 100, World(0, 1, torch.device("cpu")))
    monkeypatch.setitem(sys.modules, "torchao.float8", None)
    with pytest.raises(RecipeError, match="install the extra float8"):
        multiply_in_float8(Llama(SHAPE, 100).layers, "tensorwise")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("recipe", ["tensorwise", "rowwise"])
@pytest.mark.parametrize("compiled", [False, True])
def test_float8_trains_like_bf16_on_a_gpu(recipe, compiled):
    from test_precision import train

    def losses(float8: str) -> list[float]:
        values = {"train.float8": float8, "layout.compile": compiled, "layout.micro_batch": 16}
        of = load_recipe(
            "micro", ON_GPU | values | {"model.dim": 256, "model.n_heads": 4, "train.init_std": 0.05}
        )
        return [loss for loss, _ in train(build(of, 400, World(0, 1, torch.device("cuda", 0))), of, 10)[0]]

    eight, sixteen = losses(recipe), losses("none")
    assert eight != sixteen
    assert eight == pytest.approx(sixteen, rel=2e-2)
