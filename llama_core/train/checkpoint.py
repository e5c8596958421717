"""Checkpoints: each is one shard of the train step, `step-00000050`, written once.

Every process publishes its own part, and in the end rank 0 commits them all with one small object. So a kill
at any point leaves the previous checkpoint valid. A checkpoint loads on any number of processes.
"""

import contextlib
import logging
import math
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from pydantic import BaseModel, TypeAdapter
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from llama_core.artifact import Artifact, Shard
from llama_core.errors import DamagedError, LlamaError
from llama_core.objects import Object
from llama_core.parse import Count, Text, damaged
from llama_core.step import OpenShard, Step, committed_names, committed_shard
from llama_core.store import Store, to_json
from llama_core.train.distributed import World
from llama_core.train.metrics import record
from llama_core.train.stability.guard import NO_NORMS, Norms, Span
from llama_core.train.storage import ShardReader, ShardWriter, read_metadata

log = logging.getLogger(__name__)
MOMENTS = ("exp_avg", "exp_avg_sq")
PREFIX = "step-"
# In the place of the data's fingerprint: a checkpoint of a model that was not trained here.
IMPORTED = "imported"


class Progress(BaseModel):
    """What `state.json` of a checkpoint holds."""

    step: Count
    tokens: Count
    data: Text
    updates: Count
    """How often the moments were updated: not as often as the weights after a start without them."""
    loss: float | None = None
    record: Object | None = None
    norms: Norms = NO_NORMS
    passed_over: tuple[tuple[Count, Count], ...] = ()
    returns: Count = 0


PROGRESS = TypeAdapter(Progress)


