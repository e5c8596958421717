"""The export step: a trained model as a Hugging Face folder that is checked, and files of MLflow.

Each process writes some of the files, a piece of a tensor at a time. They are committed together, and only if
the logits of the export are those of our model.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources

import torch

from llama_core.artifact import Artifact
from llama_core.export import huggingface_folder
from llama_core.export.files import DTYPES, Files
from llama_core.export.pyfunc_model import SUMS
from llama_core.export.verify import Told, verify
from llama_core.objects import Object
from llama_core.recipe import Recipe
from llama_core.step import OpenShard, Step
from llama_core.train.distributed import World
from llama_core.weights import safetensors_file
from llama_core.weights.checkpoint import TrainedWeights
from llama_core.weights.folder import Folder

SHARD = "model"
# A file where Python would have a folder: it executes the code that SUMS lists, and no bytecode beside it.
NO_BYTECODE = b"Python keeps no bytecode here.\n"


def export(
    step: Step,
    recipe: Recipe,
    train: Artifact,
    tokenizer: Artifact,
    extra: Mapping[str, bytes] | None = None,
    file_bytes: int = safetensors_file.FILE_BYTES,
    world: World | None = None,
    told: Told = lambda what, done, total: None,
) -> float:
    """Write the export as shard `model`, check it, and commit it only if it is right; all of `world` call it.

    Weights are float32 or bfloat16, as `train.precision` of the recipe says; files are split at `file_bytes`.
    `extra`: further files beside them, by name. `told` is called on rank 0 with what is being done, and how
    much of it is. Returns the largest difference of a logit. Raises LlamaError where the export differs from
    our model, and DamagedError where the checkpoint is damaged.
    """
    world = world or World(0, 1, torch.device("cpu"))
    weights, dtype = TrainedWeights(train, tokenizer), DTYPES[recipe.train.precision]
    files = huggingface_folder.files(weights, dtype, recipe.train.init_std, file_bytes)
    with _draft(step, world) as shard:
        _publish(shard, files, dict(extra or {}), world, told)
        objects = world.agree(lambda: _inside(step, shard))
        folder = Folder(step.folder.at(step.attempt), {entry.name: entry for entry in objects})
        difference = verify(folder, weights, dtype, world, told)
        shard.counts["parameters"] = recipe.model.n_params(weights.vocab_size)
        shard.facts = {"checkpoint": train.facts["final"], "max_logit_difference": difference}
    return difference


@contextmanager
def _draft(step: Step, world: World) -> Iterator[OpenShard]:
    """Yield the shard as this process sees it. At the end of the block rank 0 commits it."""
    if world.rank:
        yield OpenShard(step, SHARD)
        return
    with step.shard(SHARD) as shard:
        yield shard


def _publish(shard: OpenShard, files: Files, extra: dict[str, bytes], world: World, told: Told) -> None:
    """Write this process's share of the files, and gather what all of them have written on rank 0."""
    mine = list(files.weights.items())[world.rank :: world.size]
    for number, (name, write) in enumerate(mine, 1):
        with shard.publish(name) as file:
            write(file)
        if world.rank == 0:
            told("weights", number, len(mine))
    for part in world.gather(shard.objects)[1:]:
        shard.objects += part
    if world.rank:
        return
    pyfunc = (resources.files("llama_core.export") / "pyfunc_model.py").read_bytes()
    code = {"code/llama_pyfunc.py": pyfunc, "code/__pycache__": NO_BYTECODE}
    for name, data in (files.texts | code | extra).items():
        shard.publish_bytes(name, data)


def _inside(step: Step, shard: OpenShard) -> list[Object]:
    """Publish the list of the files, and return all of them, by their names in the folder of the attempt."""
    start = step.place_of("")

    def named() -> list[Object]:
        return [Object(o.name.removeprefix(start), o.size, o.sha256) for o in shard.objects]

    shard.publish_bytes(SUMS, huggingface_folder.sums(named()))
    return named()
