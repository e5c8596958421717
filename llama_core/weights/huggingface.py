"""The weights of a folder in the format of Hugging Face: safetensors, in one file or in several."""

import functools
import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from llama_core.errors import DamagedError, InputError
from llama_core.parse import damaged, json_value, shaped, shown
from llama_core.store import Store
from llama_core.tokenizer.model import MODEL, Tokenizer
from llama_core.weights import names, region, safetensors_file
from llama_core.weights.config import describe
from llama_core.weights.folder import Folder
from llama_core.weights.region import Region
from llama_core.weights.weights import PIECE, Part, Sizes, Weights

CONFIG = "config.json"
ONE_FILE = "model.safetensors"
# What a folder from before safetensors has in its place, or the index of it: pickles.
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
# Older exports have stored the rotation's frequencies, which follow from the settings.
COMPUTED = re.compile(r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq")


class HuggingFaceWeights(Weights):
    """The weights of a Hugging Face folder. Raises InputError and DamagedError."""

    def __init__(self, folder: Folder):
        store = folder.store
        sizes = describe(json_value(folder.read(CONFIG), store.url_of(CONFIG)), store.url)
        if not folder.has(MODEL) and folder.has("tokenizer.json"):
            raise InputError(
                f"{store.url} holds a tokenizer.json, and not the {MODEL} that it was made from: "
                "put that beside it"
            )
        tokenizer = Tokenizer(folder.read(MODEL), store.url_of(MODEL))
        if tokenizer.n_words != sizes.vocab_size:
            raise InputError(
                f"{store.url} is for {sizes.vocab_size:,} ids, "
                f"and its {MODEL} has {tokenizer.n_words:,} pieces"
            )
        self._folder, self._files = folder, _files(folder)
        self._regions = _regions(folder, self._files, sizes)
        # Where a few tensors are more precise than the rest, the model is: a sum of both would fail.
        dtype = functools.reduce(torch.promote_types, {found.dtype for found in self._regions.values()})
        super().__init__(store.url, sizes, tokenizer, dtype)

    def files(self) -> list[tuple[Store, str]]:
        """Return the files that the model is made of."""
        return [(self._folder.store, name) for name in (CONFIG, MODEL, *self._files)]

    @property
    def size(self) -> int:
        """The number of bytes of the weights."""
        return sum(found.size for found in self._regions.values())

    def check(self, share: int = 0, of: int = 1) -> None:
        """Compare the files of weights with the manifest, if there is one. Raises DamagedError."""
        for name in self._files[share::of]:
            self._folder.check(name)

    def stored(self, name: str) -> Iterator[Tensor]:
        """Yield the rows of our tensor `name` as they are stored: in the layout of Hugging Face."""
        found = self._regions[name]
        step = max(1, PIECE // (found.stride * found.dtype.itemsize))
        for first in range(0, found.shape[0], step):
            last = min(first + step, found.shape[0])
            yield region.read(self._folder.store, found, (0, first, last))

    def _read(self, name: str, part: Part) -> Tensor:
        found, head = self._regions[name], self.model.head_dim
        if not names.is_rotated(name):
            return region.read(self._folder.store, found, part)
        dim, start, stop = part
        if dim == 1:
            tensor = region.read(self._folder.store, found, part)
            return names.unpermute(name, tensor, self.model.n_heads)
        first, last = start // head, -(-stop // head)  # the heads that the rows are of
        tensor = region.read(self._folder.store, found, (0, first * head, last * head))
        return names.unpermute(name, tensor, last - first)[start - first * head :][: stop - start]


def _files(folder: Folder) -> list[str]:
    """Return the names of the files with weights; as transformers does, one file is taken first."""
    if folder.has(ONE_FILE):
        return [ONE_FILE]
    if not folder.has(safetensors_file.INDEX):
        if pickled := [name for name in PICKLED if folder.has(name)]:
            raise InputError(
                f"{folder.store.url} holds its weights as {pickled[0]} alone, and they are only read as "
                "safetensors: load them with transformers and save_pretrained them"
            )
        return [ONE_FILE]
    url = folder.store.url_of(safetensors_file.INDEX)
    value = json_value(folder.read(safetensors_file.INDEX), url)
    files = sorted(set(shaped(safetensors_file.WEIGHT_INDEX, value, url).weight_map.values()))
    if not files:
        raise damaged(url, "it names no file")
    if wrong := [file for file in files if not file.endswith(".safetensors")]:
        raise InputError(f"{url} names {shown(wrong[0])}: weights are only read as safetensors")
    return files


def _regions(folder: Folder, files: list[str], sizes: Sizes) -> Mapping[str, Region]:
    """Return where each tensor lies, by our names, after the headers of the files alone.

    They must hold the tensors of the model and no others. Raises InputError and DamagedError.
    """
    wanted = names.shapes(sizes.model, sizes.vocab_size)
    ours = {names.to_huggingface(name): name for name in wanted}
    found: dict[str, Region] = {}
    for file in files:
        entry, url = folder.entry(file), folder.store.url_of(file)
        for name, place in safetensors_file.places(folder.store, file, entry.size if entry else None).items():
            if COMPUTED.fullmatch(name):
                continue
            if name not in ours:
                raise InputError(f"{url} holds {shown(name)}, which is no part of a LLaMA of 2023")
            if place.dtype not in safetensors_file.DTYPES:
                known = ", ".join(safetensors_file.DTYPES)
                raise InputError(f"{url} holds {name} as {place.dtype}, and only {known} are read")
            shape, dtype = wanted[ours[name]], safetensors_file.DTYPES[place.dtype]
            if place.shape != shape or ours[name] in found:
                what = "is there twice" if ours[name] in found else f"has the shape {list(place.shape)}"
                raise damaged(url, f"{name} {what}, where {CONFIG} says {list(shape)}")
            row = shape[1] if len(shape) > 1 else 1
            found[ours[name]] = Region(file, place.data_offsets[0], dtype, shape, row)
    if missing := wanted.keys() - found.keys():
        raise DamagedError(
            f"{folder.store.url} lacks the weights "
            f"{', '.join(sorted(map(names.to_huggingface, missing))[:3])} ..."
        )
    return found
