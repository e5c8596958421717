"""A model to talk to, from the URL of an export or train step, or of a LLaMA folder by anybody.

Wherever a manifest tells what the bytes should be, they are checked. And before memory is taken for weights,
the sizes that a model's settings claim are compared with those of the tensors that lie there.
"""

import functools
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

import torch
from pydantic import BaseModel, TypeAdapter

from llama_core.artifact import MANIFEST, Artifact
from llama_core.errors import DamagedError, InputError, StoreError
from llama_core.export import names, tensor_files
from llama_core.generate.config import describe
from llama_core.model.llama import Llama
from llama_core.objects import Object
from llama_core.parse import MOST_BYTES, Count, damaged, json_value, shaped, shown
from llama_core.recipes.training import Model, Train
from llama_core.store import Store
from llama_core.tokenizer.model import MODEL, Tokenizer
from llama_core.train import checkpoint

CONFIG = "config.json"
ONE_FILE = "model.safetensors"
STEP = re.compile("/(export|train)/[0-9a-f]{16}$")
# Older exports have stored the rotation's frequencies, which follow from the settings.
COMPUTED = re.compile(r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq")

Shapes = Mapping[str, tuple[int, ...]]


class Loaded(NamedTuple):
    """A model that is ready to generate text."""

    model: Llama
    tokenizer: Tokenizer
    seq_len: int
    """The longest context of the model, in tokens."""


class TrainedWith(BaseModel):
    """What the identity of a train step says of the model."""

    class Length(BaseModel):
        """The part of the training's settings that a model is used with."""

        seq_len: Count = Train.model_fields["seq_len"].default

    model: Model
    train: Length


TRAINED_WITH = TypeAdapter(TrainedWith)


def load(url: str, device: str | torch.device = "cpu") -> Loaded:
    """Load the model at any path or fsspec URL: an export or train step, or a Hugging Face LLaMA folder.

    Weights keep the precision that they are stored in. Raises InputError where there is no such model, and
    DamagedError where its bytes are not what the manifest says, or not what they should be.
    """
    store = _store_of(url)
    with _whole(store):
        loaded = _load(store)
    loaded.model.to(device).eval()
    return loaded


def _load(store: Store) -> Loaded:
    """Load the model in a folder, by its manifest wherever that is. Raises InputError and DamagedError."""
    if step := _step(store):
        return _from_step(step)
    if not store.exists(CONFIG):
        if store.exists(MANIFEST):
            Artifact.open(store)  # raises what is wrong with it
        raise InputError(f"there is no model at {store.url}: give the URL of an export or of a train step")
    real = Store(os.path.realpath(store.path())) if store.is_local else store
    above, _, attempt = real.url.rpartition("/")
    if above.partition("://")[2].strip("/") and (step := _step(Store(above))):
        return _from_step(step, attempt)
    return _from_folder(_Folder(store, None))


def _step(folder: Store) -> Artifact | None:
    """Return the step whose folder this is, or None for another, whatever it holds as manifest.json.

    Raises StoreError or InputError where its place says that it is one, and there is no whole manifest.
    """
    ours = STEP.search(folder.url) is not None
    try:
        manifest = folder.read_json(MANIFEST)
    except FileNotFoundError:
        if ours and folder.exists(""):
            raise InputError(f"the step {folder.url} was never finished: it has no {MANIFEST}") from None
        return None
    except StoreError:
        if ours:
            raise
        return None
    told = isinstance(manifest, dict) and {"stage", "index"} <= manifest.keys()
    return Artifact.open(folder) if ours or told else None


def _from_step(step: Artifact, attempt: str | None = None) -> Loaded:
    """Load the output of a step, or of its `attempt`. Raises InputError and DamagedError."""
    if step.stage == "export":
        return _from_export(step, attempt)
    if step.stage == "train" and attempt is None:
        return _from_checkpoint(step)
    raise InputError(
        f"{step.url} is the output of stage {shown(step.stage)}: give the URL of an export or of a train step"
    )


def _store_of(url: str) -> Store:
    """Return the store at a URL. A file:// URI of the registry is quoted, a store's own URL is not."""
    store = Store(url)
    if not url.startswith("file://") or "%" not in url:
        return store
    plain = Store("file://" + unquote(url.removeprefix("file://").removeprefix("localhost")))
    if plain.url == store.url or not plain.exists(""):
        return store
    if store.exists(""):
        raise InputError(f"{url} may be {store.path()} or {plain.path()}: give the path that you mean")
    return plain


@contextmanager
def _whole(store: Store) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            f"{store.url} is not whole, {error}: beside config.json belong tokenizer.model, the "
            "SentencePiece file of LLaMA, and the weights as safetensors; beside a train step, its inputs"
        ) from error
    except MemoryError:
        raise InputError(f"the model at {store.url} does not fit into the memory of this machine") from None


@dataclass(frozen=True)
class _Folder:
    """A Hugging Face folder, and its objects by name where a manifest has their digests."""

    store: Store
    manifest: Mapping[str, Object] | None

    def entry(self, name: str) -> Object | None:
        """Return what the manifest says of a file. Raises DamagedError for one that it does not name."""
        if self.manifest is None:
            return None
        if name not in self.manifest:
            raise DamagedError(f"{self.store.url_of(name)} is in no manifest: nobody has checked it")
        return self.manifest[name]

    def has(self, name: str) -> bool:
        """Tell whether there is a file of this name, by the manifest if there is one."""
        return self.store.exists(name) if self.manifest is None else name in self.manifest

    def read(self, name: str) -> bytes:
        """Return a small file. Raises DamagedError."""
        return self.store.read(name, self.entry(name), MOST_BYTES)

    def weights(self) -> list[str]:
        """Return the names of the files with weights; as transformers does, one file is taken first."""
        if self.has(ONE_FILE) or not self.has(tensor_files.INDEX):
            return [ONE_FILE]
        url = self.store.url_of(tensor_files.INDEX)
        value = json_value(self.read(tensor_files.INDEX), url)
        files = sorted(set(shaped(tensor_files.WEIGHT_INDEX, value, url).weight_map.values()))
        if not files:
            raise damaged(url, "it names no file")
        if wrong := [file for file in files if not file.endswith(".safetensors")]:
            raise InputError(f"{url} names {shown(wrong[0])}: weights are only read as safetensors")
        return files


