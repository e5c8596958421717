"""The scratch shards of a dedup step, and the rows that move through them.

A document is known by its *row*: its place among all documents, with sources and ingest shards in the order
of their names. What is known of the documents is worked on in these groups:

- A *unit* is some ingest shards next to one another, of about `unit_bytes` of text. The first phase (`sign`)
  has a shard for each unit.
- A *piece* is some documents of a unit next to one another, as many as memory should hold. A phase "by piece"
  has a shard for each piece, and publishes what the next phase needs in partitions.
- A *partition* is everything, from all pieces, whose keys are in the same range of hashes (of texts, bands or
  rows). A phase "by partition" has a shard for each; if it has answers about documents, it publishes them by
  piece.
- A *run* is what belongs to one partition (or, of answers, to one piece) in one object that a shard has
  published. The shard of a later phase reads its run out of every such object.

How the documents are grouped changes no result. It is part of the names of the scratch shards, so that a step
that is resumed with another grouping makes them anew.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from llama_core.artifact import Shard, digest_of
from llama_core.corpus.documents import Documents
from llama_core.corpus.partition import FORMAT, KeyRuns, Partition, Table, as_asked, partition_of, read_run
from llama_core.corpus.recipe import Corpus, Dedup
from llama_core.phases import Phase
from llama_core.step import OpenShard, Step

T = TypeVar("T")

ID = [("hi", "<u8"), ("lo", "<u8")]  # the 32 hex digits of a document's id
KEPT = [("kept_hi", "<u8"), ("kept_lo", "<u8")]  # the id of the document that stays in the place of another
HELDOUT = np.uint64(1 << 63)  # the bit of a rank that marks a held-out document
# The shingles of books that stand for them. `row`: the book's place in its piece.
SAMPLES = np.dtype([("row", "<u8"), ("hash", "<u8")])


def texts_dtype() -> np.dtype[Any]:
    """Return the dtype of the rows by which equal texts are found.

    Of equal texts the one of the smallest (rank, hi, lo) stays: see `rank_of`.
    """
    return np.dtype([("digest", "<u8"), ("digest_lo", "<u8"), ("rank", "<u8"), *ID])


def signed_dtype(cfg: Dedup) -> np.dtype[Any]:
    """Return the dtype of what a piece keeps of a document instead of its text.

    `words` is false for a document without words, which is in no bucket.
    """
    keys = ("keys", "<u8", (cfg.bands,))
    digest = [("digest", "<u8"), ("digest_lo", "<u8")]
    return np.dtype([*ID, ("rank", "<u8"), *digest, ("words", "?"), keys, _sketch(cfg)])


def copies_dtype() -> np.dtype[Any]:
    """Return the dtype of the answer about a document's equal texts.

    `copies`: how many there are, the document included; 0 if it gives way to the one of the id `kept_hi`,
    `kept_lo`. `heldout`: whether the one that stays is held out.
    """
    return np.dtype([("copies", "<u8"), ("heldout", "?"), *KEPT])


def bucket_dtype(cfg: Dedup) -> np.dtype[Any]:
    """Return the dtype of a text in a bucket, of which `key` is the band key."""
    return np.dtype([("key", "<u8"), ("row", "<u8"), _sketch(cfg)])


def edge_dtype() -> np.dtype[Any]:
    """Return the dtype of a link between two rows, which is kept in the partition of `node`.

    A link that is kept by both its ends is there twice, once in each direction.
    """
    return np.dtype([("node", "<u8"), ("other", "<u8")])


def member_dtype(cfg: Dedup) -> np.dtype[Any]:
    """Return the dtype of a text in a cluster. `label`: the smallest row of the cluster, which names it."""
    return np.dtype([("label", "<u8"), ("row", "<u8"), ("rank", "<u8"), *ID, ("copies", "<u8"), _sketch(cfg)])


def near_dtype() -> np.dtype[Any]:
    """Return the dtype of the answer about a text in a cluster.

    `cluster`: how many documents the cluster has, copies included; 0 if this one gives way to the one in
    `kept_row`. `heldout`: whether the one that stays is held out. `similarity`: to the one that stays.
    """
    kept = [*KEPT, ("kept_row", "<u8"), ("similarity", "<f8")]
    return np.dtype([("row", "<u8"), ("cluster", "<u8"), ("heldout", "?"), *kept])


def _sketch(cfg: Dedup) -> tuple[str, str, tuple[int]]:
    return ("sketch", "<u8", (-(-cfg.bands * cfg.rows // 16),))


def rank_of(heldout: bool, chars: int) -> int:
    """Return a document's rank. The smallest is the best: training before held-out, then the longer text."""
    return (int(heldout) << 63) | ((1 << 62) - chars)


@dataclass(frozen=True)
class Unit:
    """Ingest shards, next to one another, that are signed together."""

    index: int  # its place among all units
    shards: tuple[tuple[str, str], ...]  # (source, ingest shard)


