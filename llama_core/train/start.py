"""What a training starts from: weights that are drawn, or a checkpoint of another training."""

import contextlib
import logging
from typing import Any

import torch
from pydantic import TypeAdapter

from llama_core.artifact import MANIFEST, Artifact, Shard, StepName
from llama_core.errors import InputError, StoreError
from llama_core.job import NAME
from llama_core.model.llama import Llama
from llama_core.parse import damaged, shaped
from llama_core.recipe import Recipe
from llama_core.recipes.training import StartFrom
from llama_core.section import in_full
from llama_core.step import Step, committed_shard
from llama_core.store import Store
from llama_core.train import checkpoint
from llama_core.train.checkpoint import TrainState
from llama_core.train.distributed import World
from llama_core.train.parallel.parts import Parts
from llama_core.train.parallelize import init_weights

log = logging.getLogger(__name__)
KEY = "train.start_from"
FOLDERS = TypeAdapter(list[StepName])


def begin(
    step: Step,
    recipe: Recipe,
    vocab_size: int,
    model: Parts,
    optimizer: torch.optim.Optimizer,
    data: str,
    world: World,
) -> TrainState:
    """Set the weights and moments of a step without checkpoints, and return where it begins.

    `vocab_size`: that of the tokenizer. `data`: the loader's fingerprint. All processes call it. What comes
    from another training is saved first as a checkpoint of this step. Raises InputError where that training
    is another one than the recipe needs, and StoreError.
    """
    cfg = recipe.train.start_from
    if cfg is None:
        init_weights(model, recipe.train.init_std, recipe.train.seed)
        checkpoint.forget_moments(optimizer)  # the training may have gone back to here
        return TrainState(0, 0, data)
    folder = step.root.at(cfg.step)
    shard = world.agree(lambda: _fitting(step, recipe, vocab_size, data))
    if cfg.optimizer:
        before = checkpoint.load_shard(folder, shard, model, optimizer, world)
    else:
        checkpoint.load_weights(folder, shard, model, world)
        before, _ = world.agree(lambda: checkpoint.read_progress(folder, shard))
        checkpoint.forget_moments(optimizer)
    at, tokens = (0, 0) if cfg.anew else (before.step, before.tokens)
    progress = TrainState(at, tokens, data)
    checkpoint.save(step, model, optimizer, progress, world)
    if world.rank == 0:
        log.info("starting from %s, whose step %d is step %d here", cfg.checkpoint, before.step, at)
    return progress


def check(root: Store, recipe: Recipe) -> None:
    """Check, before any work, the checkpoint that the recipe starts from.

    One that is gone is not missed where a training has begun with it: that one goes on from its own. Raises
    InputError and StoreError.
    """
    cfg = recipe.train.start_from
    if cfg is None:
        return
    try:
        shard = _find(root, cfg)
    except InputError:
        if _was_taken(root, cfg):
            return
        raise
    _check_fits(root, recipe, recipe.tokenizer.vocab_size, shard)


def check_imported(root: Store, recipe: Recipe) -> None:
    """Check, before any work, the imported tokenizer and the imported model that the recipe takes.

    Raises InputError where one is missing, or another one than the recipe has sizes for, and StoreError.
    """
    if recipe.tokenizer.imported:
        words = _imported(root, recipe.tokenizer.imported, "tokenizer.imported")
        if (found := words.shard("tokenizer").fact("vocab")) != recipe.tokenizer.vocab_size:
            raise InputError(
                f"tokenizer.imported: {words.url} has {found} pieces: set tokenizer.vocab_size to {found}"
            )
    if recipe.train.imported:
        artifact = _imported(root, recipe.train.imported, "train.imported")
        model, wanted = artifact.manifest["identity"].get("model"), in_full(recipe.model.identity())
        if model != wanted:
            raise InputError(
                f"train.imported: the model of {artifact.url} is {model}, and `model` is {wanted}"
            )
        if recipe.tokenizer.imported:
            check_tokenizer(artifact, words)


def check_tokenizer(imported: Artifact, tokenizer: Artifact) -> None:
    """Check that a tokenizer is that of an imported model. Raises InputError."""
    if imported.manifest["inputs"].get("tokenizer") != tokenizer.digest:
        theirs = ", ".join(imported.parents.get("tokenizer", [])) or "another one"
        raise InputError(
            f"train.imported: the tokenizer of {imported.name} is {theirs}, and not {tokenizer.name}: set "
            "tokenizer.imported to it"
        )


def _imported(root: Store, folder: str, key: str) -> Artifact:
    try:
        return Artifact.load(root, folder)
    except FileNotFoundError:
        raise InputError(
            f"{key}: {root.url_of(folder)} is no finished step: make it with "
            f"`python -m llama_core.export MODEL {root.url} --format step`"
        ) from None


