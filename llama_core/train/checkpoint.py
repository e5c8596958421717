"""Checkpoints: each is one shard of the train step, `step-00000050`, written once.

Every process publishes its own share, and in the end rank 0 commits them all with one small object. So a kill
at any point leaves the previous checkpoint valid. A checkpoint loads on any number of processes. Its format
is that of `checkpoints`, and `saving` says when it is saved.
"""

import contextlib
import logging
import math
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel, TypeAdapter
from torch import Tensor, nn

from llama_core.artifact import Artifact, Shard
from llama_core.errors import DamagedError, LlamaError
from llama_core.objects import Object
from llama_core.parse import Count, Text, damaged
from llama_core.step import OpenShard, Step, committed_names, committed_shard
from llama_core.store import Store, to_json
from llama_core.train.checkpoints.files import Reader, read_layout
from llama_core.train.checkpoints.share import MOMENTS, Share, Uploaded, describe, read_into, share_of
from llama_core.train.distributed import World
from llama_core.train.metrics import record
from llama_core.train.stability.guard import NOTHING, Span, Usual

log = logging.getLogger(__name__)
Key = tuple[str, str]
"""A tensor: its kind, `model` or one of the MOMENTS, and its name."""
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
    usual: Usual = NOTHING
    skipped: Count = 0
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
    usual: Usual = NOTHING
    """What the updates were like (see `guard`)."""
    skipped: int = 0
    """How many steps in a row, up to this one, made no update."""
    passed_over: tuple[Span, ...] = ()
    """The batches that no step takes: spans (from, up to), counted from 0."""
    returns: int = 0
    """How often the training went back to a checkpoint."""

    def state(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        record = self.record.as_dict() if self.record else None
        return vars(self) | {"record": record, "usual": vars(self.usual)}


def name_of(step: int) -> str:
    """Return the name of the shard that is the checkpoint after `step` updates."""
    return f"{PREFIX}{step:08d}"


def save(
    step: Step, model: nn.Module, optimizer: torch.optim.Optimizer, progress: TrainState, world: World
) -> None:
    """Write and commit one checkpoint; all processes call it. Raises StoreError, on all of them alike."""
    share = share_of(model, optimizer, world)
    uploads = world.all_of(lambda: share.upload(OpenShard(step, name_of(progress.step))))
    world.agree(lambda: commit(step, share, uploads, progress))


def commit(
    step: Step, share: Share, uploads: list[Uploaded], progress: TrainState, permanent: bool = False
) -> None:
    """Commit a checkpoint of which all processes have uploaded their shares; rank 0 calls it.

    `permanent`: `retain` never deletes it. Raises StoreError.
    """
    with step.shard(name_of(progress.step)) as draft:
        describe(draft, share.layout, uploads)
        state = progress.state() | {"updates": share.updates}
        draft.publish_bytes(f"{draft.name}/state.json", to_json(state))
        draft.facts |= {"step": progress.step, "tokens": progress.tokens}
        draft.facts |= {"tokenizer": step.parents.get("tokenizer", []), "permanent": permanent}


def load(step: Step, model: nn.Module, optimizer: torch.optim.Optimizer, world: World) -> TrainState | None:
    """Load the newest committed checkpoint that is whole, or return None where there never was one.

    All processes leave a damaged one for an older one, or none of them does. Its commit is deleted once the
    older one is loaded. Raises DamagedError where no whole one remains.
    """
    return _load(step, {}, model, optimizer, world)


def go_back(
    step: Step, before: int, margin: int, model: nn.Module, optimizer: torch.optim.Optimizer, world: World
) -> TrainState | None:
    """Load the newest checkpoint of at least `margin` updates before update `before`; delete the later ones.

    Where none is so old, it is the newest one before that update. Returns None, with all of them deleted,
    where there is none at all. Raises DamagedError as `load` does.
    """
    names, newest = world.agree(lambda: _before(step, before, margin))
    later = {name: LlamaError("the training goes back") for name in names if name > newest}
    if len(later) < len(names):
        return _load(step, dict(later), model, optimizer, world)
    if world.rank == 0:
        _delete(step, names)
    return None


def _before(step: Step, update: int, margin: int) -> tuple[list[str], str]:
    """Return the committed checkpoints, and which of them a training goes back to before an update."""
    names = committed(step)
    older = [name for name in names if name < name_of(update)]
    old = [name for name in older if name < name_of(max(0, update - margin))]
    return names, max(old or older, default="")


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
                log.warning("checkpoint %s is left out, %s goes on instead: %s", name, shard.name, why)
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
) -> None:
    """Commit the step over the checkpoints that `retain` keeps. The newest is the result.

    Rank 0 calls it. A slower attempt may have committed an older one meanwhile, which it will delete itself.
    """
    with step.shard(record.SHARD) as shard:
        shard.objects += record.segments(step.folder, progress.record)
        shard.counts.update({"steps": progress.step, "tokens": progress.tokens})  # zeros as well
    final = name_of(progress.step)
    facts |= {"final": final, "steps": progress.step, "tokens": progress.tokens}
    kept = {*_kept(step, committed(step), keep, {}), final, record.SHARD}
    step.commit(sorted(kept), digest, facts)


