"""A model to talk to, from the URL of an export or train step, or of a LLaMA folder by anybody."""

import os
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from llama_core.errors import InputError, LlamaError
from llama_core.generate import parallel
from llama_core.model.llama import Llama
from llama_core.tokenizer.model import Tokenizer
from llama_core.train.distributed import World
from llama_core.weights.open import open_weights, store_of, whole
from llama_core.weights.weights import Weights

T = TypeVar("T")


class Loaded(NamedTuple):
    """A model that is ready to generate text."""

    model: Llama
    tokenizer: Tokenizer
    seq_len: int
    """The longest context of the model, in tokens."""


def load(
    url: str,
    device: str | torch.device = "cpu",
    world: World | None = None,
    dtype: torch.dtype | None = None,
    tokenizer: str | None = None,
) -> Loaded:
    """Load the model at any path or fsspec URL: see `open_weights`, which `tokenizer` is for as well.

    `world`: the processes that share the model, on their own devices; each of them reads its part. `dtype`:
    that of the weights, else they keep the precision that they are stored in, but for float16 on a CPU, which
    becomes float32: few CPUs compute in it. Raises InputError where there
    is no such model, and DamagedError where its bytes are not what the manifest says, or not what they
    should be; where one process raises an error, all do.
    """
    world = world or World(0, 1, torch.device(device))
    weights = together(world, lambda: open_weights(url, tokenizer))
    _check_room(weights, world)
    model = together(world, lambda: _read(weights, world, dtype))
    parallel.connect(model, world)
    return Loaded(model.eval(), weights.tokenizer, weights.seq_len)


def _read(weights: Weights, world: World, dtype: torch.dtype | None) -> Llama:
    """Return the model, with the parts of its weights that are this process's, on its device."""
    if dtype is None and weights.dtype == torch.float16 and world.device.type == "cpu":
        dtype = torch.float32
    with torch.device("meta"):
        model = Llama(weights.model, weights.vocab_size, attention="sdpa")
    with whole(store_of(weights.url)):
        weights.check(world.rank, world.size)
        for name in weights.names:
            part = parallel.part_of(name, weights.model, weights.vocab_size, world)
            tensor = weights.read(name, part).to(world.device, dtype)
            module, _, last = name.rpartition(".")
            model.get_submodule(module).register_parameter(last, nn.Parameter(tensor, requires_grad=False))
    return model


def together(world: World, work: Callable[[], T]) -> T:
    """Do something in every process. Where it is an error in one of them, it is in all."""
    found: list[T] = []
    error: LlamaError | None = None
    try:
        found.append(work())
    except LlamaError as raised:
        error = raised
    errors = world.gather(error)

    def first() -> None:
        if known := [e for e in errors if e is not None]:
            raise known[0]

    world.agree(first)
    return found[0]


def _check_room(weights: Weights, world: World) -> None:
    """Raise InputError where the weights are more than this machine has memory for."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    here = int(os.environ.get("LOCAL_WORLD_SIZE", world.size))
    if weights.size * here // world.size > memory:
        raise InputError(
            f"the weights at {weights.url} take {weights.size:,} bytes, and this machine has {memory:,}"
        )
