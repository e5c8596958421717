"""A model of one format as a folder, or a train step, of another."""

import contextlib
import functools
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from llama_core.errors import InputError, StoreError
from llama_core.export import huggingface_folder, meta
from llama_core.export.files import DTYPES, Files
from llama_core.export.imported import import_model
from llama_core.export.pyfunc_model import SUMS
from llama_core.objects import Object
from llama_core.store import Store
from llama_core.tokenizer.model import MODEL
from llama_core.weights.checkpoint import TrainedWeights
from llama_core.weights.meta import CHECKLIST, TOKENIZER_CHECKLIST, MetaWeights
from llama_core.weights.open import open_weights, store_of, whole
from llama_core.weights.weights import Weights

Told = Callable[[str, int, int], Any]
"""What is called with the name of a file, how many bytes of all are written, and how many there are."""


def convert(
    source: str,
    target: str,
    kind: str,
    told: Told,
    shards: int | None = None,
    dtype: str | None = None,
    tokenizer: str | None = None,
) -> str:
    """Write the model at one URL to another, as huggingface, meta or step, and return the new one's URL.

    `shards`: the number of files of Meta's format. `dtype`: a key of DTYPES; None: for Meta's format fp16, as
    it was published, else what the model is published in. `tokenizer`: where that of a folder in Meta's
    format is, if it is neither there nor above it. What was read is checked by every digest that is known.
    Raises InputError, also where there is something at `target`, and StoreError.
    """
    if shards is not None and kind != "meta":
        raise InputError(f"--shards is of Meta's format: --format {kind} has no use for it")
    place = store_of(target)
    if kind != "step":
        _check_free(place)
    weights = open_weights(source, tokenizer)
    if tokenizer is not None and not isinstance(weights, MetaWeights):
        raise InputError(
            f"{weights.url} is not in Meta's format, and has a tokenizer of its own: leave out --tokenizer"
        )
    chosen = DTYPES[dtype] if dtype else None
    with whole(store_of(source)):
        if kind == "step":
            return _import(weights, place, chosen, told)
        files = _files(weights, kind, chosen, shards)
        _check_room(place, files.size)
        weights.check()
        return _write(files, place, kind, told)


def _files(weights: Weights, kind: str, dtype: torch.dtype | None, shards: int | None) -> Files:
    if kind == "meta":
        return meta.files(weights, dtype or torch.float16, shards)
    return huggingface_folder.files(weights, dtype or weights.precision)


def _import(weights: Weights, root: Store, dtype: torch.dtype | None, told: Told) -> str:
    if isinstance(weights, TrainedWeights):
        raise InputError(f"{weights.url} is a train step already")
    _check_room(root, 4 * weights.model.n_params(weights.vocab_size))
    weights.check()
    total, done = sum(4 * torch.Size(weights.shape(name)).numel() for name in weights.names), 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        told("checkpoint", done, total)

    return import_model(weights, root, dtype, count).url


def _write(files: Files, place: Store, kind: str, told: Told) -> str:
    """Write the files, those that make the folder a model last, or none of them. Returns the folder's URL."""
    begun: list[str] = []
    try:
        _write_all(files, place, kind, told, begun)
    except BaseException:
        with contextlib.suppress(Exception):
            place.delete(begun)
        raise
    return place.url


def _write_all(files: Files, place: Store, kind: str, told: Told, begun: list[str]) -> None:
    """Write the files, and put the name of each into `begun` before."""
    objects: list[Object] = []
    md5: dict[str, str] = {}
    done = 0
    for name, write in files.weights.items():
        begun.append(name)
        with place.publish(name) as file:
            counted = _Counted(file, functools.partial(_tell, told, name, done, files.size))
            write(counted)
        assert file.object is not None
        objects.append(file.object)
        md5[name] = counted.md5.hexdigest()
        done += file.object.size
    for name, data in files.texts.items():
        objects.append(Object(name, len(data), hashlib.sha256(data).hexdigest()))
        md5[name] = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if kind == "meta":
        listed = (name for name in md5 if name != MODEL)
        lists = {CHECKLIST: "".join(f"{md5[name]}  {name}\n" for name in listed).encode()}
        lists[TOKENIZER_CHECKLIST] = f"{md5[MODEL]}  {MODEL}\n".encode()
    else:
        lists = {SUMS: huggingface_folder.sums(objects)}
    for name, data in (lists | files.texts).items():
        begun.append(name)
        place.publish_bytes(name, data)


def _tell(told: Told, name: str, before: int, total: int, size: int) -> None:
    told(name, min(before + size, total), total)


class _Counted:
    """A file that is open for publishing, which tells how far it is, and knows its md5."""

    def __init__(self, file: Any, told: Callable[[int], Any]):
        self._file, self._told = file, told
        self.md5 = hashlib.md5(usedforsecurity=False)

    def write(self, data: Any) -> int:
        """Write bytes, and return their number."""
        self.md5.update(data)
        size: int = self._file.write(data)
        self._told(self.tell())
        return size

    def tell(self) -> int:
        """Return the number of bytes that were written."""
        size: int = self._file.tell()
        return size

    def flush(self) -> None:
        """Do nothing: the store decides when bytes leave."""


def _check_room(place: Store, size: int) -> None:
    """Raise StoreError where a disk of this machine has no room for so many bytes."""
    if not place.is_local:
        return
    folder = Path(place.path())
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if (free := shutil.disk_usage(there).free) < size:
        raise StoreError(
            f"no space is left for {size / 1e9:.1f} GB at {place.url}: {free / 1e9:.1f} GB are free"
        )


def _check_free(place: Store) -> None:
    """Raise InputError where there is something at a URL that is to become a folder."""
    if place.is_local:
        path = place.path()
        try:
            there = os.listdir(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"cannot write to {place.url}: {error.strerror}") from None
    else:
        there = place.list()
    if there:
        raise InputError(
            f"{place.url} holds {sorted(there)[0]} already, and nothing is written over: "
            "name another folder, or delete this one"
        )