def _from_export(artifact: Artifact, attempt: str | None = None) -> Loaded:
    """Load an export, or its `attempt`. Raises InputError for an attempt that was not committed."""
    objects = {entry.name: entry for entry in artifact.shard("model").objects}
    attempts = sorted({name.split("/")[0] for name in objects})
    if len(attempts) != 1:
        raise damaged(artifact.url, "the files of the model do not lie in one folder")
    if attempt not in (None, *attempts):
        raise InputError(
            f"{artifact.url}/{attempt} was never committed: the model is {artifact.url}/{attempts[0]}"
        )
    inside = {name.removeprefix(f"{attempts[0]}/"): entry for name, entry in objects.items()}
    named = {name: Object(name, entry.size, entry.sha256) for name, entry in inside.items()}
    return _from_folder(_Folder(artifact.store.at(attempts[0]), named))


def _from_folder(folder: _Folder) -> Loaded:
    """Load a Hugging Face LLaMA folder. Raises InputError and DamagedError."""
    store = folder.store
    cfg, vocab_size, seq_len = describe(json_value(folder.read(CONFIG), store.url_of(CONFIG)), store.url)
    tokenizer = Tokenizer(folder.read(MODEL), store.url_of(MODEL))
    if tokenizer.n_words != vocab_size:
        raise InputError(
            f"{store.url} is for {vocab_size:,} ids, and its {MODEL} has {tokenizer.n_words:,} pieces"
        )
    ours = {names.to_huggingface(name): name for name in names.shapes(cfg, vocab_size)}
    shapes = {names.to_huggingface(name): shape for name, shape in names.shapes(cfg, vocab_size).items()}
    files = folder.weights()
    ignored = _check_places(folder, files, shapes)
    weights: dict[str, torch.Tensor] = {}
    for file in files:
        for name, tensor in tensor_files.read(store, file, folder.entry(file), skip=ignored):
            weights[ours[name]] = names.unpermute(ours[name], tensor, cfg.n_heads)
    # Where a few tensors are more precise than the rest, the model is: a sum of both would fail.
    dtype = functools.reduce(torch.promote_types, {tensor.dtype for tensor in weights.values()})
    with torch.device("meta"):
        model = Llama(cfg, vocab_size)
    model.load_state_dict({name: tensor.to(dtype) for name, tensor in weights.items()}, assign=True)
    return Loaded(model, tokenizer, seq_len)


def _check_places(folder: _Folder, files: list[str], shapes: Shapes) -> set[str]:
    """Check that the files hold tensors of these shapes, by their headers alone.

    Returns the names of those that are to be left out. Raises InputError and DamagedError.
    """
    found: dict[str, tensor_files.Place] = {}
    ignored: set[str] = set()
    for file in files:
        entry, url = folder.entry(file), folder.store.url_of(file)
        for name, place in tensor_files.places(folder.store, file, entry.size if entry else None).items():
            if COMPUTED.fullmatch(name):
                ignored.add(name)
                continue
            if name not in shapes:
                raise InputError(f"{url} holds {shown(name)}, which is no part of a LLaMA of 2023")
            if place.dtype not in tensor_files.DTYPES:
                known = ", ".join(tensor_files.DTYPES)
                raise InputError(f"{url} holds {name} as {place.dtype}, and only {known} are read")
            if place.shape != shapes[name] or name in found:
                what = "is there twice" if name in found else f"has the shape {list(place.shape)}"
                raise damaged(url, f"{name} {what}, where {CONFIG} says {list(shapes[name])}")
            found[name] = place
    if missing := shapes.keys() - found.keys():
        raise DamagedError(f"{folder.store.url} lacks the weights {', '.join(sorted(missing)[:3])} ...")
    _check_room(sum(place.size for place in found.values()), folder.store)
    return ignored


def _check_room(size: int, store: Store) -> None:
    """Raise InputError where `size` bytes of weights are more than this machine has memory for."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        raise InputError(f"the weights at {store.url} take {size:,} bytes, and this machine has {memory:,}")


def _from_checkpoint(artifact: Artifact) -> Loaded:
    """Load the final checkpoint of a train step, and the tokenizer that made its tokens."""
    tokenizer = Tokenizer.load(_parent(_parent(artifact, "tokens"), "tokenizer"))
    told = shaped(TRAINED_WITH, artifact.manifest["identity"], artifact.store.url_of(MANIFEST))
    final = checkpoint.final(artifact)
    stored = checkpoint.weight_shapes(artifact.store, final)
    if told.model.n_layers > len(stored) or names.shapes(told.model, tokenizer.n_words) != stored:
        raise damaged(artifact.url, f"the weights of {final.name} are not those of the model in its manifest")
    _check_room(sum(4 * math.prod(shape) for shape in stored.values()), artifact.store)
    with torch.device("meta"):
        model = Llama(told.model, tokenizer.n_words)
    model.to_empty(device="cpu")
    checkpoint.load_weights(artifact.store, final, model)
    return Loaded(model, tokenizer, told.train.seq_len)


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
