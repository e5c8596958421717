"""Weights by their URL: of an export or train step of ours, or of a LLaMA folder by anybody.

Wherever a manifest tells what the bytes should be, they are checked. And before memory is taken for weights,
the sizes that a model's settings claim are compared with those of the tensors that lie there.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from llama_core.artifact import MANIFEST, Artifact
from llama_core.errors import InputError, StoreError
from llama_core.objects import Object
from llama_core.parse import damaged, shown
from llama_core.store import Store
from llama_core.weights.checkpoint import TrainedWeights
from llama_core.weights.folder import Folder
from llama_core.weights.huggingface import CONFIG, HuggingFaceWeights
from llama_core.weights.meta import MetaWeights, is_meta
from llama_core.weights.weights import Weights

STEP = re.compile("/(export|train)/[0-9a-f]{16}$")


def open_weights(url: str, tokenizer: str | None = None) -> Weights:
    """Return the weights at any path or fsspec URL: of an export or train step, or of a LLaMA folder.

    Such a folder is in the format of Hugging Face or in Meta's. `tokenizer`: the path or URL of the tokenizer
    of a folder in Meta's, where it is neither there nor above it. Raises InputError where there is no such
    model, and DamagedError where its settings, its headers and its manifest contradict each other.
    """
    store = store_of(url)
    with whole(store):
        return _open(store, tokenizer)


def store_of(url: str) -> Store:
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
def whole(store: Store) -> Iterator[None]:
    """Raise InputError, which says what belongs into a folder, where a file of it is missing in the block."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            f"{store.url} is not whole, {error}: beside config.json belong tokenizer.model, the "
            "SentencePiece file of LLaMA, and the weights as safetensors; beside params.json, all "
            "consolidated.NN.pth; beside a train step, its inputs"
        ) from error
    except MemoryError:
        raise InputError(f"the model at {store.url} does not fit into the memory of this machine") from None


def _open(store: Store, tokenizer: str | None) -> Weights:
    """Open the model in a folder, by its manifest wherever that is. Raises InputError and DamagedError."""
    if step := _step(store):
        return _of_step(step)
    if not store.exists(CONFIG):
        if is_meta(store):
            return MetaWeights(store, tokenizer)
        if store.exists(MANIFEST):
            Artifact.open(store)  # raises what is wrong with it
        raise InputError(
            f"there is no model at {store.url}: give the URL of an export or train step, or of a LLaMA folder"
        )
    real = Store(os.path.realpath(store.path())) if store.is_local else store
    above, _, attempt = real.url.rpartition("/")
    if above.partition("://")[2].strip("/") and (step := _step(Store(above))):
        return _of_step(step, attempt)
    return HuggingFaceWeights(Folder(store))


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


def _of_step(step: Artifact, attempt: str | None = None) -> Weights:
    """Open the output of a step, or of its `attempt`. Raises InputError and DamagedError."""
    if step.stage == "export":
        return _of_export(step, attempt)
    if step.stage == "train" and attempt is None:
        return TrainedWeights(step)
    raise InputError(
        f"{step.url} is the output of stage {shown(step.stage)}: give the URL of an export or of a train step"
    )


def _of_export(artifact: Artifact, attempt: str | None = None) -> Weights:
    """Open an export, or its `attempt`. Raises InputError for an attempt that was not committed."""
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
    return HuggingFaceWeights(Folder(artifact.store.at(attempts[0]), named))
