"""From a model to one that is spread over processes.

The order is: build on the meta device, compile each block, activation checkpointing, FSDP2 on each block and
on the root, and then memory for this process's part alone. FSDP2 is also what computes in bf16, on one
process as on many: autocast would cast in other places, so that one process would train another model.
"""

import functools

import torch
from torch import Tensor, nn

from llama_core.model.llama import Llama
from llama_core.recipe import Recipe
from llama_core.recipes.running import Layout
from llama_core.train.distributed import World


def build(recipe: Recipe, vocab_size: int, world: World) -> Llama:
    """Return the recipe's model on this process's device, laid out by `recipe.layout`.

    Its weights are undefined: `init_weights` or `checkpoint.load` sets them.
    """
    with torch.device("meta"):
        model = Llama(recipe.model, vocab_size, recipe.layout.attention)
    parallelize(model, recipe, world)
    return model.to_empty(device=world.device)


def parallelize(model: Llama, recipe: Recipe, world: World) -> None:
    """Lay `model` out by `recipe.layout`, in place. Its parameters keep their names."""
    layout = recipe.layout
    for layer in model.layers:
        # Compiled first, because nothing is compiled where xformers breaks the graph inside a checkpoint.
        if layout.compile:
            layer.forward = torch.compile(layer.forward)
        if layout.activation_checkpointing == "full":
            _recompute(layer)
    if world.size > 1 or recipe.train.precision == "bf16":
        _shard(model, layout, recipe.train.precision, world)


def init_weights(model: Llama, std: float, seed: int) -> None:
    """Set the initial weights, which are the same on any number of processes (see `Llama.init_weights`)."""
    model.init_weights(std, seed, _assign)


def reduce_gradients(model: nn.Module, now: bool) -> None:
    """Say whether the next backward pass reduces the gradients, or leaves that to a later one.

    To leave it saves copies where there is one process. With several it would keep whole gradients in memory
    instead of this process's parts.
    """
    of_fsdp = getattr(model, "set_requires_gradient_sync", None)  # importing FSDP's class would take seconds
    if of_fsdp is not None:
        of_fsdp(now)


def _recompute(block: nn.Module) -> None:
    """Let a block compute its activations again in the backward pass."""
    from torch.utils.checkpoint import checkpoint

    # This wraps `forward` and not the module, because a module around it would rename the parameters.
    block.forward = functools.partial(  # type: ignore[method-assign]
        checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False
    )


def _shard(model: Llama, layout: Layout, precision: str, world: World) -> None:
    """Shard a model over the processes by FSDP2, or HSDP where the layout has replicas."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    world.ensure_group()
    shape, names = (world.size,), ("dp_shard",)
    if layout.dp_replicate > 1:
        shape = (layout.dp_replicate, world.size // layout.dp_replicate)  # type: ignore[assignment]
        names = ("dp_replicate", "dp_shard")  # type: ignore[assignment]
    mesh = init_device_mesh(world.device.type, shape, mesh_dim_names=names)
    # Inputs are not cast, so that the rotation's cos and sin stay float32.
    policy = MixedPrecisionPolicy(cast_forward_inputs=False)
    if precision == "bf16":
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    for layer in model.layers:
        # With one process, freeing a layer's weights between the two passes would free only its bf16 copies,
        # at the price of casting them again.
        fully_shard(layer, mesh=mesh, mp_policy=policy, reshard_after_forward=world.size > 1)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def _assign(parameter: Tensor, value: Tensor) -> None:
    """Copy a whole tensor into a parameter, or this process's part of it if the parameter is sharded."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    value = value.to(parameter.device)
    if isinstance(parameter, DTensor):  # every process has the whole tensor: nothing needs to be sent
        value = distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)
    parameter.copy_(value)