def units_of(documents: dict[str, Documents], unit_bytes: int) -> list[Unit]:
    """Divide all ingest shards, in the order of their names, into units of at least `unit_bytes` of text.

    The last unit may have less.
    """
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
    """The scratch shards of a step under one grouping of its documents. It is pickled for the workers."""

    step: Step
    cfg: Corpus
    layout: str

    @classmethod
    def of(cls, step: Step, cfg: Corpus, units: list[Unit]) -> "Scratch":
        """Return the scratch shards of a step whose documents are in these units."""
        layout = digest_of([FORMAT, [u.shards for u in units], cfg.dedup.partition_bytes])
        return cls(step, cfg, layout[:8])

    def max_overlap(self, source: str) -> float | None:
        """Return the share of a book of this source that may be in another book; None if it has no books."""
        return getattr(self.cfg.sources[source], "max_overlap", None)

    def phase(self, name: str, arguments: Sequence[T], work: Callable[[T], None]) -> Phase:
        """Return a phase with a scratch shard for each argument, named by its place among them."""
        return Phase(name, {self._name(name, i): a for i, a in enumerate(arguments)}, work)

    @contextlib.contextmanager
    def shard(self, phase: str, index: int) -> Iterator[OpenShard]:
        """Write a scratch shard of a phase, and commit it at the end of the block."""
        with self.step.shard(self._name(phase, index)) as out:
            yield out

    def committed(self, phase: str, count: int) -> Iterator[Shard]:
        """Yield the shards of a finished phase in order. There may be too many to hold all in memory."""
        return self.step.each_committed(self._name(phase, i) for i in range(count))

    def runs(self, phase: str, count: int, name: str, dtype: np.dtype[Any]) -> KeyRuns:
        """Return the runs that the shards of a finished phase have published under a name.

        Raises DamagedError.
        """
        return KeyRuns.of(self.step, self.committed(phase, count), name, dtype)

    def own(
        self, phase: str, index: int, name: str, dtype: np.dtype[Any], number: int = 0, partition: int = 0
    ) -> Table:
        """Read one run of one scratch shard, from the `number`-th object of a name. Raises DamagedError."""
        [shard] = self.step.committed_shards([self._name(phase, index)])
        return read_run(self.step.folder, shard, name, number, partition, dtype)

    def signed(self, piece: "Piece") -> Table:
        """Read what is kept of a piece's documents, in order: `signed_dtype`. Raises DamagedError."""
        return self.own("sign", piece.unit.index, "signed", signed_dtype(self.cfg.dedup), piece.number)

    def _name(self, phase: str, index: int) -> str:
        return f"_{self.layout}.{phase}.{index:06d}"


@dataclass(frozen=True)
class Piece:
    """Documents of a unit, next to one another, that are held in memory together."""

    index: int  # its place among all pieces
    start: int  # the row of its first document
    unit: Unit
    number: int  # its place among the pieces of its unit
    first: int  # the place in the unit of the first of its ingest shards
    sizes: tuple[int, ...]  # how many documents are from each of its ingest shards

    @property
    def shards(self) -> tuple[tuple[str, str], ...]:
        """The ingest shards that its documents are from, as (source, ingest shard)."""
        return self.unit.shards[self.first : self.first + len(self.sizes)]

    @property
    def rows(self) -> npt.NDArray[np.uint64]:
        """The rows of its documents: uint64 (documents,)."""
        return np.arange(self.start, self.start + sum(self.sizes), dtype=np.uint64)

    @property
    def shard_of(self) -> Partition:
        """The ingest shard that each document is from, by its place in `shards`: int64 (documents,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def within(self, rows: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Return the places of rows in this piece: int64 (rows,)."""
        return rows.astype(np.int64) - self.start


def pieces_of(units: Sequence[Unit], signed: Iterable[Shard]) -> list[Piece]:
    """Return the pieces that the units were divided into. `signed`: the shard of `sign` for each unit."""
    pieces: list[Piece] = []
    start = 0
    for unit, shard in zip(units, signed, strict=True):
        for number, (first, sizes) in enumerate(shard.facts["pieces"]):
            pieces.append(Piece(len(pieces), start, unit, number, first, tuple(sizes)))
            start += sum(sizes)
    return pieces


@dataclass(frozen=True)
class RowLayout:
    """How rows are divided into pieces and partitions, which is known when all documents are signed."""

    starts: npt.NDArray[np.int64]  # (pieces,): the first row of each piece
    n_texts: int  # partitions of equal texts
    n_keys: int  # partitions of band keys

    @property
    def pieces(self) -> int:
        """The number of pieces."""
        return len(self.starts)

    def piece_of(self, rows: npt.NDArray[np.uint64]) -> Partition:
        """Return the index of each row's piece: int64 (rows,).

        It is the last one that begins at or before the row, because those before it may have no documents.
        """
        return np.searchsorted(self.starts, rows.astype(np.int64), side="right") - 1

    def copies(self, copies: KeyRuns, signed: Table, piece: int) -> Table:
        """Return the answers about the equal texts of a piece's documents, in order: `copies_dtype`."""
        return as_asked(copies.read(piece), partition_of(signed["digest"], self.n_texts))


def hex_of(hi: int, lo: int) -> str:
    """Return the id of a document as 32 hex digits."""
    return f"{hi:016x}{lo:016x}"
