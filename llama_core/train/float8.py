"""Matrix products of the blocks in float8, by torchao: an option, since it changes the numbers.

The weights stay float32, as they are in bf16. Before each product its inputs are scaled and cast to float8,
in the forward pass and in the two products of the backward pass (Micikevicius et al. 2022). The output
projection and the embedding stay in bf16, and so does a matrix with a size that 16 does not divide.
"""

import dataclasses

import torch
from torch import nn

from llama_core.errors import RecipeError
from llama_core.recipe import Recipe

CAPABILITY = (8, 9)  # of the first GPUs with float8: Ada, then Hopper
FIX = "install the extra float8 (torchao), or set train.float8 to none"


def multiply_in_float8(layers: nn.Module, recipe: str, emulate: bool = False) -> None:
    """Let the linear layers inside `layers`, the blocks of a model, multiply in float8, in place.

    `recipe`: `tensorwise` or `rowwise`, the granularity of the scales. `emulate` computes in float32 what
    float8 would give, for devices without it. Raises RecipeError where torchao is missing.
    """
    try:
        from torchao.float8 import Float8LinearConfig, convert_to_float8_training
    except ImportError as error:
        raise RecipeError(f"train.float8 {recipe!r} needs torchao ({error}): {FIX}") from error
    config = Float8LinearConfig.from_recipe_name(recipe)
    if emulate:
        config = dataclasses.replace(config, emulate=True)
    convert_to_float8_training(layers, config=config, module_filter_fn=_divides)


def check(recipe: Recipe, device: torch.device) -> None:
    """Raise RecipeError where this device has no float8."""
    if recipe.train.float8 == "none":
        return
    has = torch.cuda.get_device_capability(device) if device.type == "cuda" else (0, 0)
    if has < CAPABILITY:
        what = torch.cuda.get_device_name(device) if device.type == "cuda" else "a CPU"
        raise RecipeError(
            f"train.float8 {recipe.train.float8!r}: {what} has no products in float8, which take a GPU of "
            f"compute capability {'.'.join(map(str, CAPABILITY))}: set it to none"
        )


def _divides(module: nn.Module, name: str) -> bool:
    """Tell whether 16 divides both sizes of a linear layer's matrix."""
    return isinstance(module, nn.Linear) and not (module.in_features % 16 or module.out_features % 16)
