"""Initial weights and the digest of weights are the same in every layout, and each process does its share."""

import hashlib
import types

import pytest
import ranks
import torch

from llama_core.model import init
from llama_core.model.llama import Llama
from llama_core.recipes.load import load_recipe
from llama_core.train import digest
from llama_core.train.parallelize import build, init_weights

ODD = {"model.dim": 36, "model.n_heads": 6, "model.multiple_of": 12}  # hardly a matrix has equal parts
EVEN = {"model.dim": 64, "model.n_heads": 4, "model.multiple_of": 32}
VOCAB = 252


def whole_model(shape):
    recipe = load_recipe("micro", shape)
    model = Llama(recipe.model, VOCAB)
    init.init_weights(model, recipe.model, 0.1, 1)
    return model


def weigh(world, shape, layout):
    """The digest of the initial weights, which of them are not one process's, how many values this process
    holds, how many it has drawn, and how many bytes it has hashed."""
    whole = dict(whole_model(shape).named_parameters())
    recipe = load_recipe("micro", shape | layout)
    parts = build(recipe, VOCAB, world)
    drawn, hashed, normal = [], [], init._normal

    def counted_normal(bits, std):
        drawn.append(2 * bits.numel())
        return normal(bits, std)

    def counted_sha256(data=b""):
        hashed.append(len(data))
        return hashlib.sha256(data)

    init._normal, digest.hashlib = counted_normal, types.SimpleNamespace(sha256=counted_sha256)
    init_weights(parts, 0.1, 1)
    found = digest.model_digest(parts, world)
    held, wrong = 0, []
    for name, parameter in parts.named_parameters():
        local = hasattr(parameter, "placements")
        held += (parameter.to_local() if local else parameter).numel()
        value = parameter.full_tensor() if local else parameter
        wrong += [] if torch.equal(value, whole[name]) else [name]
    return found, wrong, held, sum(drawn), sum(hashed)


LAYOUTS = [
    (1, {}),
    (2, {}),
    (2, {"layout.tp": 2}),
    (2, {"layout.dp_replicate": 2}),
    (4, {"layout.tp": 2}),
    (4, {"layout.dp_replicate": 2}),
    (4, {"layout.cp": 2, "layout.tp": 2}),
    (8, {"layout.dp_replicate": 2, "layout.tp": 2}),
    (8, {}),
]


@pytest.mark.parametrize("shape", [ODD, EVEN], ids=["odd", "even"])
@pytest.mark.parametrize(
    "processes,layout",
    [pytest.param(n, layout, marks=[pytest.mark.slow] if n > 2 else []) for n, layout in LAYOUTS],
)
def test_weights_and_their_digest_are_those_of_one_process(processes, layout, shape):
    model = whole_model(shape)
    values = sum(p.numel() for p in model.parameters())
    expected = digest.model_digest(model)
    layout = layout | {"launch.procs_per_node": processes, "layout.micro_batch": 2}
    for found, wrong, held, drawn, hashed in ranks.call(processes, weigh, shape, layout):
        assert not wrong
        assert found == expected
        if shape is EVEN:  # but for the norms, which each tp process has
            assert drawn <= held <= values * layout.get("layout.dp_replicate", 1) / processes * 1.02
            assert hashed <= 4 * values / processes * 1.02


def test_a_digest_tells_a_weight_a_name_and_an_order():
    def digest_of(**tensors):
        return digest.model_digest(torch.nn.ParameterDict(tensors))

    a, b = torch.arange(6.0).view(3, 2), torch.ones(2)
    digests = [
        digest_of(a=a, b=b),
        digest_of(a=a, c=b),
        digest_of(a=b, b=a),
        digest_of(a=a.view(2, 3), b=b),
        digest_of(a=a.flip(0), b=b),
        digest_of(a=a, b=b + torch.tensor([0, 1e-6])),
        digest_of(a=a.bfloat16(), b=b),
    ]
    assert len(set(digests)) == len(digests)
