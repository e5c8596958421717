"""The scratch shards of a dedup step, and the rows that move through them.

A document is known by its row: its place among all documents, sources and ingest shards in the order of their
names. Which rows are worked on together (units, pieces, partitions) changes no result: it stands in the
names of the scratch shards, so that a step that is taken up with another layout begins anew.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from llama_core.corpus.decisions import Documents
from llama_core.corpus.partition import FORMAT, Partition, Runs, Table, as_asked, partition_of, read_run
from llama_core.corpus.recipe import Corpus, Dedup
from llama_core.phases import Phase
from llama_core.step import OpenShard, Shard, Step, digest_of

T = TypeVar("T")

ID = [("hi", "<u8"), ("lo", "<u8")]  # the 32 hex digits of a document's id
KEPT = [("kept_hi", "<u8"), ("kept_lo", "<u8")]
HELDOUT = np.uint64(1 << 63)  # of a rank
SAMPLES = np.dtype([("row", "<u8"), ("hash", "<u8")])  # of books; `row`: within its piece


def texts_dtype() -> np.dtype[Any]:
    """What equal texts are found by. The smallest (rank, hi, lo) stays: see `rank_of`."""
    return np.dtype([("digest", "<u8"), ("digest_lo", "<u8"), ("rank", "<u8"), *ID])


def signed_dtype(cfg: Dedup) -> np.dtype[Any]:
    """A document as its piece remembers it. `words` is false where it has none, and so no buckets."""
    keys = ("keys", "<u8", (cfg.bands,))
    digest = [("digest", "<u8"), ("digest_lo", "<u8")]
    return np.dtype([*ID, ("rank", "<u8"), *digest, ("words", "?"), keys, _sketch(cfg)])


def copies_dtype() -> np.dtype[Any]:
    """The answer about equal texts. `copies`: how many there are; 0 for one that gave way to `kept`."""
    return np.dtype([("copies", "<u8"), ("heldout", "?"), *KEPT])


def bucket_dtype(cfg: Dedup) -> np.dtype[Any]:
    return np.dtype([("key", "<u8"), ("row", "<u8"), _sketch(cfg)])


def edge_dtype() -> np.dtype[Any]:
    """A link of two rows, kept by `node`."""
    return np.dtype([("node", "<u8"), ("other", "<u8")])


def member_dtype(cfg: Dedup) -> np.dtype[Any]:
    """A document of a cluster, which `label` names."""
    return np.dtype([("label", "<u8"), ("row", "<u8"), ("rank", "<u8"), *ID, ("copies", "<u8"), _sketch(cfg)])


def near_dtype() -> np.dtype[Any]:
    """The answer about near texts. `cluster`: its documents, copies counted; 0 for one that gave way."""
    kept = [*KEPT, ("kept_row", "<u8"), ("similarity", "<f8")]
    return np.dtype([("row", "<u8"), ("cluster", "<u8"), ("heldout", "?"), *kept])


def _sketch(cfg: Dedup) -> tuple[str, str, tuple[int]]:
    return ("sketch", "<u8", (-(-cfg.bands * cfg.rows // 16),))


def rank_of(heldout: bool, chars: int) -> int:
    """The smaller, the better: training before held-out, then the longer text."""
    return (int(heldout) << 63) | ((1 << 62) - chars)


@dataclass(frozen=True)
class Unit:
    """Ingest shards, next to one another, that are signed together."""

    index: int
    shards: tuple[tuple[str, str], ...]  # (source, ingest shard)


def units_of(documents: dict[str, Documents], unit_bytes: int) -> list[Unit]:
    """All ingest shards in the order of their names, in units of at least `unit_bytes` of text."""
    units: list[Unit] = []
    shards: list[tuple[str, str]] = []
    size = 0
    for source in sorted(documents):
        for shard in documents[source].shards:
            shards.append((source, shard.name))
            size += shard.counts.get("bytes", 0)
            if size >= unit_bytes:
                units.append(Unit(len(units), tuple(shards)))
                shards, size = [], 0
    if shards:
        units.append(Unit(len(units), tuple(shards)))
    return units


@dataclass(frozen=True)
class Scratch:
    """The scratch shards of one layout of a step; it crosses to the workers."""

    step: Step
    cfg: Corpus
    layout: str

    @classmethod
    def of(cls, step: Step, cfg: Corpus, units: list[Unit]) -> "Scratch":
        layout = digest_of([FORMAT, [u.shards for u in units], cfg.dedup.partition_bytes])
        return cls(step, cfg, layout[:8])

    def max_overlap(self, source: str) -> float | None:
        """Of a source of books; None where whole texts are compared only."""
        return getattr(self.cfg.sources[source], "max_overlap", None)

    def phase(self, label: str, arguments: Sequence[T], work: Callable[[T], None]) -> Phase:
        """A phase of a scratch shard for each argument, named by its place among them."""
        return Phase(label, {self._name(label, i): a for i, a in enumerate(arguments)}, work)

    @contextlib.contextmanager
    def shard(self, label: str, index: int) -> Iterator[OpenShard]:
        with self.step.shard(self._name(label, index)) as out:
            yield out

    def committed(self, label: str, count: int) -> Iterator[Shard]:
        """The shards of a finished phase, by their number; there may be too many to hold."""
        return self.step.each_committed(self._name(label, i) for i in range(count))

    def runs(self, label: str, count: int, name: str, dtype: np.dtype[Any]) -> Runs:
        """What the shards of a finished phase have written under a name, for others to read by partition."""
        return Runs.of(self.step, self.committed(label, count), name, dtype)

    def own(
        self, label: str, index: int, name: str, dtype: np.dtype[Any], number: int = 0, partition: int = 0
    ) -> Table:
        """One run of one scratch shard. Raises DamagedError."""
        [shard] = self.step.committed_shards([self._name(label, index)])
        return read_run(self.step.folder, shard, name, number, partition, dtype)

    def signed(self, piece: "Piece") -> Table:
        """The documents of a piece, in order. Raises DamagedError."""
        return self.own("sign", piece.unit.index, "signed", signed_dtype(self.cfg.dedup), piece.number)

    def _name(self, label: str, index: int) -> str:
        return f"_{self.layout}.{label}.{index:06d}"


@dataclass(frozen=True)
class Piece:
    """Documents of a unit, next to one another, that memory holds at a time."""

    index: int
    start: int  # the row of the first
    unit: Unit
    number: int  # among the pieces of its unit
    first: int  # the place in the unit of the first of its ingest shards
    sizes: tuple[int, ...]  # documents by ingest shard

    @property
    def shards(self) -> tuple[tuple[str, str], ...]:
        """(source, ingest shard) of each of `sizes`."""
        return self.unit.shards[self.first : self.first + len(self.sizes)]

    @property
    def rows(self) -> npt.NDArray[np.uint64]:
        return np.arange(self.start, self.start + sum(self.sizes), dtype=np.uint64)

    @property
    def shard_of(self) -> Partition:
        """The ingest shard that each document is in, by its place among `shards`."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def within(self, rows: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """The place of rows in the piece."""
        return rows.astype(np.int64) - self.start


def pieces_of(units: Sequence[Unit], signed: Iterable[Shard]) -> list[Piece]:
    """The pieces that the units were `signed` in."""
    pieces: list[Piece] = []
    start = 0
    for unit, shard in zip(units, signed, strict=True):
        for number, (first, sizes) in enumerate(shard.facts["pieces"]):
            pieces.append(Piece(len(pieces), start, unit, number, first, tuple(sizes)))
            start += sum(sizes)
    return pieces


@dataclass(frozen=True)
class RowLayout:
    """Where the rows of the documents lie, known when all are signed."""

    starts: npt.NDArray[np.int64]  # (pieces,): the first row of each piece
    n_texts: int  # partitions of equal texts
    n_keys: int  # partitions of band keys

    @property
    def pieces(self) -> int:
        return len(self.starts)

    def piece_of(self, rows: npt.NDArray[np.uint64]) -> Partition:
        """The last piece that begins at or before a row: pieces without documents hold none."""
        return np.searchsorted(self.starts, rows.astype(np.int64), side="right") - 1

    def copies(self, copies: Runs, signed: Table, piece: int) -> Table:
        """What was answered about the equal texts of a piece's documents."""
        return as_asked(copies.read(piece), partition_of(signed["digest"], self.n_texts))


def hex_of(hi: int, lo: int) -> str:
    return f"{hi:016x}{lo:016x}"
