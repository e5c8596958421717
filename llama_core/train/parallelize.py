"""From a model to one that is spread over processes.

The order is: build on the meta device, tensor and context parallelism, compile each block, activation
checkpointing, FSDP2 on each block and on the root, and then memory for this process's part alone. FSDP2 is
also what computes in bf16; one process alone does the same without it (see `precision`). Autocast would cast
in other places, so that one process would train another model.
"""

import torch

from llama_core.model import init
from llama_core.model.llama import Llama
from llama_core.recipe import Recipe
from llama_core.train import float8, precision, recompute
from llama_core.train.distributed import World
from llama_core.train.parallel import context, data, pipeline, tensor
from llama_core.train.parallel.mesh import Mesh
from llama_core.train.parallel.parts import Parts


def build(recipe: Recipe, vocab_size: int, world: World) -> Parts:
    """Return the recipe's model on this process's device, laid out by `recipe.layout`.

    Its weights are undefined: `init_weights` or `checkpoint.load` sets them.
    """
    mesh, layout, models = Mesh.of(recipe.layout, world), recipe.layout, []
    numbers = pipeline.stages_of(mesh.pp_rank, mesh, layout.pp_schedule) if mesh.pp > 1 else [0]
    stages = pipeline.cut(recipe.model, vocab_size, len(numbers) * mesh.pp)
    float8.check(recipe, world.device)
    for number in numbers:
        with torch.device("meta"):
            model = Llama(recipe.model, vocab_size, layout.attention)
        pipeline.keep(model, stages[number])
        parallelize(model, recipe, mesh)
        models.append(model.to_empty(device=world.device))
    if world.size == 1 and recipe.train.precision == "bf16":
        precision.compute_in_bf16(models[0])
    pipelined = pipeline.Pipelined(models, numbers, mesh, recipe) if mesh.pp > 1 else None
    return Parts(models, mesh, pipelined)


def parallelize(model: Llama, recipe: Recipe, mesh: Mesh) -> None:
    """Lay `model` out by `recipe.layout`, in place. Its parameters keep their names."""
    layout = recipe.layout
    if recipe.train.float8 != "none":
        float8.multiply_in_float8(model.layers, recipe.train.float8)
    if mesh.tp > 1:
        tensor.share_matrices(model, mesh)
        if layout.async_tp:
            tensor.overlap(mesh)
    if mesh.cp > 1:
        context.share_positions(model, mesh)
    for layer in model.layers:
        recompute.compile_and_checkpoint(layer, layout)
    if mesh.world.size > 1:
        data.shard(model, mesh, recipe.train.precision)


def init_weights(parts: Parts, std: float, seed: int) -> None:
    """Set the initial weights, which are the same in any layout (see `model.init`)."""
    model = parts.models[0]
    assert isinstance(model, Llama)
    init.init_weights(parts, model.cfg, std, seed)
