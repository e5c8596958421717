"""Where the windows of every source are, in some twenty bytes a shard: what is needed to find a window.

A window of a source is numbered over its shards, in the order of their names. The rest of what is known of a
shard (its objects, the digests of its pages) stays in the index until a page of it is fetched.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from llama_core.artifact import Artifact
from llama_core.parse import damaged
from llama_core.tokens.order import n_windows
from llama_core.tokens.shards import BESIDE, PAGE_BYTES

DTYPES: tuple[np.dtype, ...] = (np.dtype("uint16"), np.dtype("int32"))
_NUMBERS = {dtype.name: n for n, dtype in enumerate(DTYPES)}

Ints = NDArray[np.int64]


class Places:
    """Finds the windows of `sources` in `tokens`. A shard is called by the number of its row in the index.

    Raises DamagedError where a shard does not tell its source, its tokens and the width of its ids.
    """

    def __init__(self, tokens: Artifact, sources: Collection[str], seq_len: int):
        self._seq_len = seq_len
        rows: dict[str, list[int]] = {name: [] for name in sources}
        windows: dict[str, list[int]] = {name: [] for name in sources}
        numbers = bytearray()
        for row, (name, counts, facts) in enumerate(tokens.rows()):
            if name in BESIDE:  # no token shard, but it has a row
                numbers.append(0)
                continue
            if "source" not in facts or str(facts.get("dtype")) not in _NUMBERS:
                raise damaged(f"shard {name} of {tokens.url}", "it tells no source, or no dtype of its ids")
            numbers.append(_NUMBERS[facts["dtype"]])
            if facts["source"] in rows:
                rows[facts["source"]].append(row)
                windows[facts["source"]].append(n_windows(counts.get("tokens", 0), seq_len))
        self._dtypes = np.frombuffer(numbers, np.uint8)
        self._rows = {name: np.array(of, np.int64) for name, of in rows.items()}
        self._starts = {name: np.cumsum([0, *of], dtype=np.int64) for name, of in windows.items()}

    def windows(self) -> dict[str, int]:
        """Return the number of windows of each source."""
        return {name: int(starts[-1]) for name, starts in self._starts.items()}

    def find(self, source: str, window: Ints) -> tuple[Ints, Ints]:
        """Return the shard of each window (N,) of a source, and the number of its first token there (N,)."""
        starts = self._starts[source]
        place = np.searchsorted(starts, window, side="right") - 1
        return self._rows[source][place], (window - starts[place]) * self._seq_len

    def dtype(self, shard: int) -> np.dtype:
        """Return what the ids of a shard are stored as."""
        return DTYPES[self._dtypes[shard]]

    def pages(self, shard: Ints, start: Ints) -> set[tuple[int, int]]:
        """Return the pages (shard, number of the page) in which the windows at these places lie."""
        width = np.array([dtype.itemsize for dtype in DTYPES], np.int64)[self._dtypes[shard]]
        first = start * width // PAGE_BYTES
        last = ((start + self._seq_len + 1) * width - 1) // PAGE_BYTES
        pages: set[tuple[int, int]] = set()
        for s, a, z in zip(shard.tolist(), first.tolist(), last.tolist(), strict=True):
            pages.update((s, page) for page in range(a, z + 1))
        return pages
