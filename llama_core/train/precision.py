"""Training in bf16 on one process: the model computes with copies of its weights, made once a step.

The parameters stay what they are on many processes: float32, under the model's names, so the optimizer, the
clipping and the checkpoints see nothing else. Each has a copy in bf16, which its module uses in its place.
The numbers are those of FSDP2 with `MixedPrecisionPolicy(bf16, float32)` on one process, bit for bit, without
its copies: it gathers all weights of a block into one buffer, and its gradients into another.
"""

from typing import Any

import torch
from torch import Tensor, nn


def compute_in_bf16(model: nn.Module) -> None:
    """Let `model` compute in bf16 from now on, in place. Its parameters stay float32, and so do gradients.

    The parameters must have their memory already. They are cast when the model is called and has no
    gradients yet: in the first micro-batch of a step, if `zero_grad` has set the gradients to None.
    """
    weights: list[Tensor] = []
    copies: list[Tensor] = []
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            copy = torch.empty_like(weight, dtype=torch.bfloat16).requires_grad_()
            copy.register_post_accumulate_grad_hook(_Accumulate(weight))
            # An attribute of the module's own goes before a parameter, which only its `__getattr__` finds.
            module.__dict__[name] = copy
            weights.append(weight)
            copies.append(copy)

    @torch.no_grad()
    def cast(*_: Any) -> None:
        # Not by the weights' versions: the fused AdamW leaves them as they are.
        if all(weight.grad is None for weight in weights):
            torch._foreach_copy_(copies, weights)

    model.register_forward_pre_hook(cast)


class _Accumulate:
    """Adds a copy's gradient to that of its weight, in float32, and frees it at once."""

    def __init__(self, weight: nn.Parameter):
        self._weight = weight

    @torch.no_grad()
    def __call__(self, copy: Tensor) -> None:
        assert copy.grad is not None
        if self._weight.grad is None:
            self._weight.grad = copy.grad.float()
        else:
            self._weight.grad.add_(copy.grad)
        copy.grad = None
