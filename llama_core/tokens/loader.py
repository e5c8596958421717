"""The loader: it reads batch n of training from token shards, and n is all of its state.

A rank may ask for any batch, in any order, at any world size. Which sequences a batch has does not depend on
the world; which rank takes which of them does: they are dealt out in the order of the pages that they lie in,
so that a page is read by the few nodes that take its windows and not by all (`benchmarks/results/order.txt`).
The next batch is read in the background, and the pages of the batches after it are fetched ahead.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama_core.artifact import Artifact, digest_of
from llama_core.errors import LlamaError
from llama_core.recipes import training
from llama_core.tokens import order
from llama_core.tokens.node_cache import Key, NodeCache
from llama_core.tokens.order import Order
from llama_core.tokens.pages import PageReader
from llama_core.tokens.places import Places

AHEAD = 16  # batches whose pages are known and fetched ahead; what is needed last among them makes room first
FETCHES = 4  # pages that a process fetches at a time
FETCHED_AHEAD = 64  # pages that a process fetches ahead in the time of a batch, at most


class Batch(NamedTuple):
    """A rank's part of a batch."""

    tokens: NDArray[np.int64]
    """(B, seq_len + 1)."""
    sources: NDArray[np.int64]
    """(B,): the number of each sequence's source in `Loader.sources`."""
    numbers: NDArray[np.int64]
    """(B,): the number of each sequence among all of the training, from 0."""


