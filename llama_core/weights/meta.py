"""The weights of a folder in the format that Meta released LLaMA in, however many files it was split into.

    consolidated.00.pth ...   a part of every matrix each, as fairscale's model parallelism divides them
    params.json               the sizes of the model
    checklist.chk             the md5 of each of them, as md5sum writes it
    tokenizer.model           here, or in the folder above, with tokenizer_checklist.chk beside it

Its names of the tensors, and its layout of them, are ours.
"""

import functools
import logging
import math
import re
from collections.abc import Iterator

import torch
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from torch import Tensor

from llama_core.errors import DamagedError, InputError
from llama_core.objects import fault_of
from llama_core.parse import Positive, damaged, shaped, shown
from llama_core.recipes.training import Model
from llama_core.store import Store
from llama_core.tokenizer.model import MODEL, Tokenizer
from llama_core.weights import names, region
from llama_core.weights.config import ANY_DICT
from llama_core.weights.folder import Folder, digest
from llama_core.weights.torch_file import DTYPES, TorchFile
from llama_core.weights.torch_pickle import View
from llama_core.weights.weights import Part, Sizes, Weights

log = logging.getLogger(__name__)
PARAMS, CHECKLIST, TOKENIZER_CHECKLIST = "params.json", "checklist.chk", "tokenizer_checklist.chk"
SHARD = re.compile(r"consolidated\.(\d{2,4})\.pth")
ROPE = re.compile(r"(layers\.\d+\.attention\.inner_attention\.)?rope\.freqs")
# The released code leaves out every tensor that it does not know. One in a block (an adapter's, a bias, one
# layer more than there should be) would change what the model says: so that is an error here.
IN_A_BLOCK = re.compile(r"layers\.")
SEQ_LEN = 2048  # the context of the released models, which no file names
# The dimension in which a matrix is divided; vectors are whole in every file.
ROWS = ("wq", "wk", "wv", "w1", "w3", "output")
COLUMNS = ("tok_embeddings", "wo", "w2")
LINE = re.compile(r"([0-9a-fA-F]{32}) [ *](.+)")


class Params(BaseModel):
    """What `params.json` says, bounded. The defaults are those of the released code."""

    dim: int = Field(512, strict=True, ge=1, le=1 << 20)
    n_layers: int = Field(8, strict=True, ge=1, le=1 << 10)
    n_heads: int = Field(8, strict=True, ge=1, le=1 << 16)
    multiple_of: int = Field(256, strict=True, ge=1, le=1 << 22)
    norm_eps: Positive = 1e-5
    vocab_size: int = Field(-1, strict=True, ge=-1, le=1 << 24)
    rope_theta: Positive = 10000.0


PARAMS_OF = TypeAdapter(Params)
KEYS = ("dim", "multiple_of", "n_heads", "n_layers", "norm_eps", "vocab_size")  # what the released code takes


