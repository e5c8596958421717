"""From a model to one that is spread over processes.

The order is: build on the meta device, tensor and context parallelism, compile each block, activation
checkpointing, FSDP2 on each block and on the root, and then memory for this process's part alone. FSDP2 is
also what computes in bf16; one process alone does the same without it (see `precision`). Autocast would cast
in other places, so that one process would train another model.
"""

import functools

import torch
from torch import Tensor, nn

from llama_core.errors import RecipeError
from llama_core.model.llama import Llama
from llama_core.recipe import Recipe
from llama_core.train import float8, precision
from llama_core.train.distributed import World
from llama_core.train.parallel import context, data, tensor
from llama_core.train.parallel.mesh import Mesh
from llama_core.train.parallel.parts import Parts


def build(recipe: Recipe, vocab_size: int, world: World) -> Parts:
    """Return the recipe's model on this process's device, laid out by `recipe.layout`.

    Its weights are undefined: `init_weights` or `checkpoint.load` sets them.
    """
    mesh = Mesh.of(recipe.layout, world)
    float8.check(recipe, world.device)
    with torch.device("meta"):
        model = Llama(recipe.model, vocab_size, recipe.layout.attention)
    parallelize(model, recipe, mesh)
    parts = Parts([model], mesh).to_empty(device=world.device)
    if world.size == 1 and recipe.train.precision == "bf16":
        precision.compute_in_bf16(model)
    return parts


def parallelize(model: Llama, recipe: Recipe, mesh: Mesh) -> None:
    """Lay `model` out by `recipe.layout`, in place. Its parameters keep their names."""
    layout = recipe.layout
    if recipe.train.float8 != "none":
        float8.multiply_in_float8(model.layers, recipe.train.float8)
    if layout.pp > 1:
        raise RecipeError(f"layout.pp {layout.pp}: there is no pipeline yet, set it to 1")
    if mesh.tp > 1:
        tensor.share_matrices(model, mesh)
        if layout.async_tp:
            tensor.overlap(mesh)
    if mesh.cp > 1:
        context.share_positions(model, mesh)
    for layer in model.layers:
        # Compiled first, because nothing is compiled where xformers breaks the graph inside a checkpoint.
        if layout.compile:
            layer.forward = torch.compile(layer.forward)
        if layout.activation_checkpointing == "full":
            _recompute(layer)
    if mesh.world.size > 1:
        data.shard(model, mesh, recipe.train.precision)


def init_weights(parts: Parts, std: float, seed: int) -> None:
    """Set the initial weights, which are the same on any number of processes (see `Llama.init_weights`)."""
    parts.whole.init_weights(std, seed, _assign)


def _recompute(block: nn.Module) -> None:
    """Let a block compute its activations again in the backward pass."""
    from torch.utils.checkpoint import checkpoint

    # This wraps `forward` and not the module, because a module around it would rename the parameters.
    block.forward = functools.partial(  # type: ignore[method-assign]
        checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False
    )


def _assign(parameter: Tensor, value: Tensor) -> None:
    """Copy a whole tensor into a parameter, or this process's part of it if the parameter is sharded."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    value = value.to(parameter.device)
    if isinstance(parameter, DTensor):  # every process has the whole tensor: nothing needs to be sent
        value = distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)
    parameter.copy_(value)