def _fitting(step: Step, recipe: Recipe, vocab_size: int, data: str) -> Shard:
    """Return the checkpoint that a step starts from, if it fits the step in all."""
    cfg = recipe.train.start_from
    assert cfg is not None
    shard = _find(step.root, cfg)
    _check_fits(step.root, recipe, vocab_size, shard)
    theirs, mine = shard.facts.get("tokenizer"), step.parents.get("tokenizer", [])
    folders = shaped(FOLDERS, theirs, f"{step.root.url_of(cfg.step)}, {shard.name}, its tokenizer")
    if _digests(step.root, folders) != _digests(step.root, mine):
        raise InputError(f"{KEY}: {cfg.checkpoint} was trained with another tokenizer ({', '.join(folders)})")
    progress, _ = checkpoint.read_progress(step.root.at(cfg.step), shard)
    if progress.data == checkpoint.IMPORTED and (cfg.optimizer or not cfg.anew):
        raise InputError(
            f"{KEY}: {cfg.checkpoint} was imported, with no moments of the optimizer and no steps: set "
            f"{KEY}.optimizer to false and {KEY}.anew to true"
        )
    if not cfg.anew and progress.data != data:
        raise InputError(
            f"{KEY}: {cfg.checkpoint} was trained on other data, so it cannot go on with these: the tokens, "
            f"the mixture, train.seed and train.seq_len must be the same. To count and read from the start, "
            f"set {KEY}.anew to true"
        )
    return shard


def _find(root: Store, cfg: StartFrom) -> Shard:
    """Return the commit of the checkpoint, all of whose objects are there in their sizes."""
    folder, name = root.at(cfg.step), checkpoint.name_of(cfg.at)
    names = checkpoint.committed_in(folder)
    if name not in names:
        there = ", ".join(str(int(n.removeprefix(checkpoint.PREFIX))) for n in names)
        raise InputError(
            f"{KEY}: {folder.url} has no checkpoint after step {cfg.at}: "
            + (f"it has those after {there}" if there else "it has none")
        )
    try:
        shard = committed_shard(folder, name)
    except FileNotFoundError:
        raise InputError(f"{KEY}: {folder.url} has deleted its checkpoint after step {cfg.at}") from None
    sizes = folder.sizes()
    for entry in shard.objects:
        if sizes.get(entry.name) != entry.size:
            raise damaged(folder.url_of(entry.name), f"it is missing or cut: choose another {KEY}.at")
    return shard


def _check_fits(root: Store, recipe: Recipe, vocab_size: int, shard: Shard) -> None:
    """Check that a checkpoint holds the recipe's model, and has seen what the recipe has by then."""
    cfg = recipe.train.start_from
    assert cfg is not None
    found = checkpoint.weight_shapes(root.at(cfg.step), shard)
    with torch.device("meta"):
        model = Llama(recipe.model, vocab_size)
    wanted = {name: tuple(p.shape) for name, p in model.named_parameters()}
    if wrong := sorted(n for n in found.keys() | wanted.keys() if found.get(n) != wanted.get(n)):
        raise InputError(
            f"{KEY}: the model of {cfg.checkpoint} is another one than the recipe's: {len(wrong)} weights "
            f"differ, such as {wrong[0]}, which is {_shape(found, wrong[0])} there and "
            f"{_shape(wanted, wrong[0])} here (see model, and tokenizer.vocab_size)"
        )
    seen, here = shard.fact("tokens"), recipe.train.tokens_before(cfg.at + 1)
    if not cfg.anew and seen != here:
        raise InputError(
            f"{KEY}: {cfg.checkpoint} has seen {seen:,} tokens, and the recipe's batches have {here:,} by "
            "then. Give train.batch_ramp and train.global_batch_tokens the batches that it had, or set "
            f"{KEY}.anew to true"
        )


def _shape(shapes: dict[str, tuple[int, ...]], name: str) -> str:
    return " x ".join(map(str, shapes[name])) if name in shapes else "missing"


def _digests(root: Store, folders: list[str]) -> list[str]:
    """Return the digests of the artifacts in some folders, or the name of one that is gone."""
    found = []
    for name in folders:
        try:
            found.append(Artifact.load(root, name).digest)
        except FileNotFoundError:
            found.append(name)
    return found


def _was_taken(root: Store, cfg: StartFrom) -> bool:
    """Tell whether a training on the store has begun with a checkpoint."""
    trainings = root.at("train")
    names = [n for n in trainings.list() if n.endswith((f"/{MANIFEST}", f"/{NAME}"))]
    return any(_start_of(trainings, name) == in_full(cfg.identity()) for name in names)


def _start_of(trainings: Store, name: str) -> Any:
    """Return what the step of a manifest, or of a job, starts from, as far as it can be read and says so."""
    value: Any = None
    with contextlib.suppress(StoreError, FileNotFoundError):
        value = trainings.read_json(name)
    if name.endswith(NAME):
        value = value.get("step") if isinstance(value, dict) else None
    for key in ("identity", "train", "start_from"):
        value = value.get(key) if isinstance(value, dict) else None
    return value
