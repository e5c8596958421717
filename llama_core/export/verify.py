"""The check of an export: its logits are those of our model, as transformers computes them on its files.

A small model is loaded whole, by transformers' own loader. Of a larger one, one block is in memory at a time,
first each of ours and then each of transformers', and only what a block makes of some tokens is kept. On
several processes each loads its next block while those before it are computed.
"""

import gc
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from llama_core.errors import LlamaError
from llama_core.export import is_small
from llama_core.export.files import pieces
from llama_core.model.llama import Block, Llama, RMSNorm, rotation
from llama_core.parse import json_value
from llama_core.store import CHUNK
from llama_core.train.distributed import World
from llama_core.weights import names
from llama_core.weights.folder import Folder
from llama_core.weights.huggingface import CONFIG, HuggingFaceWeights
from llama_core.weights.weights import Weights

TOLERANCE = 1e-3  # largest difference of a logit, in float32; with a wrong layout it is whole units
# Texts on which the exported tokenizer must give the same ids.
PROBES = (
    "def main():\n    return  0\n",
    "  The model’s text — 3.14 🙂\n\n\tand   more.",
    " a</s> <s>b<unk>",
)
Told = Callable[[str, int, int], Any]
"""What is called with what is being done, how much of it is done, and how much there is."""
EMBEDDINGS, NORM, OUTPUT = "tok_embeddings.weight", "norm.weight", "output.weight"


def verify(folder: Folder, ours: Weights, dtype: torch.dtype, world: World, told: Told) -> float:
    """Return the largest difference between our model's logits and those of transformers on `folder`.

    All of `world` call it. Both sides compute in float32 on weights that are rounded to `dtype`. Raises
    LlamaError where the difference is larger than TOLERANCE, or the tokenizers give different ids.
    """
    world.agree(lambda: _check_tokenizer(folder, ours))
    generator = torch.Generator().manual_seed(1)
    length = min(64, ours.seq_len)
    tokens = torch.randint(ours.vocab_size, (2, length), generator=generator)  # (B, S)
    with torch.no_grad():
        if is_small(ours.model.n_params(ours.vocab_size)):
            return world.agree(lambda: _whole(folder, ours, dtype, tokens))
        mine, theirs = _Ours(ours, dtype, world.device), _Theirs(folder, world.device)
        last = [_through(side, ours.model.n_layers, tokens, world, told) for side in (mine, theirs)]
        return world.agree(lambda: _largest(mine.logits(last[0]), theirs.logits(last[1])))


class _Side(Protocol):
    """A model in parts: ours, or that of transformers."""

    name: str

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the embeddings (B, S, dim) of tokens, int64 (B, S)."""
        ...

    def block(self, layer: int) -> Callable[[Tensor], Tensor]:
        """Load a block, and return what it does with (B, S, dim)."""
        ...

    def logits(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the logits of the last hidden states, for some tokens of the vocabulary at a time."""
        ...


def _through(side: _Side, n_layers: int, tokens: Tensor, world: World, told: Told) -> Tensor:
    """Return the last hidden states (B, S, dim), on every process."""
    x = _shared(side.embed(tokens), 0, world)
    for first in range(0, n_layers, world.size):
        mine = first + world.rank
        block = side.block(mine) if mine < n_layers else None
        for layer in range(first, min(first + world.size, n_layers)):
            x = _shared(block(x) if block and layer == mine else x, layer - first, world)
            if world.rank == 0:
                told(side.name, layer + 1, n_layers)
        del block
    return x


def _shared(x: Tensor, source: int, world: World) -> Tensor:
    """Return the tensor of rank `source`, on every process."""
    if world.size > 1:
        x = x.contiguous()
        dist.broadcast(x, source)
    return x