class Loader:
    """Reads batches of `tokens`, mixed by `mixture`. `n_words`: the ids that there are, if they are known.

    `node`: the data ranks of the processes on this node, if there are others than this one: their pages are
    fetched ahead and kept by all of them together. `cache`: where the node keeps pages.
    Raises RecipeError where a source that has a share has no window, DamagedError and StoreError.
    """

    def __init__(
        self,
        tokens: Artifact,
        train: training.Train,
        mixture: Mapping[str, float],
        n_words: int | None = None,
        node: Collection[int] = (),
        cache: NodeCache | None = None,
    ):
        self._train, self._seq_len, self._node = train, train.seq_len, node
        self._places = Places(tokens, mixture, train.seq_len)
        self._order = Order(tokens.digest, mixture, train.seed, self._places.windows())
        shares = {name: float(share) for name, share in mixture.items()}
        self.sources = list(self._order.sources)
        """The names of the sources."""
        self.fingerprint = digest_of([order.REVISION, tokens.digest, shares, train.seed, train.seq_len])
        """Equal for loaders whose batch n is the same for every n."""
        self._cache = cache or NodeCache(digest_of([tokens.url, tokens.digest, n_words])[:16])
        self._plan = _Plan()
        self._reader = PageReader(tokens, self._cache, self._plan.worth, n_words)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._fetchers = ThreadPoolExecutor(FETCHES, thread_name_prefix="pages")
        self._ahead = ThreadPoolExecutor(FETCHES // 2, thread_name_prefix="pages-ahead")
        self._fetching: dict[Key, Future[None]] = {}
        self._next: tuple[tuple[int, int, int], Future[Batch]] | None = None

    @property
    def fetched_pages(self) -> int:
        """How many pages this process has fetched from the store."""
        return self._cache.fetched

    def batch(self, n: int, rank: int = 0, world: int = 1) -> Batch:
        """Return a rank's part of batch `n`, counted from 0: sequences / world of its sequences.

        They are in the order of training. Raises DamagedError, which names the object and the bytes, and
        returns nothing of a damaged page.
        """
        asked = (n, rank, world)
        ready, self._next = self._next, None
        future = ready[1] if ready and ready[0] == asked else self._read_soon(*asked)
        batch = future.result()
        self._next = ((n + 1, rank, world), self._read_soon(n + 1, rank, world))
        return batch

    def close(self) -> None:
        """Stop reading ahead, and leave the node's cache. Nothing may be read after that."""
        for pool in (self._worker, self._ahead, self._fetchers):
            pool.shutdown(cancel_futures=True)
        self._cache.close()

    def _read_soon(self, n: int, rank: int, world: int) -> Future[Batch]:
        sequences = self._train.sequences_at(n + 1)
        assert not sequences % world, f"{sequences} sequences do not divide over {world} ranks"
        return self._worker.submit(self._read, n, rank, world)

    def _read(self, n: int, rank: int, world: int) -> Batch:
        ranks = {rank, *self._node}
        self._plan.turn_to(n, (rank, world))
        self._plan.expect(n, lambda: self._pages(n, ranks, world))
        source, shard, start, numbers = self._part(n, [rank], world)
        list(self._fetchers.map(self._fetch, self._places.pages(shard, start)))
        batch = np.empty((len(shard), self._seq_len + 1), np.int64)
        for row in np.lexsort((start, shard)):  # in the order of the files
            place = int(shard[row]), int(start[row])
            batch[row] = self._reader.read(*place, self._seq_len + 1, self._places.dtype(place[0]))
        self._fetch_ahead(n, ranks, world)
        return Batch(batch, source, numbers)

    def _part(self, n: int, ranks: Collection[int], world: int) -> tuple[NDArray[np.int64], ...]:
        """Return source, shard, start and number (N,) of those sequences of batch n that go to `ranks`."""
        sequences, first = self._train.sequences_at(n + 1), self._train.sequences_before(n + 1)
        source, window = self._order.locate(np.arange(first, first + sequences))
        shard, start = np.empty_like(window), np.empty_like(window)
        for s, name in enumerate(self._order.sources):
            mine = source == s
            shard[mine], start[mine] = self._places.find(name, window[mine])
        rows = np.sort(deal(source, shard, start, world)[sorted(ranks)].ravel())
        return source[rows], shard[rows], start[rows], first + rows

    def _pages(self, n: int, ranks: Collection[int], world: int) -> set[Key]:
        return self._places.pages(*self._part(n, ranks, world)[1:3])

    def _fetch(self, key: Key) -> None:
        if not self._cache.has(key):
            self._reader.fetch(key)

    def _fetch_ahead(self, n: int, ranks: Collection[int], world: int) -> None:
        """Plan the batches after n, and fetch pages of theirs, those first that are needed first."""
        self._fetching = {key: future for key, future in self._fetching.items() if not future.done()}
        for later in range(n + 1, n + 1 + AHEAD):
            self._plan.expect(later, partial(self._pages, later, ranks, world))
            for key in sorted(self._plan.pages(later)):
                if len(self._fetching) >= FETCHED_AHEAD:
                    return
                if key not in self._fetching and not self._cache.has(key):
                    self._fetching[key] = self._ahead.submit(self._try_fetch, key)

    def _try_fetch(self, key: Key) -> None:
        with contextlib.suppress(LlamaError):  # whoever needs the page is told
            self._reader.fetch_ahead(key)


def deal(
    source: NDArray[np.int64], shard: NDArray[np.int64], start: NDArray[np.int64], world: int
) -> NDArray[np.int64]:
    """Return which sequences of a batch each rank takes: their numbers in it, int64 (world, N / world).

    Each takes equally many, next to one another in the corpus. Batches have the same number of each source,
    and about the same of each page of a group: while a group lasts, a rank takes windows of few pages.
    """
    return np.lexsort((start, shard, source)).reshape(world, -1)


class _Plan:
    """Which pages the node needs for which batch, as far as it is known, and which it needed last."""

    def __init__(self) -> None:
        self._pages: dict[int, set[Key]] = {}
        self._now, self._place = 0, (0, 1)

    def turn_to(self, n: int, place: tuple[int, int]) -> None:
        """Note that the process in `place` (rank, world) reads batch n now."""
        known = {m: of for m, of in self._pages.items() if n - AHEAD <= m <= n + AHEAD}
        self._pages, self._now, self._place = known if place == self._place else {}, n, place

    def expect(self, n: int, find: Callable[[], set[Key]]) -> None:
        """Note the pages of a batch, which `find` returns, unless they are known."""
        if n not in self._pages:
            self._pages = self._pages | {n: find()}  # other threads read it

    def pages(self, n: int) -> set[Key]:
        """Return the pages of a batch that is known."""
        return self._pages[n]

    def worth(self, key: Key) -> float:
        """Return how dear a page is: the more, the sooner it is needed next, or else was needed last.

        What is needed for this batch or was for the last one is dearest: other ranks may still read that one.
        """
        needed = [m for m, pages in self._pages.items() if key in pages]
        later = [m for m in needed if m >= self._now - 1]
        if later:
            return 1e9 - min(later)
        return float(max(needed, default=-1))
