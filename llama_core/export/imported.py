"""A model of anybody's as a train step, with its tokenizer as a step beside it: from there on it is as ours.

It has the weights of a finished training and nothing else of it: no moments of the optimizer, and no steps.
So a training that starts from it counts from the start, without moments.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from llama_core.artifact import Artifact
from llama_core.errors import InputError
from llama_core.export.files import pieces
from llama_core.section import Default
from llama_core.step import OpenShard, Step
from llama_core.store import Store, to_json
from llama_core.tokenizer import train as tokenizers
from llama_core.tokenizer.model import MODEL
from llama_core.tokenizer.report import is_whitespace, report
from llama_core.train import REVISION, checkpoint, digest
from llama_core.train.checkpoint import TrainState
from llama_core.train.checkpoints import files
from llama_core.train.checkpoints.layout import Layout, Parameter
from llama_core.weights import folder, safetensors_file
from llama_core.weights.checkpoint import PRECISIONS, TrainedWeights
from llama_core.weights.weights import Weights

NAMES = {dtype: name for name, dtype in PRECISIONS.items()}


def import_model(
    weights: Weights,
    root: Store,
    dtype: torch.dtype | None = None,
    told: Callable[[int], Any] = lambda size: None,
) -> Artifact:
    """Return the train step that a model becomes on a store, which is made unless it is there.

    Its address is made from what the model's files hold, and not from where they lie, which its manifest says
    as well. `dtype`: what exports of it have; None: what it is stored in. `told` is called with the bytes of
    each piece that is written. Raises InputError for a model that is a train step already.
    """
    if isinstance(weights, TrainedWeights):
        raise InputError(f"{weights.url} is a train step already")
    tokenizer = _import_tokenizer(weights, root)
    files = {name: folder.digest(store, name, "sha256") for store, name in weights.files()}
    identity = {
        "model": weights.model.identity(),
        "train": {"seq_len": weights.seq_len, "precision": NAMES[dtype or weights.precision]},
        "vocab_size": weights.vocab_size,
        "imported": {"files": files} | _where(weights),
    }
    step = Step(root, "train", REVISION, identity, {"tokenizer": tokenizer})
    if artifact := step.finished():
        return artifact
    name, progress = checkpoint.name_of(0), TrainState(0, 0, checkpoint.IMPORTED)
    with step.shard(name) as shard:
        rows = _write(shard, weights, told)
        shard.publish_bytes(f"{name}/state.json", to_json(progress.state() | {"updates": 0}))
        shard.facts |= {"step": 0, "tokens": 0, "tokenizer": step.parents["tokenizer"]}
    headers = {n: digest.header_of(n, torch.float32, weights.shape(n)) for n in weights.names}
    facts = {"parameters": weights.model.n_params(weights.vocab_size)}
    checkpoint.finish(step, progress, 0, digest.combine(headers, rows), facts)
    return Artifact.open(step.folder)


def _where(weights: Weights) -> dict[str, Any]:
    """Return what an identity says of where a model came from: it is shown, and is in no address."""
    return {"url": Default(weights.url)}


def _import_tokenizer(weights: Weights, root: Store) -> Artifact:
    tokenizer = weights.tokenizer
    sha256 = hashlib.sha256(tokenizer.model).hexdigest()
    step = Step(root, "tokenizer", tokenizers.REVISION, {"imported": {"sha256": sha256} | _where(weights)})
    if artifact := step.finished():
        return artifact
    with step.shard("tokenizer") as shard:
        shard.publish_bytes(MODEL, tokenizer.model)
        shard.digest = tokenizer.digest
        blank = sum(map(is_whitespace, tokenizer.segmentation.pieces))
        shard.facts = {"vocab": tokenizer.n_words, "whitespace_pieces": blank, "sample": {}}
        shard.facts |= report(tokenizer.segmentation, [])  # nobody knows what it was trained on
    return step.commit(["tokenizer"])


def _write(shard: OpenShard, weights: Weights, told: Callable[[int], Any]) -> digest.Rows:
    """Write a checkpoint of the weights alone, and return the digests of their rows.

    Its files are as large as those of an export: they are those of as many ranks of a pipeline.
    """
    rows: digest.Rows = []
    split = _split(weights)
    parameters = {
        name: Parameter(dtype="float32", shape=weights.shape(name), pp=number)
        for number, inside in enumerate(split)
        for name in inside
    }
    layout = Layout((len(split), 1, 1, 1), ("model",), parameters)

    def part_of(kind: str, name: str) -> Iterator[Tensor]:
        first = 0
        for piece in pieces(weights, name, torch.float32):
            rows.extend((name, first, hashes) for _, _, hashes in digest.rows_of(name, piece))
            first += len(piece)
            yield piece
            told(piece.nbytes)

    for rank in range(len(split)):
        files.write(shard, layout, rank, part_of)
    shard.publish_bytes(f"{shard.name}/{files.DESCRIPTION}", to_json(layout.as_dict()))
    return rows


def _split(weights: Weights) -> list[list[str]]:
    """Return the names of the tensors that go into each file."""
    shapes = {name: weights.shape(name) for name in weights.names}
    return list(safetensors_file.split(shapes, torch.float32).values())