@dataclass(frozen=True)
class TrainState:
    """How far a training has come."""

    step: int
    """The number of updates that are done."""
    tokens: int
    """The number of tokens that the model has seen."""
    data: str
    """The loader's fingerprint."""
    loss: float | None = None
    """The loss of the last update's batch."""
    record: Object | None = None
    """The newest segment of the record (see `metrics.record`), on the process that saves."""
    norms: Norms = NO_NORMS
    """The norms of the gradients of the updates (see `guard`)."""
    passed_over: tuple[Span, ...] = ()
    """The batches that no step takes: spans (from, up to), counted from 0."""
    returns: int = 0
    """How often the training went back to a checkpoint."""

    def state(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        record = self.record.as_dict() if self.record else None
        return vars(self) | {"record": record, "norms": vars(self.norms)}


def name_of(step: int) -> str:
    """Return the name of the shard that is the checkpoint after `step` updates."""
    return f"{PREFIX}{step:08d}"


def save(
    step: Step, model: nn.Module, optimizer: torch.optim.Optimizer, progress: TrainState, world: World
) -> None:
    """Write and commit one checkpoint; all processes call it. Raises StoreError."""
    name = name_of(progress.step)
    with step.shard(name) if world.rank == 0 else contextlib.nullcontext(OpenShard(step, name)) as draft:
        with _plain_errors():
            dcp.save(
                _tensors(model, optimizer),
                storage_writer=ShardWriter(draft, world.rank),
                no_dist=world.size == 1,
            )
        parts = world.gather(draft.objects)
        if world.rank == 0:
            draft.objects = [entry for part in parts for entry in part]
            updates = {"updates": _updates(optimizer)}
            draft.publish_bytes(f"{name}/state.json", to_json(progress.state() | updates))
            draft.facts |= {"step": progress.step, "tokens": progress.tokens}
            draft.facts |= {"tokenizer": step.parents.get("tokenizer", [])}


def load(step: Step, model: nn.Module, optimizer: torch.optim.Optimizer, world: World) -> TrainState | None:
    """Load the newest committed checkpoint that is whole, or return None where there never was one.

    All processes leave a damaged one for an older one, or none of them does. Its commit is deleted once the
    older one is loaded. Raises DamagedError where no whole one remains.
    """
    return _load(step, {}, model, optimizer, world)


def go_back(
    step: Step, before: int, model: nn.Module, optimizer: torch.optim.Optimizer, world: World
) -> TrainState | None:
    """Load the newest checkpoint that was saved before update `before`, and delete the later ones.

    Returns None, with all of them deleted, where there is none. Raises DamagedError as `load` does.
    """
    names = world.agree(lambda: committed(step))
    later = {name: LlamaError("the training goes back") for name in names if name >= name_of(before)}
    if len(later) < len(names):
        return _load(step, dict(later), model, optimizer, world)
    if world.rank == 0:
        _delete(step, names)
    return None


def _load(
    step: Step,
    failed: dict[str, Exception],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    world: World,
) -> TrainState | None:
    """Load the newest whole checkpoint but for those in `failed`, among which rank 0 does not choose."""
    while shard := world.agree(lambda: _newest(step, failed)):
        try:
            progress = load_shard(step.folder, shard, model, optimizer, world)
        except (DamagedError, FileNotFoundError) as error:
            # One that is not found was deleted by another attempt, which has committed a newer one.
            failed[shard.name] = error
            continue
        if world.rank == 0:
            for name, why in failed.items():
                log.warning("checkpoint %s cannot be used, %s goes on instead: %s", name, shard.name, why)
            _delete(step, [name for name in failed if name > shard.name])
        return progress
    return None


def load_shard(
    folder: Store, shard: Shard, model: nn.Module, optimizer: torch.optim.Optimizer, world: World
) -> TrainState:
    """Load one checkpoint of the training in a folder; all processes call it. Raises DamagedError."""
    _read_into(_tensors(model, optimizer), folder, shard, world)
    progress, updates = world.agree(lambda: read_progress(folder, shard))
    for state in optimizer.state.values():
        state["step"].fill_(updates)
    return progress


def forget_moments(optimizer: torch.optim.Optimizer) -> None:
    """Set the optimizer's moments to zero, as they are before the first update."""
    for state in optimizer.state.values():
        for name in ("step", *MOMENTS):
            state[name].zero_()


def finish(
    step: Step,
    progress: TrainState,
    keep: int,
    digest: str,
    facts: dict[str, Any],
    always: Collection[int] = (),
) -> None:
    """Commit the step over the checkpoints that `retain` keeps. The newest is the result.

    Rank 0 calls it. A slower attempt may have committed an older one meanwhile, which it will delete itself.
    """
    with step.shard(record.SHARD) as shard:
        shard.objects += record.segments(step.folder, progress.record)
        shard.counts.update({"steps": progress.step, "tokens": progress.tokens})  # zeros as well
    facts |= {"final": name_of(progress.step), "steps": progress.step, "tokens": progress.tokens}
    old = _old(step, keep, always)
    step.commit([*(name for name in committed(step) if name not in old), record.SHARD], digest, facts)


def load_weights(folder: Store, shard: Shard, model: nn.Module, world: World | None = None) -> None:
    """Load only the model's weights, onto one process or all of `world`. Raises DamagedError.

    For a train artifact, `folder` is `artifact.store` and `shard` is `final(artifact)`.
    """
    _read_into(_tensors(model), folder, shard, world or World(0, 1, torch.device("cpu")))


def weight_shapes(folder: Store, shard: Shard) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the model's weights in a checkpoint, by name, without reading them.

    Raises DamagedError, also where fewer bytes lie there than such weights have.
    """
    metadata = read_metadata(folder, shard).state_dict_metadata
    found = {
        name.removeprefix("model."): tuple(stored.size)
        for name, stored in metadata.items()
        if name.startswith("model.") and isinstance(stored, TensorStorageMetadata)
    }
    objects = [o for o in shard.objects if o.name.endswith(".distcp")]
    if sum(2 * math.prod(shape) for shape in found.values()) > sum(folder.size(o.name) for o in objects):
        raise damaged(f"{folder.url}, {shard.name},", "it has fewer bytes than its weights")
    return found


def final(artifact: Artifact) -> Shard:
    """Return the checkpoint that is the result of a train step. Raises DamagedError where it names none."""
    return artifact.shard(str(artifact.facts.get("final")))


def committed(step: Step) -> list[str]:
    """Return the names of the committed checkpoints, the oldest first."""
    return committed_in(step.folder)


def committed_in(folder: Store) -> list[str]:
    """Return the names of the committed checkpoints of the training in a folder, the oldest first."""
    return sorted(n for n in committed_names(folder) if n.startswith(PREFIX))


def saved_in(folder: Store) -> list[Shard]:
    """Return the committed checkpoints of the training in a folder, the oldest first.

    Each one's facts tell its `step` and its `tokens`, and `load_weights` reads it. One that is deleted in the
    meantime, or whose commit is damaged, is left out.
    """
    found = []
    for name in committed_in(folder):
        with contextlib.suppress(DamagedError, FileNotFoundError):
            found.append(committed_shard(folder, name))
    return found


def retain(step: Step, keep: int, always: Collection[int] = ()) -> None:
    """Delete all checkpoints but the newest and `keep` before it, and those after the updates in `always`."""
    _delete(step, _old(step, keep, always))


def _old(step: Step, keep: int, always: Collection[int]) -> list[str]:
    kept = set(map(name_of, always))
    return [name for name in committed(step)[: -(keep + 1)] if name not in kept]


def _tensors(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> dict[str, Tensor]:
    """Return the tensors that a checkpoint holds, by name: the weights and, with an optimizer, its moments.

    Nothing else of the optimizer is in there: the recipe has its settings, and `TrainState` its step.
    """
    tensors = {}
    for name, parameter in model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach()
        if optimizer:
            for moment in MOMENTS:
                tensors[f"optimizer.{name}.{moment}"] = optimizer.state[parameter][moment]
    return tensors


def _read_into(tensors: dict[str, Tensor], folder: Store, shard: Shard, world: World) -> None:
    """Fill tensors, or this process's parts of them, from a checkpoint. Raises DamagedError."""
    metadata = world.agree(lambda: read_metadata(folder, shard))
    for name, tensor in tensors.items():
        stored = metadata.state_dict_metadata.get(name)
        if not isinstance(stored, TensorStorageMetadata) or stored.size != tensor.shape:
            raise damaged(f"{folder.url}, {shard.name},", f"it has no {name} of shape {list(tensor.shape)}")
    with _plain_errors():
        dcp.load(tensors, storage_reader=ShardReader(folder, shard, metadata), no_dist=world.size == 1)


def read_progress(folder: Store, shard: Shard) -> tuple[TrainState, int]:
    """Return how far a training had come, and how often its moments were updated. Raises DamagedError."""
    state = shard.object(f"/{shard.name}/state.json")
    found = folder.read_as(PROGRESS, state.name, expect=state)
    values = {name: getattr(found, name) for name in Progress.model_fields if name != "updates"}
    return TrainState(**values), found.updates


def _updates(optimizer: torch.optim.Optimizer) -> int:
    return int(next(iter(optimizer.state.values()))["step"].item())


def _newest(step: Step, failed: dict[str, Exception]) -> Shard | None:
    """Return the newest committed checkpoint that has not failed, or None where there is none.

    Raises DamagedError where all of them have failed.
    """
    for name in reversed(committed(step)):
        try:
            if name not in failed and (shard := step.committed(name)):
                return shard
        except DamagedError as error:
            failed[name] = error
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise DamagedError(
            f"no checkpoint of {step.folder.url} is whole ({reasons}). Delete it to start anew."
        )
    return None


def _delete(step: Step, names: list[str]) -> None:
    """Delete checkpoints, each by its commit first: one that has a commit has all of its objects.

    A commit that names what belongs to another shard has only its own objects deleted.
    """
    for name in names:
        objects: tuple[Object, ...] = ()
        with contextlib.suppress(DamagedError):
            if shard := step.committed(name):
                objects = shard.objects
        step.folder.delete([f"shards/{name}.json"])
        step.folder.delete([o.name for o in objects if o.name.split("/")[1:2] == [name]])


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise what has failed, on whichever process, instead of the exception in which DCP wraps it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")
            yield
    except CheckpointException as error:
        causes = [cause for cause, _ in error.failures.values()]
        known = [c for c in causes if isinstance(c, LlamaError | FileNotFoundError)]
        raise (known or causes)[0] from None
