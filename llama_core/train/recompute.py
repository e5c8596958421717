"""Activation checkpointing: the backward pass computes again what is not kept for it (Chen et al. 2016).

`full` keeps the input of each block. `selective` keeps what is dear to compute as well, the outputs of linear
layers and attention, as the paper did (Touvron et al. 2023, section 2.4); what is computed again is norms,
rotation and the activation function. `budget` leaves the choice to the compiler, within a share of memory.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from llama_core.model import kernels
from llama_core.recipes.running import Layout


def compile_and_checkpoint(block: nn.Module, layout: Layout) -> None:
    """Compile a block and choose what it keeps for its backward pass, as `layout` says, in place.

    This wraps its `forward`, because a module around it would rename its parameters.
    """
    forward = block.forward
    kind = layout.activation_checkpointing
    if kind == "selective":  # inside of what is compiled, where the operators can be told apart
        forward = _checkpoint(forward, context_fn=_selective)
    if layout.compile:
        # Shapes are few, and the compiler's code for shapes that it does not know is slower, if it makes any.
        forward = torch.compile(forward, dynamic=False)
    if kind == "full":
        forward = _checkpoint(forward)
    elif kind == "budget":
        forward = _within(layout.activation_budget, forward)
    block.forward = forward  # type: ignore[method-assign]


def _checkpoint(forward: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Return `forward` with its activations computed again in the backward pass."""
    from torch.utils.checkpoint import checkpoint

    return functools.partial(checkpoint, forward, use_reentrant=False, preserve_rng_state=False, **options)


def _selective() -> tuple[Any, Any]:
    """Return the contexts of a forward pass and of its repetition, in which dear outputs are kept."""
    from torch.utils.checkpoint import create_selective_checkpoint_contexts

    return create_selective_checkpoint_contexts(_policy)


def _policy(ctx: Any, operator: Any, *args: Any, **kwargs: Any) -> Any:
    """Say whether the outputs of an operator are kept."""
    from torch.utils.checkpoint import CheckpointPolicy

    return CheckpointPolicy.MUST_SAVE if operator in _dear() else CheckpointPolicy.PREFER_RECOMPUTE


@functools.cache
def _dear() -> frozenset[Any]:
    """Return the operators whose outputs are kept: matrix products, attention, sums over processes."""
    aten = torch.ops.aten
    return frozenset(
        {
            aten.mm.default,
            aten.addmm.default,
            aten.bmm.default,
            aten._scaled_mm.default,
            aten._scaled_dot_product_flash_attention.default,
            aten._scaled_dot_product_flash_attention_for_cpu.default,
            aten._scaled_dot_product_efficient_attention.default,
            aten._scaled_dot_product_cudnn_attention.default,
            kernels.OPERATOR,
            torch.ops._c10d_functional.reduce_scatter_tensor.default,
        }
    )


def _within(budget: float, compiled: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled function that keeps the share `budget` of its activations, once it is compiled."""
    import torch._functorch.config as config
    from torch.utils.flop_counter import flop_registry, register_flop_formula

    if torch.ops.llama_core.attention not in flop_registry:  # the compiler would take it to cost nothing
        register_flop_formula(torch.ops.llama_core.attention)(_attention_flop)

    def forward(*args: Any) -> Any:
        with config.patch(activation_memory_budget=budget):
            return compiled(*args)

    return forward


def _attention_flop(q: Any, *args: Any, **kwargs: Any) -> int:
    """Return how many operations attention takes for a shape of `q`, (B, S, H, D), without a mask."""
    batch, length, heads, dim = q
    return 4 * batch * heads * length * length * dim
