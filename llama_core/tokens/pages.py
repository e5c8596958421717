"""Reads ids out of token shards, by pages: checked when they are fetched, kept for the whole node."""

import hashlib
import threading
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter

from llama_core.artifact import Artifact, Shard
from llama_core.errors import DamagedError
from llama_core.objects import Sha256
from llama_core.parse import Text, damaged, shaped
from llama_core.tokens.node_cache import Key, NodeCache
from llama_core.tokens.shards import PAGE_BYTES

KNOWN_SHARDS = 64  # shards of whose objects and digests a process keeps what the index says


class TokenFacts(BaseModel):
    """What the facts of a token shard say."""

    source: Text
    dtype: Literal["uint16", "int32"]
    pages: list[Sha256]


FACTS = TypeAdapter(TokenFacts)


def _facts_of(shard: Shard, url: str) -> TokenFacts:
    """Return the facts of a token shard. Raises DamagedError where they do not fit its ids."""
    what = f"shard {shard.name} of {url}"
    facts, size = shaped(FACTS, shard.facts, what), shard.object(".bin").size
    tokens, rest = divmod(size, np.dtype(facts.dtype).itemsize)
    if rest or shard.counts.get("tokens", tokens) != tokens or len(facts.pages) != -(-size // PAGE_BYTES):
        raise damaged(what, f"{size:,} bytes of ids are not as many tokens and pages as it says")
    return facts


class PageReader:
    """Reads ids of `tokens`. A shard is called by the number of its row in the index.

    `worth`: how dear a page is to the node (see `NodeCache.fetch`). `n_words`: how many rows the model has;
    an id beyond them is damage. What the index says of a shard is read, and checked, with its first page.
    Safe for several threads.
    """

    def __init__(
        self,
        tokens: Artifact,
        cache: NodeCache,
        worth: Callable[[Key], float] = lambda key: 0.0,
        n_words: int | None = None,
    ):
        self._tokens, self._store, self._cache, self._worth = tokens, tokens.store, cache, worth
        self._n_words = n_words
        self._known: dict[int, tuple[Shard, TokenFacts]] = {}
        self._last: tuple[Key | None, bytes] = None, b""
        self._indexing = threading.Lock()

    def read(self, shard: int, start: int, count: int, dtype: np.dtype) -> NDArray[np.int64]:
        """Return the ids [start, start + count), stored as `dtype`, of shard number `shard`: int64 (count,).

        Raises DamagedError.
        """
        first, last = start * dtype.itemsize, (start + count) * dtype.itemsize
        data = b""
        for page in range(first // PAGE_BYTES, (last - 1) // PAGE_BYTES + 1):
            a, z = max(0, first - page * PAGE_BYTES), min(PAGE_BYTES, last - page * PAGE_BYTES)
            found = self._cache.read((shard, page), a, z)
            data += self._whole((shard, page))[a:z] if found is None else found
        return np.frombuffer(data, dtype, count).astype(np.int64)

    def _whole(self, key: Key) -> bytes:
        """Return a page that the node had no room for, and keep it here for the windows that follow."""
        if self._last[0] != key:
            self._last = key, self.fetch(key)
        return self._last[1]

    def fetch(self, key: Key) -> bytes:
        """Return a page, from the store if the node has not got it. Raises DamagedError."""
        data = self._cache.fetch(key, lambda: self._from_store(*key), self._worth)
        assert data is not None
        return data

    def fetch_ahead(self, key: Key) -> None:
        """Fetch a page that is needed later, unless the node has it or has no room. Raises DamagedError."""
        if not self._cache.has(key):
            self._cache.fetch(key, lambda: self._from_store(*key), self._worth, soon=False)

    def _from_store(self, number: int, page: int) -> bytes:
        shard, facts = self._shard(number)
        entry = shard.object(".bin")
        start, end = page * PAGE_BYTES, min((page + 1) * PAGE_BYTES, entry.size)
        url = self._store.url_of(entry.name)
        if start >= end:
            raise damaged(url, f"it has no page {page}, which its shard's tokens reach into")
        try:
            data = self._store.read_range(entry.name, start, end)
        except FileNotFoundError:
            data = b""
        if hashlib.sha256(data).hexdigest() != facts.pages[page]:
            raise DamagedError(
                f"{url} is damaged in page {page} (bytes {start} to {end}): "
                f"they are missing or differ from the manifest. Delete {self._store.url} to make them again."
            )
        ids = np.frombuffer(data, facts.dtype)
        if self._n_words is not None and not 0 <= ids.min() <= ids.max() < self._n_words:
            raise damaged(url, f"page {page} has an id that is no token's")
        return data

    def _shard(self, number: int) -> tuple[Shard, TokenFacts]:
        with self._indexing:
            if number not in self._known:
                shard = self._tokens.shard_at(number)
                while len(self._known) >= KNOWN_SHARDS:
                    del self._known[next(iter(self._known))]
                self._known[number] = shard, _facts_of(shard, self._store.url)
            return self._known[number]