class MetaWeights(Weights):
    """The weights of a folder of Meta's format. Raises InputError and DamagedError.

    `tokenizer`: the path or URL of the tokenizer, where it is neither in the folder nor above it.
    """

    def __init__(self, store: Store, tokenizer: str | None = None):
        self._store, self._sums = store, _checklist(store, CHECKLIST)
        self._words = _place_of_tokenizer(store, tokenizer)
        words = _checked_tokenizer(*self._words)
        sizes = _sizes(store, self._sums, words)
        self._files = [TorchFile(store, name) for name in _shards(store, self._sums)]
        wanted = names.shapes(sizes.model, sizes.vocab_size)
        dtypes = {dtype for file in self._files for dtype in self._dtypes(file, wanted)}
        there = {name for file in self._files for name in file.tensors if not ROPE.fullmatch(name)}
        if stray := ", ".join(sorted(there - wanted.keys())):
            log.warning("%s holds %s, which is no part of a LLaMA: it is left", store.url, shown(stray))
        # Where a few tensors are more precise than the rest, the model is: a sum of both would fail.
        dtype = functools.reduce(torch.promote_types, dtypes)
        super().__init__(store.url, sizes, words, dtype)

    def files(self) -> list[tuple[Store, str]]:
        """Return the files that the model is made of."""
        return [*((self._store, name) for name in (PARAMS, *(f.name for f in self._files))), self._words]

    @property
    def size(self) -> int:
        """The number of bytes of the weights."""
        return sum(self.dtype.itemsize * math.prod(shape) for shape in self._shapes.values())

    def check(self, share: int = 0, of: int = 1) -> None:
        """Compare the files of weights with `checklist.chk`, if it is there. Raises DamagedError."""
        for file in self._files[share::of]:
            _check_sum(self._store, file.name, self._sums, CHECKLIST)

    def _dtypes(self, file: TorchFile, wanted: dict[str, tuple[int, ...]]) -> Iterator[torch.dtype]:
        """Yield the types of a file's tensors, and check that they are its part of the model."""
        url = self._store.url_of(file.name)
        for name, view in file.tensors.items():
            if ROPE.fullmatch(name):
                continue
            if name not in wanted:
                if IN_A_BLOCK.match(name):
                    raise InputError(f"{url} holds {shown(name)}, which is no part of the LLaMA of {PARAMS}")
                continue
            if not isinstance(view, View) or view.storage.kind not in DTYPES:
                kind = view.storage.kind if isinstance(view, View) else type(view).__name__
                raise InputError(
                    f"{url} holds {name} as {shown(kind)}, and only {', '.join(DTYPES)} are read"
                )
            shards, dim = len(self._files), shard_dim(name)
            whole = [n * shards if d == dim else n for d, n in enumerate(view.shape)]
            if whole != list(wanted[name]):
                raise damaged(
                    url,
                    f"{name} has the shape {list(view.shape)} in {shards} files, where {PARAMS} says "
                    f"{list(wanted[name])} in all: is a file missing?",
                )
            yield DTYPES[view.storage.kind]
        if missing := sorted(wanted.keys() - file.tensors.keys()):
            raise DamagedError(f"{url} lacks the weights {', '.join(missing[:3])} ...")

    def _read(self, name: str, part: Part) -> Tensor:
        dim, start, stop = part
        across = shard_dim(name)
        if across is None:
            return region.read(self._store, self._files[0].region(name), part)
        if across != dim:
            parts = [region.read(self._store, file.region(name), part) for file in self._files]
            return torch.cat(parts, across) if len(parts) > 1 else parts[0]
        length = self._shapes[name][dim] // len(self._files)
        parts = []
        for number, file in enumerate(self._files):
            first, last = max(start - number * length, 0), min(stop - number * length, length)
            if first < last or (start == stop and not parts):
                parts.append(region.read(self._store, file.region(name), (dim, first, max(first, last))))
        return torch.cat(parts, dim) if len(parts) > 1 else parts[0]


def shard_dim(name: str) -> int | None:
    """Return the dimension in which the files divide our tensor `name`, or None for what all of them hold."""
    matrix = name.split(".")[-2]
    return 0 if matrix in ROWS else 1 if matrix in COLUMNS else None


def is_meta(store: Store) -> bool:
    """Tell whether a folder is one of Meta's format."""
    return store.exists(PARAMS)