def load_weights(folder: Store, shard: Shard, model: nn.Module, world: World | None = None) -> None:
    """Load only the model's weights, onto one process or all of `world`. Raises DamagedError.

    For a train artifact, `folder` is `artifact.store` and `shard` is `final(artifact)`.
    """
    _read_into(_tensors(model), folder, shard, world or World(0, 1, torch.device("cpu")))


def weight_shapes(folder: Store, shard: Shard) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the model's weights in a checkpoint, by name, without reading them.

    Raises DamagedError, also where fewer bytes lie there than such weights have.
    """
    layout = read_layout(folder, shard)
    found = {name: parameter.shape for name, parameter in layout.parameters.items()}
    if sum(2 * math.prod(shape) for shape in found.values()) > _lying(folder, shard):
        raise damaged(f"{folder.url}, {shard.name},", "it has fewer bytes than its weights")
    return found


def _lying(folder: Store, shard: Shard) -> int:
    """Return how many bytes of data of a checkpoint lie on the store."""
    names = [o.name for o in shard.objects if o.name.endswith(".data")]
    if folder.is_local:  # where a file may be all holes
        return sum(folder.size(name) for name in names)
    sizes: dict[str, int] = {}
    for inside in {name.rpartition("/")[0] for name in names}:
        sizes |= folder.sizes(inside)
    return sum(sizes.get(name, 0) for name in names)


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


def retain(step: Step, keep: int, known: dict[str, bool] | None = None) -> None:
    """Delete all checkpoints but the newest, the permanent ones, and the last `keep` of the others.

    `known`: which of the checkpoints are permanent, as far as an earlier call has found it out.
    """
    names = committed(step)
    kept = _kept(step, names, keep, {} if known is None else known)
    _delete(step, [name for name in names if name not in kept and name < max(kept, default="")])


def sweep(step: Step, n: int) -> None:
    """Delete what saves up to step `n` have left that were never committed, so that no disk fills.

    What this attempt has of step `n` stays: it is being saved.
    """
    lying = [name.split("/") for name in step.folder.list() if name.count("/") == 2]
    names = committed(step)  # later than the listing: one that was committed in between is among them
    older = [parts for parts in lying if parts[1].startswith(PREFIX) and parts[1] <= name_of(n)]
    left = [p for p in older if p[1] not in names and p[:2] != [step.attempt, name_of(n)]]
    step.folder.delete(["/".join(parts) for parts in left])


def _kept(step: Step, names: list[str], keep: int, known: dict[str, bool]) -> list[str]:
    """Return which of the committed checkpoints `retain` keeps, the oldest first."""
    for name in names:
        if name not in known:
            with contextlib.suppress(DamagedError):  # nobody can load it, and it takes no place of another
                if shard := step.committed(name):
                    known[name] = bool(shard.facts.get("permanent"))
    sound = [name for name in names if name in known]
    temporary = [name for name in sound[:-1] if not known[name]]
    return [name for name in sound if known[name] or name in (*temporary[-keep:], sound[-1])]


def _tensors(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> dict[Key, Tensor]:
    """Return the weights and, with an optimizer, its moments, by kind and name."""
    tensors: dict[Key, Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors["model", name] = parameter.detach()
        if optimizer:
            for moment in MOMENTS:
                tensors[moment, name] = optimizer.state[parameter][moment]
    return tensors


def _read_into(tensors: dict[Key, Tensor], folder: Store, shard: Shard, world: World) -> None:
    """Fill tensors, or this process's parts of them, from a checkpoint.

    Raises DamagedError, on all processes alike.
    """
    world.all_of(lambda: read_into(tensors, Reader(folder, shard)))


def read_progress(folder: Store, shard: Shard) -> tuple[TrainState, int]:
    """Return how far a training had come, and how often its moments were updated. Raises DamagedError."""
    state = shard.object(f"/{shard.name}/state.json")
    found = folder.read_as(PROGRESS, state.name, expect=state)
    values = {name: getattr(found, name) for name in Progress.model_fields if name != "updates"}
    return TrainState(**values), found.updates


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
