"""Processes that share the weights of a model, while each of them continues texts of its own.

A layer's weights are gathered by all processes together, so that each of them has to take as many forward
passes as the others: one that has no text left takes empty ones.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from llama_core.model.cache import Cache, Span
from llama_core.model.llama import Llama
from llama_core.train.distributed import World


@contextlib.contextmanager
def lockstep(model: Llama, world: World) -> Iterator[None]:
    """Let each process pass the model as often as it likes in the block, which all of them leave together.

    A process that raises an error does not wait for the others, and they cannot go on without it.
    """
    if world.size == 1:
        yield
        return

    def tell(*_: Any) -> None:
        world.sum(1)

    first = model.register_forward_pre_hook(tell, prepend=True)
    try:
        yield
    finally:
        first.remove()
    while world.sum(0)[0]:  # another one is about to take a pass
        cache = Cache(len(model.layers), world.device)
        cache.prepare([Span(0, 0, 1)], 1)
        with torch.no_grad():
            model(torch.zeros(1, 1, dtype=torch.int64, device=world.device), cache=cache)
