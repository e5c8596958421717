"""FSDP2, and HSDP where the layout has replicas (Zhao et al. 2023), over the blocks and the root of a model.

Gradients are summed over the processes, never averaged: a loss is divided by the tokens of the whole batch.
"""

import torch
from torch import nn

from llama_core.model.llama import Llama
from llama_core.train.parallel.mesh import Mesh


def shard(model: Llama, mesh: Mesh, precision: str) -> None:
    """Shard the parameters of `model` over the processes, in place. They keep their names.

    `precision`: `bf16` computes in bf16 and sums gradients in float32, `fp32` does both in float32.
    """
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    # Inputs are not cast, so that the rotation's cos and sin stay float32.
    policy = MixedPrecisionPolicy(cast_forward_inputs=False)
    if precision == "bf16":
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    # Freeing a layer's weights between the two passes would free only copies in bf16 where one process has
    # all of them, and would fetch them once a micro-batch in a pipeline.
    free = mesh.dp_shard * mesh.cp > 1 and mesh.pp == 1
    for layer in model.layers:
        fully_shard(layer, mesh=mesh.fsdp, mp_policy=policy, reshard_after_forward=free)
    fully_shard(model, mesh=mesh.fsdp, mp_policy=policy, reshard_after_forward=False)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_force_sum_reduction_for_comms(True)
            module.set_gradient_divide_factor(1.0)


def reshard(model: nn.Module) -> None:
    """Leave each process its part of the parameters alone, after passes without gradients.

    A backward pass does it otherwise. Until then the model's parameters are others than the optimizer's.
    """
    for module in model.modules():
        of_fsdp = getattr(module, "reshard", None)  # importing FSDP's class would take seconds
        if of_fsdp is not None:
            of_fsdp()
