"""The loader: it reads batch n of training from token shards, and n is all of its state.

A rank may ask for any batch, in any order, at any world size; the next one is read in the background.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama_core.artifact import Artifact, Shard, digest_of
from llama_core.parse import damaged, npy_column
from llama_core.recipes import training
from llama_core.tokens import order
from llama_core.tokens.order import Order, n_windows
from llama_core.tokens.shards import PageReader


class Batch(NamedTuple):
    """A rank's part of a batch."""

    tokens: NDArray[np.int64]
    """(B, seq_len + 1)."""
    sources: NDArray[np.int64]
    """(B,): the number of each sequence's source in `Loader.sources`."""


class Loader:
    """Reads batches of `tokens`, mixed by `mixture`. `n_words`: the ids that there are, if they are known.

    Raises RecipeError where a source that has a share has no window.
    """

    def __init__(
        self,
        tokens: Artifact,
        train: training.Train,
        mixture: Mapping[str, float],
        n_words: int | None = None,
    ):
        self._train, self._seq_len = train, train.seq_len
        shards = sorted(tokens.shards, key=lambda shard: shard.name)
        self._reader = PageReader(tokens.store, shards, n_words=n_words)
        self._places = {name: _Places(shards, name, train.seq_len) for name in mixture}
        windows = {name: places.total for name, places in self._places.items()}
        self._order = Order(tokens.digest, mixture, train.seed, windows)
        shares = {name: float(share) for name, share in mixture.items()}
        self.sources = list(self._order.sources)
        """The names of the sources."""
        self.fingerprint = digest_of([order.REVISION, tokens.digest, shares, train.seed, train.seq_len])
        """Equal for loaders whose batch n is the same for every n."""
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._next: tuple[tuple[int, int, int], Future[Batch]] | None = None

    def batch(self, n: int, rank: int = 0, world: int = 1) -> Batch:
        """Return a rank's part of batch `n`, counted from 0: sequences / world of its sequences.

        Raises DamagedError, which names the object and the bytes, and returns nothing of a damaged page.
        """
        asked = (n, rank, world)
        ready, self._next = self._next, None
        future = ready[1] if ready and ready[0] == asked else self._read_soon(*asked)
        batch = future.result()
        self._next = ((n + 1, rank, world), self._read_soon(n + 1, rank, world))
        return batch

    def _read_soon(self, n: int, rank: int, world: int) -> Future[Batch]:
        sequences = self._train.sequences_at(n + 1)
        size, rest = divmod(sequences, world)
        assert not rest, f"{sequences} sequences do not divide over {world} ranks"
        first = self._train.sequences_before(n + 1) + rank * size
        return self._worker.submit(self._sequences, np.arange(first, first + size))

    def _sequences(self, which: NDArray[np.int64]) -> Batch:
        """Return the sequences `which` (N,) of training."""
        source, window = self._order.locate(which)
        shard, start = np.empty_like(which), np.empty_like(which)
        for s, name in enumerate(self._order.sources):
            mine = source == s
            shard[mine], start[mine] = self._places[name].find(window[mine])
        batch = np.empty((len(which), self._seq_len + 1), np.int64)
        for row in np.lexsort((start, shard)):  # in the order of the files: each page is read once
            batch[row] = self._reader.read(shard[row], start[row], self._seq_len + 1)
        return Batch(batch, source)


class _Places:
    """Where the windows of one source are. They are numbered over its shards, in the order of their names."""

    def __init__(self, shards: list[Shard], source: str, seq_len: int):
        self._shards = np.array([i for i, s in enumerate(shards) if s.facts["source"] == source], np.int64)
        counts = [n_windows(shards[i].counts.get("tokens", 0), seq_len) for i in self._shards]
        self._starts = np.cumsum([0, *counts])
        self._seq_len = seq_len
        self.total = int(self._starts[-1])

    def find(self, window: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the shard (N,) of each window (N,), and the number of its first token in there (N,)."""
        place = np.searchsorted(self._starts, window, side="right") - 1
        return self._shards[place], (window - self._starts[place]) * self._seq_len


def unigram(tokens: Artifact, mixture: Mapping[str, float]) -> NDArray[np.float64]:
    """Return log2 of each id's probability in the mixture, with 1 added to every count: float64 (vocab,).

    Raises DamagedError.
    """
    mixed: NDArray[np.float64] | float = 0.0
    words: set[int] = set()
    for source, share in mixture.items():
        counts: NDArray[np.int64] | int = 1
        for shard in (s for s in tokens.shards if s.facts.get("source") == source):
            entry = shard.object(".histogram.npy")
            url = tokens.store.url_of(entry.name)
            found = npy_column(tokens.read(entry), url, np.int64)
            words.add(len(found))
            if len(words) > 1 or (found < 0).any():
                raise damaged(url, "it counts other ids than the rest, or less than nothing")
            counts = counts + found
        mixed = mixed + share * counts / np.sum(counts)
    return np.log2(mixed)