def _sizes(store: Store, sums: dict[str, str], tokenizer: Tokenizer) -> Sizes:
    """Return what `params.json` says. Raises InputError for what the LLaMA of 2023 does not have."""
    url = store.url_of(PARAMS)
    told = shaped(ANY_DICT, store.read_json(PARAMS), url)
    _check_sum(store, PARAMS, sums, CHECKLIST)
    sizes = shaped(PARAMS_OF, told, url)
    later = {
        "grouped heads": told.get("n_kv_heads") not in (None, sizes.n_heads),
        "a wider feed-forward layer": told.get("ffn_dim_multiplier") not in (None, 1, 1.0),
        "scaled rotation": told.get("use_scaled_rope") not in (None, False),
    }
    if found := [name for name, has in later.items() if has]:
        raise InputError(f"{store.url} is a later model, with {', '.join(found)}")
    if extra := sorted(told.keys() - Params.model_fields.keys()):
        log.warning("%s has keys that the released code does not know: %s", url, shown(", ".join(extra)))
    if sizes.vocab_size not in (-1, tokenizer.n_words):
        raise InputError(
            f"{url} is for {sizes.vocab_size:,} ids, and the tokenizer has {tokenizer.n_words:,} pieces"
        )
    try:
        model = Model(**sizes.model_dump(exclude={"vocab_size"}))
    except ValidationError as error:
        raise InputError(f"{url} is no LLaMA: {error.errors()[0]['msg']}") from None
    return Sizes(model, tokenizer.n_words, SEQ_LEN)


def _shards(store: Store, sums: dict[str, str]) -> list[str]:
    """Return the names of the files with weights, in their order. Raises DamagedError for a missing one."""
    there = [name for name in store.list() if "/" not in name and name.endswith(".pth")]
    found = sorted(name for name in there if SHARD.fullmatch(name))
    if stray := sorted(set(there) - set(found)):
        log.warning(
            "%s holds %s, which is no part of the model: it is left", store.url, shown(", ".join(stray))
        )
    expected = [f"consolidated.{number:02d}.pth" for number in range(len(found))]
    listed = {name for name in sums if SHARD.fullmatch(name)}
    missing = sorted((set(expected) | listed) - set(found))
    if missing or not found:
        raise DamagedError(f"{store.url} lacks {', '.join(missing[:3]) or 'consolidated.00.pth'}")
    return found


def _place_of_tokenizer(store: Store, url: str | None) -> tuple[Store, str]:
    """Return where the tokenizer of a folder is: where it is said to be, or in the folder, or above it.

    Raises InputError where there is none.
    """
    if url is not None:
        folder, _, name = Store(url).url.rpartition("/")
        if not Store(folder).exists(name):
            raise InputError(f"there is no tokenizer at {Store(folder).url_of(name)}")
        return Store(folder), name
    above = store.url.rpartition("/")[0]
    places = [store, *([Store(above)] if above.partition("://")[2].strip("/") else [])]
    for place in places:
        if place.exists(MODEL):
            return place, MODEL
    raise InputError(f"there is no {MODEL} at {' or '.join(place.url for place in places)}")


def _checked_tokenizer(store: Store, name: str) -> Tokenizer:
    tokenizer = Tokenizer(Folder(store).read(name), store.url_of(name))
    _check_sum(store, name, _checklist(store, TOKENIZER_CHECKLIST), TOKENIZER_CHECKLIST)
    return tokenizer


def _checklist(store: Store, name: str) -> dict[str, str]:
    """Return the md5 of each file that a checklist names, in hex digits. A missing one names none."""
    try:
        lines = Folder(store).read(name).decode().splitlines()
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise damaged(store.url_of(name), str(error)) from None
    found = {}
    for line in filter(str.strip, lines):
        match = LINE.fullmatch(line.strip())
        file = match[2].removeprefix("./") if match else ""
        if match is None or fault_of(file):
            raise damaged(store.url_of(name), f"{shown(line)!r} is no line of md5sum's")
        found[file] = match[1].lower()
    return found


def _check_sum(store: Store, name: str, sums: dict[str, str], checklist: str) -> None:
    """Compare a file with a checklist that may name it. Raises DamagedError."""
    if name in sums and digest(store, name, "md5") != sums[name]:
        raise DamagedError(
            f"{store.url_of(name)} is damaged: its md5 is not that of {checklist}. Get the file again, "
            f"or delete {checklist} if you have changed the file yourself"
        )
