"""Validation in the loop: bits per byte of held-out text by source, by the passes and the layout that train.

The text is the beginning of that which `evaluate` scores, and it is scored likewise: each token once, after a
BOS, with as much context as the model sees. Nothing that training computes or reads is touched.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from llama_core.artifact import Artifact
from llama_core.errors import LlamaError
from llama_core.recipe import Recipe
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokens.heldout import Pair, bits_per_byte, sources, texts, windows
from llama_core.train.distributed import World
from llama_core.train.metrics.names import VALIDATION
from llama_core.train.parallel.parts import Parts
from llama_core.train.passes import IGNORED, score

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """Held-out text as rows of tokens."""

    tokens: NDArray[np.int64]
    """(R, seq_len + 1), with zeros behind the text."""
    targets: NDArray[np.int64]
    """(R, seq_len): the token after each position, or IGNORED where it is not scored."""
    sources: NDArray[np.int64]
    """(R,): the number of each row's source."""
    n_bytes: dict[str, int]
    """The bytes of text of each source, in the order of their numbers."""


def sample_of(recipe: Recipe, prepared: Artifact, tokenizer: Tokenizer, world: World) -> Sample | None:
    """Return the text that a training is validated on, the same on all processes, which call it together.

    `prepared`: what the tokens step has made. None where the recipe wants no validation; where it wants one
    and no text can be had, the log says so.
    """
    if not recipe.run.validate_every:
        return None

    def read() -> Any:
        try:
            found = _read(recipe, prepared, tokenizer)
        except (LlamaError, FileNotFoundError) as error:  # the training itself does without
            log.warning("no validation, since the held-out text cannot be read: %s", error)
            return None
        if found is None:
            log.warning("no validation, since no text is held out")
            return None
        arrays = (found.tokens, found.targets, found.sources)
        return found.n_bytes, [(a.astype(np.int32).tobytes(), list(a.shape)) for a in arrays]

    said = world.agree(read)  # plain values, as processes tell them one another
    if said is None:
        return None
    n_bytes, arrays = said
    tokens, targets, sources = (
        np.frombuffer(data, np.int32).reshape(shape).astype(np.int64) for data, shape in arrays
    )
    return Sample(tokens, targets, sources, n_bytes)


class Validation:
    """Validates the model that `parts` make up. All processes call each method at the same point."""

    def __init__(self, sample: Sample | None, parts: Parts, recipe: Recipe, bos_id: int):
        if sample is not None and parts.pipeline is not None and not hasattr(parts.pipeline, "score"):
            if parts.mesh.world.rank == 0:
                log.warning("no validation: the pipeline (layout.pp %d) cannot do it yet", parts.mesh.pp)
            sample = None
        self._parts, self._recipe, self._bos_id = parts, recipe, bos_id
        self._sample = _padded(sample, parts.mesh.data_size * recipe.layout.micro_batch) if sample else None

    def due(self, step: int) -> bool:
        """Tell whether the model is validated after `step`: every `run.validate_every` tokens, and last."""
        cfg, every = self._recipe.train, self._recipe.run.validate_every
        if self._sample is None:
            return False
        before, after = cfg.tokens_before(step), cfg.tokens_before(step + 1)
        return step == cfg.steps or before // every < after // every

    def bits_per_byte(self) -> dict[str, float]:
        """Return the bits per byte of each source, by its name as a metric."""
        sample, mesh = self._sample, self._parts.mesh
        assert sample is not None
        count = len(sample.sources) // mesh.data_size
        mine = slice(mesh.data_rank * count, (mesh.data_rank + 1) * count)
        tokens, targets = (torch.from_numpy(a[mine]) for a in (sample.tokens, sample.targets))
        rows = score(self._parts, tokens, targets, self._recipe, self._bos_id).double().cpu().numpy()
        nats = np.bincount(sample.sources[mine], rows, len(sample.n_bytes))
        summed = mesh.world.sum(*nats.tolist())
        found = zip(sample.n_bytes.items(), summed)
        return {f"{VALIDATION}{source}": round(bits_per_byte(-s, size), 5) for (source, size), s in found}


def _read(recipe: Recipe, prepared: Artifact, tokenizer: Tokenizer) -> Sample | None:
    seq_len, joined = recipe.train.seq_len, recipe.train.document_mask
    rows: list[tuple[list[int], list[int]]] = []
    numbers: list[int] = []
    n_bytes: dict[str, int] = {}
    for name in (source for source in sources(prepared) if recipe.mixture.get(source, 0) > 0):
        chosen = texts(prepared, name, recipe.run.validate_bytes)
        if size := sum(len(text.encode()) for text in chosen):
            pairs = [pair for t in chosen for pair in windows(tokenizer.encode(t), tokenizer.bos_id, seq_len)]
            found = rows_of(pairs, tokenizer.bos_id, seq_len, joined)
            numbers += [len(n_bytes)] * len(found)
            rows += found
            n_bytes[name] = size
    if not rows:
        return None
    tokens, targets = (np.array(column, np.int64) for column in zip(*rows))
    return Sample(tokens, targets, np.array(numbers, np.int64), n_bytes)


def rows_of(pairs: list[Pair], bos_id: int, seq_len: int, joined: bool) -> list[tuple[list[int], list[int]]]:
    """Return rows of `seq_len` + 1 tokens that hold pairs (context, continuation), with their targets.

    A target (`seq_len` in a row) is IGNORED where it is in no continuation. `joined`: a text may follow
    another one in a row, since attention does not leave a document.
    """
    rows: list[tuple[list[int], list[int]]] = []
    for context, continuation in pairs:
        size = len(context) + len(continuation)
        if not (joined and context[0] == bos_id and rows and len(rows[-1][0]) + size <= seq_len + 1):
            rows.append(([], []))
        tokens, scored = rows[-1]
        tokens += context + continuation
        scored += [IGNORED] * len(context) + continuation
    rest = [seq_len + 1 - len(tokens) for tokens, _ in rows]
    return [(t + [0] * n, (s + [IGNORED] * n)[1:]) for (t, s), n in zip(rows, rest)]


def _padded(sample: Sample, multiple: int) -> Sample:
    """Return the sample with rows of nothing behind it, as many as make a multiple."""
    more = -len(sample.sources) % multiple
    return Sample(
        np.pad(sample.tokens, ((0, more), (0, 0))),
        np.pad(sample.targets, ((0, more), (0, 0)), constant_values=IGNORED),
        np.pad(sample.sources, (0, more)),
        sample.n_bytes,
    )
