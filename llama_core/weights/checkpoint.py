"""The weights of a train step: its final checkpoint, whatever layout it was saved by."""

import math
from typing import Literal

import torch
from pydantic import BaseModel, TypeAdapter
from torch import Tensor

from llama_core.artifact import MANIFEST, Artifact
from llama_core.errors import InputError
from llama_core.parse import Count, damaged, shaped
from llama_core.recipes.training import Model, Train
from llama_core.store import Store
from llama_core.tokenizer.model import Tokenizer
from llama_core.train import checkpoint
from llama_core.train.checkpoints.files import Reader, paste
from llama_core.train.checkpoints.layout import DTYPES, Box
from llama_core.weights import names
from llama_core.weights.weights import Part, Sizes, Weights


class TrainedWith(BaseModel):
    """What the identity of a train step says of the model."""

    class Length(BaseModel):
        """The part of the training's settings that a model is used with."""

        seq_len: Count = Train.model_fields["seq_len"].default
        precision: Literal["bf16", "fp32", "fp16"] = Train.model_fields["precision"].default

    model: Model
    train: Length


TRAINED_WITH = TypeAdapter(TrainedWith)
PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp16": torch.float16}


class TrainedWeights(Weights):
    """The weights of a train step, in float32. Every piece that is read is checked by its digest.

    Pieces of the tensor that was read last are kept if they reach beyond the rows that were asked for,
    since a tensor is mostly asked for part by part.
    """

    def __init__(self, artifact: Artifact, words: Artifact | None = None):
        """`words`: the tokenizer of the tokens, where it is at hand."""
        tokenizer = Tokenizer.load(words or tokenizer_of(artifact))
        told = shaped(TRAINED_WITH, artifact.manifest["identity"], artifact.store.url_of(MANIFEST))
        final = checkpoint.final(artifact)
        stored = checkpoint.weight_shapes(artifact.store, final)
        if told.model.n_layers > len(stored) or names.shapes(told.model, tokenizer.n_words) != stored:
            raise damaged(
                artifact.url, f"the weights of {final.name} are not those of the model in its manifest"
            )
        sizes = Sizes(told.model, tokenizer.n_words, told.train.seq_len)
        super().__init__(artifact.url, sizes, tokenizer, torch.float32)
        self._precision = PRECISIONS[told.train.precision]
        self._artifact, self._final = artifact, final
        self._reader = Reader(artifact.store, final)
        self._name = ""  # of the tensor that was read last
        self._kept: dict[Box, Tensor] = {}  # pieces of it

    @property
    def precision(self) -> torch.dtype:
        """The type that training computes in: the weights of a checkpoint are more precise."""
        return self._precision

    def files(self) -> list[tuple[Store, str]]:
        """Return the files of the checkpoint."""
        return [(self._artifact.store, entry.name) for entry in self._final.objects]

    @property
    def size(self) -> int:
        """The number of bytes of the weights."""
        return sum(4 * math.prod(shape) for shape in self._shapes.values())

    def check(self, share: int = 0, of: int = 1) -> None:
        """Do nothing: each piece is checked when it is read."""

    def _read(self, name: str, part: Part) -> Tensor:
        dim, start, stop = part
        need = tuple((start, stop) if n == dim else (0, size) for n, size in enumerate(self._shapes[name]))
        dtype = DTYPES[self._reader.layout.parameters[name].dtype]
        out = torch.empty([last - first for first, last in need], dtype=dtype)
        kept = self._kept if name == self._name else {}
        self._name, self._kept = name, {}

        def take(box: Box, values: Tensor) -> None:
            paste(out, need, box, values)
            if box[dim][1] > stop:
                self._kept[box] = values

        missing = []
        for piece in self._reader.pieces("model", name, need, take):
            if piece.box in kept:
                take(piece.box, kept[piece.box])
            else:
                missing.append(piece)
        self._reader.read(missing)
        return out


def tokenizer_of(trained: Artifact) -> Artifact:
    """Return the tokenizer that made the tokens of a train step, or that was imported with its model.

    Raises InputError where it is gone.
    """
    made_of = trained if "tokenizer" in trained.manifest["inputs"] else _parent(trained, "tokens")
    return _parent(made_of, "tokenizer")


def _parent(artifact: Artifact, stage: str) -> Artifact:
    """Return the artifact of a stage that went into this one.

    Raises InputError where it is gone, or where another one has taken its place.
    """
    root = Store(artifact.url.rsplit("/", 2)[0])
    for name in artifact.parents.get(stage, []):
        if root.exists(f"{name}/{MANIFEST}"):
            found = Artifact.load(root, name)
            if found.digest == artifact.manifest["inputs"].get(stage):
                return found
    raise InputError(f"{root.url} no longer holds the {stage} step that {artifact.url} was made from")
