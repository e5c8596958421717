"""The checkpoint that is evaluated: the last of a finished training, or any that a training has committed."""

from dataclasses import dataclass
from typing import Any

from llama_core.artifact import Artifact, Shard
from llama_core.errors import InputError
from llama_core.job import Job
from llama_core.model.llama import Llama
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.store import Store
from llama_core.train import checkpoint, parallelize
from llama_core.train.distributed import World

IDENTITY = "checkpoint"  # the key that says of which checkpoint an evaluation is, if it is not of the last


@dataclass(frozen=True)
class Checkpoint:
    """A committed checkpoint of a training that may go on: an input of an evaluation (see `step.Input`).

    The evaluation's address is made from its digest, so one that the training saves anew, after it went back,
    is evaluated anew.
    """

    training: str
    """The folder of the training's step, train/ID."""
    shard: Shard

    @property
    def step(self) -> int:
        """The number of updates after which it was saved."""
        return int(self.shard.fact("step"))

    @property
    def tokens(self) -> int:
        """The number of tokens that the model had seen by then."""
        return int(self.shard.fact("tokens"))

    def identity(self) -> dict[str, Any]:
        """Return what the identity of its evaluation says of it."""
        return {IDENTITY: {"step": self.step, "tokens": self.tokens}}

    def digests(self, role: str) -> dict[str, str]:
        """Return its digest by role."""
        return {role: self.shard.digest}

    def folders(self, role: str) -> dict[str, list[str]]:
        """Return the folder of the training by role."""
        return {role: [self.training]}


def find(root: Store, training: str, step: int) -> Checkpoint:
    """Return the checkpoint that a training has saved after update `step`.

    `training`: the folder of its step on the store, train/ID. Raises InputError where there is none.
    """
    saved = checkpoint.saved_in(root.at(training))
    for shard in saved:
        if shard.fact("step") == step:
            return Checkpoint(training, shard)
    there = ", ".join(f"{s.fact('step')} ({s.fact('tokens'):,} tokens)" for s in saved)
    raise InputError(
        f"{root.url_of(training)} has no checkpoint after step {step}: "
        + (f"it has those after steps {there}" if there else "it has none yet")
        + ". A training keeps its last ones (run.keep), and those that evaluate.at names"
    )


def load(job: Job, n_words: int, world: World) -> Llama:
    """Return the model of the job's checkpoint, laid out over `world`, without what only training needs.

    All processes call it. Raises InputError where the checkpoint is no longer there, and DamagedError.
    """
    folder = job.step.root.at(_training(job.step))
    shard = world.agree(lambda: _shard_of(job.step))
    model = parallelize.build(_laid_out(job.recipe), n_words, world).whole
    try:
        checkpoint.load_weights(folder, shard, model, world)
    except FileNotFoundError as error:
        raise InputError(
            f"{folder.url} has deleted {shard.name} while it was read: choose one that the training keeps "
            "(run.keep, evaluate.at)"
        ) from error
    return model.eval()


def of(step: Step) -> dict[str, int]:
    """Return the `step` and the `tokens` of the training after which the model of an evaluation was saved."""
    at = step.identity.get(IDENTITY) or _shard_of(step).facts
    return {"step": int(at["step"]), "tokens": int(at["tokens"])}


def _shard_of(step: Step) -> Shard:
    """Return the checkpoint that a step evaluates. Raises InputError where it is no longer there."""
    training, at = _training(step), step.identity.get(IDENTITY)
    if at is None:
        return checkpoint.final(Artifact.load(step.root, training))
    found = find(step.root, training, at["step"])
    if found.shard.digest != step.digests["train"]:
        raise InputError(
            f"{step.root.url_of(training)} has saved {found.shard.name} anew since its evaluation was asked "
            "for: ask for it again"
        )
    return found.shard


def _training(step: Step) -> str:
    """Return the folder of the training that a step evaluates."""
    (training,) = step.parents["train"]
    return training


def _laid_out(recipe: Recipe) -> Recipe:
    """Return a recipe whose layout is that of an evaluation: all processes share the model (FSDP)."""
    plain: dict[str, Any] = {"activation_checkpointing": "none", "compile": False, "pp": 1, "cp": 1, "tp": 1}
    if recipe.evaluate.launch is not None:
        plain |= {"dp_replicate": 1}  # the training's number need not divide these processes
        if recipe.evaluate.launch.device == "cpu":
            plain |= {"attention": "auto"}
    return recipe.model_copy(update={"layout": recipe.layout.model_copy(update=plain)})
