"""An index of the evaluation sets, which finds the passages that a text shares a run of words with."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from llama_core.artifact import Shard
from llama_core.corpus.decontaminate.evaluation_sets import Passage
from llama_core.corpus.decontaminate.word_runs import (
    BLOCK_CHARS,
    Hashes,
    WordRuns,
    break_hash,
    joined,
    plain,
    runs,
    words_of,
)
from llama_core.corpus.document import RowWriter
from llama_core.corpus.table import read_table
from llama_core.parse import npy_column
from llama_core.step import OpenShard
from llama_core.store import Store

RUNS, PASSAGES = "runs.npy", "passages.parquet"
FILTER_BITS = 32  # bits of the bitmap for each run, so that one look-up of 32 passes by chance
SPANS = 1000  # spans that are found in one text, so that one quoting a whole evaluation set costs no more
COUNTED = ("items", "unchecked_items", "passages", "short_passages")

_RUN = np.dtype([("hash", "<u8"), ("passage", "<i4"), ("start", "<u4"), ("end", "<u4")])
_PASSAGE = pa.schema([(f.name, pa.int64() if f.type is int else pa.string()) for f in fields(Passage)])

_PLACE = attrgetter(*_PASSAGE.names[:-1])


@dataclass(slots=True)
class Span:
    """Characters [start, end) of a plain text that are in a passage too."""

    passage: int
    """The number of the passage in the index."""
    start: int
    end: int
    runs: int = 1
    """How many runs of words the span holds."""


class Index:
    """The runs of n words in the evaluation sets, each with the first passage that holds it.

    A run counts only if at least half of its words differ from one another and are not numbers, because
    numbers in sequence are in every corpus.
    """

    def __init__(self, n: int, table: NDArray[Any], passages: pa.Table):
        self.n, self._table, self._passages = n, table, passages
        self._hashes: Hashes = np.ascontiguousarray(table["hash"])
        bits = min(33, max(16, (FILTER_BITS * len(table)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._filter = np.zeros(1 << (bits - 3), np.uint8)
        at = self._hashes >> self._shift
        np.bitwise_or.at(self._filter, at >> np.uint64(3), _bit(at))

    def __len__(self) -> int:
        return len(self._table)

    def passage(self, number: int) -> Passage:
        """Return the passage of a number, with its text as it is compared: plain (see `word_runs.plain`)."""
        [row] = self._passages.slice(number, 1).to_pylist()
        return Passage(**row)

    def find(self, texts: list[str]) -> list[list[Span]]:
        """Return the spans of each plain text that are in a passage, in order, at most SPANS for a text."""
        whole, begins = joined(texts)
        found: list[list[Span]] = [[] for _ in texts]
        for piece in runs(whole, self.n):
            for run, row in self._candidates(piece):
                start, end = int(piece.starts[run]), int(piece.ends[run + self.n - 1])
                text = int(np.searchsorted(begins, start, "right")) - 1
                entry = self._table[row]
                if len(found[text]) < SPANS and words_of(whole[start:end]) == self._words(entry):
                    offset = int(begins[text])
                    _extend(found[text], Span(int(entry["passage"]), start - offset, end - offset))
        return found

    def _candidates(self, piece: WordRuns) -> Iterator[tuple[int, int]]:
        """Yield the numbers of a run of the piece and of a row of the table whose hashes are equal."""
        if not len(self._table):
            return
        at = piece.hashes >> self._shift
        likely = np.flatnonzero(self._filter[at >> np.uint64(3)] & _bit(at))
        hashes = piece.hashes[likely]
        rows = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        equal = self._hashes[rows] == hashes
        yield from zip(likely[equal].tolist(), rows[equal].tolist(), strict=True)

    def _words(self, entry: Any) -> list[str]:
        """Return the words of the run in a row of the table."""
        text = self._passages["text"][int(entry["passage"])].as_py()
        return words_of(text[entry["start"] : entry["end"]])


def _bit(at: Hashes) -> NDArray[np.uint8]:
    """Return the byte in which only the bit of each place in the bitmap is set."""
    return np.left_shift(np.uint8(1), (at & np.uint64(7)).astype(np.uint8))


def _extend(spans: list[Span], new: Span) -> None:
    """Add a run to the spans of a text: it lengthens the last span if it overlaps it in the same passage."""
    if spans and spans[-1].passage == new.passage and new.start < spans[-1].end:
        spans[-1].end = new.end
        spans[-1].runs += 1
    else:
        spans.append(new)


def write_index(out: OpenShard, passages: Iterable[Passage], n: int) -> None:
    """Publish the index of these passages as objects of a shard, with counts by evaluation set.

    A passage of fewer than n words is not in the index: it is counted under `short_passages`, and an item
    that has no longer one under `unchecked_items`.
    """
    tables: list[NDArray[Any]] = []
    batch: list[str] = []
    first = number = size = 0
    counts: dict[str, Counter[str]] = {}
    with out.publish(f"{out.name}/{PASSAGES}") as writer, RowWriter(writer, _PASSAGE) as rows:
        for _, item in groupby(passages, key=lambda p: (p.file, p.item)):
            checked = 0
            for passage in item:
                text = plain(passage.text)
                if passage.benchmark not in counts:
                    counts[passage.benchmark] = Counter(dict.fromkeys(COUNTED, 0))
                count = counts[passage.benchmark]
                if len(words_of(text)) < n:
                    count["short_passages"] += 1
                    continue
                checked += 1
                rows.append((*_PLACE(passage), text))
                batch.append(text)
                number, size = number + 1, size + len(text)
                if size >= BLOCK_CHARS:
                    tables.append(_runs_of(batch, first, n))
                    batch, first, size = [], number, 0
            count["items"] += 1
            count["passages"] += checked
            if not checked:
                count["unchecked_items"] += 1
    tables.append(_runs_of(batch, first, n))
    table = np.concatenate(tables)
    table = table[np.unique(table["hash"], return_index=True)[1]]
    file = io.BytesIO()
    np.save(file, table, allow_pickle=False)
    out.publish_bytes(f"{out.name}/{RUNS}", file.getvalue())
    out.facts["benchmarks"] = {name: dict(count) for name, count in sorted(counts.items())}
    out.counts["runs"] = len(table)


def read_index(store: Store, shard: Shard, n: int) -> Index:
    """Return the index of runs of n words that `write_index` published. Raises DamagedError."""
    runs_object, passages_object = shard.object(f"/{RUNS}"), shard.object(f"/{PASSAGES}")
    runs_data = store.read(runs_object.name, expect=runs_object)
    table = npy_column(runs_data, store.url_of(runs_object.name), _RUN)
    return Index(n, table, read_table(store, passages_object))


def _runs_of(texts: list[str], first: int, n: int) -> NDArray[Any]:
    """Return the runs of plain texts, the first of which is passage number `first`: _RUN (runs,)."""
    whole, begins = joined(texts)
    tables = [np.empty(0, _RUN)]
    for piece in runs(whole, n):
        counts = np.flatnonzero(_tells(piece, whole, n))
        starts, ends = piece.starts[counts], piece.ends[counts + n - 1]
        text = np.searchsorted(begins, starts, "right") - 1
        table = np.empty(len(counts), _RUN)
        table["hash"], table["passage"] = piece.hashes[counts], first + text
        table["start"], table["end"] = starts - begins[text], ends - begins[text]
        tables.append(table)
    return np.concatenate(tables)


def _tells(piece: WordRuns, whole: str, n: int) -> NDArray[np.bool_]:
    """Tell for each run whether finding it would mean anything: bool (runs,).

    A run across the BREAK between two passages never does.
    """
    bounds = zip(piece.starts.tolist(), piece.ends.tolist(), strict=True)
    is_number = np.array([whole[start:end].isnumeric() for start, end in bounds])
    words = np.sort(sliding_window_view(np.where(is_number, np.uint64(0), piece.words), n), axis=1)
    different = (np.diff(words, axis=1) != 0).sum(axis=1) + (words[:, 0] != 0)
    whole_run = ~(sliding_window_view(piece.words, n) == break_hash()).any(axis=1)
    return whole_run & (2 * different >= n)
