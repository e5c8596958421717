"""Token shards: a corpus shard as ids, in the Megatron indexed-dataset layout.

    <shard>.bin            ids one after the other, each document as <s> text </s>
    <shard>.idx            where each document starts, as Megatron-LM reads it
    <shard>.histogram.npy  int64 (vocab,): how often each id occurs

The step has two more shards: the sums of these histograms by source (`histograms.py`), and the corpus's
held-out text, by source (`heldout.py`).

The shard's facts hold a sha256 for each page (4 MiB of the .bin, or 1,024 windows of 2,048 ids), so that a
reader can check what it reads without reading the rest.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from llama_core.artifact import Artifact, Shard
from llama_core.corpus.document import batched
from llama_core.corpus.training_text import TrainingText
from llama_core.phases import Phase, Plan
from llama_core.step import Step
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokens import heldout, histograms

REVISION = 3
PAGE_BYTES = 4 << 20
BESIDE = (histograms.HISTOGRAMS, heldout.HELDOUT)  # the shards that are no token shards
BATCH_BYTES = 1 << 20  # characters of text that are encoded at a time, about

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
DTYPE_CODES = {"uint16": 8, "int32": 4}


def dtype_for(n_words: int) -> str:
    """Return the dtype that ids are stored in, for a vocabulary of `n_words`: uint16 or int32."""
    return "uint16" if n_words <= 1 << 16 else "int32"


def plan(step: Step, text: TrainingText, tokenizer: Artifact, shards: Sequence[Shard]) -> Plan:
    """Yield the phases: these corpus shards as token shards, the sums of their histograms, and held-out text.

    The artifact's digest is that of the tokens: the rest says nothing that they or the corpus do not.
    """
    names = [shard.name for shard in shards]
    yield Phase("shards", {n: n for n in names}, partial(tokens_shard, step, text, tokenizer))
    yield from histograms.phases(step, shards)
    yield from heldout.phases(step, text.corpus)
    return {"shards": [*names, *BESIDE], "derived": BESIDE}


def tokens_shard(step: Step, text: TrainingText, tokenizer_artifact: Artifact, shard_name: str) -> None:
    """Encode the training text of one corpus shard, and commit it as a shard of the same name.

    A corpus shard without training documents becomes an empty one. Raises DamagedError.
    """
    tokenizer = Tokenizer.load(tokenizer_artifact)
    source = text.corpus.shard(shard_name)
    dtype = np.dtype(dtype_for(tokenizer.n_words))
    histogram = np.zeros(tokenizer.n_words, np.int64)
    lengths: list[int] = []
    pages = PageDigests()
    with step.shard(shard_name) as shard:
        with shard.publish(f"{shard_name}.bin") as file:
            for texts in _batches(text, source):
                encoded = tokenizer.encode_batch(texts, bos=True, eos=True)
                ids = np.concatenate(encoded)
                histogram += np.bincount(ids, minlength=tokenizer.n_words)
                lengths += map(len, encoded)
                data = ids.astype(dtype).tobytes()
                file.write(data)
                pages.update(data)
                shard.counts["bytes"] += sum(len(text.encode()) for text in texts)
        shard.publish_bytes(f"{shard_name}.idx", index(lengths, dtype.name))
        with shard.publish(f"{shard_name}{histograms.HISTOGRAM}") as file:
            histograms.write(file, histogram)
        shard.counts["documents"] = len(lengths)
        shard.counts["tokens"] = int(histogram.sum())
        shard.counts["bytes"] += 0
        shard.facts = {
            "source": source.facts["source"],
            "dtype": dtype.name,
            "pages": pages.hexdigests(),
        }


def index(lengths: Sequence[int], dtype: str) -> bytes:
    """Return the bytes of the .idx for documents of these lengths (in tokens), each a sequence of its own.

    They are as in `megatron/core/datasets/indexed_dataset.py`: lengths as int32, byte offsets as int64, and
    the number of the sequence that each document starts with, followed by the number of sequences.
    """
    sizes = np.array(lengths, np.int64)
    offsets = (np.cumsum(sizes) - sizes) * np.dtype(dtype).itemsize
    head = MAGIC + struct.pack("<QBQQ", VERSION, DTYPE_CODES[dtype], len(sizes), len(sizes) + 1)
    documents = np.arange(len(sizes) + 1, dtype="<i8")
    return head + sizes.astype("<i4").tobytes() + offsets.astype("<i8").tobytes() + documents.tobytes()


class PageDigests:
    """Takes the sha256 of each page of a stream. The last one may be shorter."""

    def __init__(self) -> None:
        self._digests: list[str] = []
        self._page = hashlib.sha256()
        self._room = PAGE_BYTES

    def update(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        view = memoryview(data)
        while view:
            self._page.update(view[: self._room])
            taken = min(len(view), self._room)
            view, self._room = view[taken:], self._room - taken
            if not self._room:
                self._next()

    def hexdigests(self) -> list[str]:
        """Return the digests of all pages. The stream ends here."""
        if self._room < PAGE_BYTES:
            self._next()
        return self._digests

    def _next(self) -> None:
        self._digests.append(self._page.hexdigest())
        self._page, self._room = hashlib.sha256(), PAGE_BYTES


def _batches(text: TrainingText, shard: Shard) -> Iterator[list[str]]:
    """Yield the training texts of a corpus shard in batches of about BATCH_BYTES, or of one longer text."""
    if shard.counts.get("documents.train"):
        for documents in batched(text.read(shard.name), BATCH_BYTES):
            yield [document.text for document in documents]
