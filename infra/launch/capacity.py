"""Compare what a launcher offers with what a recipe needs, before any work is done."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from infra.workspace import POOLS
from llama_core.errors import LaunchError
from llama_core.recipe import Recipe
from llama_core.recipes.running import Launch

OVERSUBSCRIBED = 4  # processes on each CPU core: more are not worth starting
GIB = 2**30
PROGRAM = 800 << 20  # bytes of a process with torch and transformers, and of what it reads at a time


@dataclass(frozen=True)
class Capacity:
    """What a launcher offers at most. Memory is in bytes, and None where the launcher does not tell."""

    launcher: str
    nodes: int
    cores: int
    """CPU cores of each node."""
    node_memory: int | None
    gpus: int
    """GPUs of each node."""
    gpu_memory: int | None

    def __str__(self) -> str:
        gpus = f"{self.gpus} GPUs" if self.gpus else "no GPU"
        if self.gpus and self.gpu_memory:
            gpus += f" of {self.gpu_memory / 2**30:.0f} GiB"
        nodes = "this machine" if self.launcher == "local" else f"{self.nodes} nodes"
        each = " each" if self.nodes > 1 else ""
        memory = f", {self.node_memory / 2**30:.0f} GiB of memory" if self.node_memory else ""
        return f"{nodes} with {self.cores} CPU cores{memory} and {gpus}{each}"


def check_capacity(recipe: Recipe, offered: Callable[[], Capacity], here: Callable[[], Capacity]) -> None:
    """Check that the launcher offers what the training and the export need.

    `offered` asks it, `here` asks this machine. Raises LaunchError where the launcher does not answer, or
    offers too little.
    """
    need = _Need(recipe, "launch", recipe.launch, memory_needed(recipe))
    capacity = _capacity(need, offered, here)
    missing = _missing(need, capacity)
    exported = recipe.launch.procs_per_node * export_memory_needed(recipe)
    if "memory" not in missing and capacity.node_memory and exported > capacity.node_memory:
        missing.append(f"memory of a node, {exported / GIB:.1f} GiB of which the export takes")
    _refuse(need, capacity, missing)


def check_evaluation(recipe: Recipe, offered: Callable[[], Capacity], here: Callable[[], Capacity]) -> None:
    """Check that the launcher of the evaluations offers what they need, as `check_capacity` does.

    On one machine, GPUs on which a checkpoint is evaluated must be others than those that train meanwhile.
    """
    need = _Need(recipe, "evaluate.launch", recipe.evaluation_launch, evaluation_memory_needed(recipe))
    capacity = _capacity(need, offered, here)
    missing = _missing(need, capacity)
    places = (recipe.launch, recipe.evaluation_launch)
    if recipe.evaluate.at.every and all((p.launcher, p.device) == ("local", "cuda") for p in places):
        missing.append(
            "GPUs beside those of the training, which evaluate.at would share (see evaluate.launch.device)"
        )
    _refuse(need, capacity, missing)


@dataclass(frozen=True)
class _Need:
    """What a recipe needs of a launcher for its training, or for its evaluations."""

    recipe: Recipe
    key: str
    """The section that says so."""
    launch: Launch
    memory: int
    """Bytes of memory that each process needs."""


def _capacity(need: _Need, offered: Callable[[], Capacity], here: Callable[[], Capacity]) -> Capacity:
    try:
        return offered()
    except LaunchError as error:
        why = f"Launcher {need.launch.launcher} does not answer: {error}. Here is {here()}"
        raise _refused(need, why, _where_it_answers(need)) from error


def _missing(need: _Need, capacity: Capacity) -> list[str]:
    """Return the names of what there is too little of."""
    launch, missing = need.launch, []
    if launch.nodes + launch.spare_nodes > capacity.nodes:
        missing.append("nodes")
    if launch.device == "cuda":
        if launch.procs_per_node > capacity.gpus:
            missing.append("GPUs")
        memory = capacity.gpu_memory
    else:
        if launch.procs_per_node > OVERSUBSCRIBED * capacity.cores:
            missing.append("CPU cores")
        memory = capacity.node_memory // launch.procs_per_node if capacity.node_memory else None
    if memory and need.memory > memory:
        missing.append("memory")
    return missing


def _refuse(need: _Need, capacity: Capacity, missing: list[str]) -> None:
    """Raise LaunchError if something is missing."""
    if missing:
        launcher, key = need.launch.launcher, need.key
        why = f"Launcher {launcher} offers {capacity}: too little in {' and '.join(missing)}"
        cluster = (
            f"choose another partition ({key}.partition=NAME)"
            if launcher == "slurm"
            else f"point it at a cluster with {key}.launcher=slurm (and {key}.partition=NAME)"
        )
        raise _refused(need, why, cluster)


def _where_it_answers(need: _Need) -> str:
    name, setting, pool = (
        need.recipe.name,
        f"{need.key}.launcher={need.launch.launcher}",
        f"gpu-{need.recipe.name}",
    )
    command = f"make pretrain RECIPE={shlex.quote(name)} SET={setting}"
    worker = f" (or a worker there: prefect worker start --pool {pool})" if pool in POOLS else ""
    return f"start it on a login node of the cluster: {command}{worker}"


def _refused(need: _Need, why: str, cluster: str) -> LaunchError:
    """Return the error that says what the recipe needs, why it cannot have it, and what to do."""
    launch = need.launch
    device = "GPU" if launch.device == "cuda" else "process"
    what = "" if need.key == "launch" else "for its evaluation "
    return LaunchError(
        f"recipe {need.recipe.name} needs {what}{launch.nodes} nodes x {launch.procs_per_node} processes on "
        f"{launch.device}, with about {need.memory / GIB:.1f} GiB of memory for each {device}. "
        f"{why}. Either {cluster}, or take a smaller recipe such as tiny."
    )


def memory_needed(recipe: Recipe) -> int:
    """Estimate the bytes of memory that each process needs, some 20 % too low or too high.

    It is the sum of: parameters in float32, their gradients and two Adam moments (16 bytes per parameter),
    divided among the FSDP ranks; one block gathered from all ranks, with its gradient (8 bytes per parameter
    of the block, measured); activations kept for the backward pass, about 44 bytes per token, layer and
    `dim` (after Korthikanti et al. 2022, with SwiGLU and without the attention matrix), or 2 where blocks are
    recomputed; and the logits in float32 with their gradients. Tensor, context and pipeline parallelism
    divide them, all but the inputs of shared matrices, which are gathered (4 bytes).
    """
    model, layout = recipe.model, recipe.layout
    vocab = recipe.tokenizer.vocab_size
    shards = recipe.launch.world_size // layout.dp_replicate
    state = 16 * model.n_params(vocab) // shards
    if shards > 1:
        state += 8 * (model.n_params(vocab) - 2 * vocab * model.dim) // model.n_layers // layout.tp
    tokens = layout.micro_batch * recipe.train.seq_len // layout.cp
    recomputed = layout.activation_checkpointing == "full"
    a_layer = 44 * tokens * model.dim // layout.tp + (4 * tokens * model.dim if layout.tp > 1 else 0)
    n_layers = model.n_layers // layout.pp
    kept = 2 * tokens * model.dim // layout.tp
    activations = kept * n_layers + a_layer if recomputed else a_layer * n_layers
    if recipe.train.precision == "fp32":
        activations *= 2
    return state + activations + 10 * tokens * vocab // (layout.tp if layout.loss_parallel else 1)


def evaluation_memory_needed(recipe: Recipe) -> int:
    """Estimate the bytes of memory that each process of an evaluation needs.

    It is the sum of: the weights in float32, divided among the processes; a copy in bf16 of what is computed
    with, which is all of the model on one process, and else two blocks, the embedding and the output that are
    gathered; and for each token of a forward pass its logits, as they are and in float32, and the inputs,
    queries, keys, values and hidden units of a block.
    """
    model, vocab, world = recipe.model, recipe.tokenizer.vocab_size, recipe.evaluation_launch.world_size
    width = 4 if recipe.train.precision == "fp32" else 2
    ends = 2 * vocab * model.dim
    blocks = 2 * (model.n_params(0) - model.dim) // model.n_layers
    copied = width * (ends + blocks) if world > 1 else width * model.n_params(vocab) * (width < 4)
    a_token = (4 + width) * vocab + width * (6 * model.dim + 3 * model.ffn_dim)
    return 4 * model.n_params(vocab) // world + copied + recipe.evaluate.batch_tokens * a_token


def export_memory_needed(recipe: Recipe) -> int:
    """Estimate the bytes of memory of its node that each process of the export needs, on any device.

    It is one block and one matrix in float32, which are there at the same time when blocks are compared, and
    the program itself.
    """
    model, vocab = recipe.model, recipe.tokenizer.vocab_size
    block = (model.n_params(0) - model.dim) // model.n_layers
    return 4 * (block + model.dim * max(vocab, model.ffn_dim)) + PROGRAM