def _largest(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> float:
    """Return the largest difference of two models' logits. Raises LlamaError where it is too large."""
    largest = 0.0
    for expected, found in zip(ours, theirs, strict=True):
        difference = float((found - expected).abs().max())
        if not difference <= TOLERANCE:
            raise LlamaError(
                f"the export differs from our model by {difference:.3g} in a logit: it was not committed"
            )
        largest = max(largest, difference)
    return largest


class _Ours:
    """Our model, with its weights rounded as those of the export are."""

    name = "our blocks"

    def __init__(self, weights: Weights, dtype: torch.dtype, device: torch.device):
        self._weights, self._dtype, self._device = weights, dtype, device

    def embed(self, tokens: Tensor) -> Tensor:
        return _rows(self._pieces(EMBEDDINGS), tokens).to(self._device)

    def block(self, layer: int) -> Callable[[Tensor], Tensor]:
        model = self._weights.model
        with torch.device("meta"):
            block = Block(model, layer)
        start = f"layers.{layer}."
        state = {name: torch.cat(list(self._pieces(start + name))) for name in block.state_dict()}
        block.load_state_dict(state, assign=True)
        block.to(self._device)

        def run(x: Tensor) -> Tensor:
            positions = torch.arange(x.shape[1], device=x.device)
            return block(x, rotation(positions, model.head_dim, model.rope_theta), None, "sdpa", None)

        return run

    def logits(self, x: Tensor) -> Iterator[Tensor]:
        norm = RMSNorm(self._weights.model.dim, self._weights.model.norm_eps)
        norm.weight.data = torch.cat(list(self._pieces(NORM)))
        return _logits(norm.to(self._device), x, self._pieces(OUTPUT))

    def _pieces(self, name: str) -> Iterator[Tensor]:
        return (piece.float() for piece in pieces(self._weights, name, self._dtype))


class _Theirs:
    """The export, as the modules of transformers compute it. Its tensors are taken as they are stored."""

    name = "blocks of the export"

    def __init__(self, folder: Folder, device: torch.device):
        from transformers.models.llama import modeling_llama as llama

        self._llama = llama
        self._weights, self._device = HuggingFaceWeights(folder), device
        value = json_value(folder.read(CONFIG), folder.store.url_of(CONFIG))
        self._config = llama.LlamaConfig.from_dict(value)
        self._config._attn_implementation = "sdpa"
        self._rotary = llama.LlamaRotaryEmbedding(self._config).to(device)

    def embed(self, tokens: Tensor) -> Tensor:
        return _rows(self._pieces(EMBEDDINGS), tokens).to(self._device)

    def block(self, layer: int) -> Callable[[Tensor], Tensor]:
        with torch.device("meta"):
            block = self._llama.LlamaDecoderLayer(self._config, layer)
        inside = {theirs: f"layers.{layer}.{ours}" for ours, theirs in names.BLOCK.items()}
        block.load_state_dict(
            {theirs: torch.cat(list(self._pieces(name))) for theirs, name in inside.items()}, assign=True
        )
        block.to(self._device).eval()

        def run(x: Tensor) -> Tensor:
            positions = torch.arange(x.shape[1], device=x.device)[None]
            return block(x, position_ids=positions, position_embeddings=self._rotary(x, positions))

        return run

    def logits(self, x: Tensor) -> Iterator[Tensor]:
        norm = self._llama.LlamaRMSNorm(self._config.hidden_size, eps=self._config.rms_norm_eps)
        norm.weight.data = torch.cat(list(self._pieces(NORM)))
        return _logits(norm.to(self._device), x, self._pieces(OUTPUT))

    def _pieces(self, name: str) -> Iterator[Tensor]:
        return (piece.float() for piece in self._weights.stored(name))


def _rows(parts: Iterable[Tensor], tokens: Tensor) -> Tensor:
    """Return the rows (B, S, dim) that tokens, int64 (B, S), choose of a matrix that comes in parts."""
    found, first = torch.empty(0), 0
    for part in parts:
        if not len(found):
            found = torch.empty(*tokens.shape, part.shape[1])
        here = (tokens >= first) & (tokens < first + len(part))
        found[here] = part[tokens[here] - first]
        first += len(part)
    return found


def _logits(norm: nn.Module, x: Tensor, parts: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the logits (B, S, rows) for each part of the output projection."""
    hidden = norm(x)
    for part in parts:
        yield hidden @ part.to(x.device).T


def _whole(folder: Folder, ours: Weights, dtype: torch.dtype, tokens: Tensor) -> float:
    """Return the largest difference of a logit, where each of the two models is loaded as a whole."""
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    model = Llama(ours.model, ours.vocab_size, attention="sdpa")
    model.load_state_dict({name: ours.read(name).to(dtype).float() for name in ours.names}, assign=True)
    expected = model.eval()(tokens)
    del model
    gc.collect()
    disable_progress_bar()
    with _local(folder) as path:
        found = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)(tokens).logits
    return _largest([expected], [found])


def _check_tokenizer(folder: Folder, ours: Weights) -> None:
    """Check that the exported tokenizer gives our ids. Raises LlamaError."""
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise LlamaError("install 'llama-pretrain[pipeline]': transformers checks the export") from error
    with _local(folder, but=".safetensors") as path:
        fast = AutoTokenizer.from_pretrained(path)
        for text in PROBES:
            mine, theirs = ours.tokenizer.encode(text, bos=True), fast(text)["input_ids"]
            if mine != theirs:
                raise LlamaError(
                    f"the exported tokenizer differs from ours on {text!r}: {theirs}, not {mine}"
                )


@contextmanager
def _local(folder: Folder, but: str | None = None) -> Iterator[Path]:
    """Yield a local folder with the files: their own if the store is local, else a copy.

    `but`: how the names of those end that a copy can do without.
    """
    if folder.store.is_local:
        yield Path(folder.store.path())
        return
    with tempfile.TemporaryDirectory(prefix="llama-export-") as copy:
        for name in folder.manifest or {}:
            if but and name.endswith(but):
                continue
            path = Path(copy) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with folder.store.open(name) as source, path.open("wb") as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
        yield Path(copy)
