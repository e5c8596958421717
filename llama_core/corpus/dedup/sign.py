"""The first phase: it reads each text, and writes what the later phases need to know of it instead."""

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from llama_core.corpus.dedup.books import SHINGLES
from llama_core.corpus.dedup.minhash import EMPTY, MinHash, sketches
from llama_core.corpus.dedup.scratch import (
    SAMPLES,
    Scratch,
    Unit,
    bucket_dtype,
    rank_of,
    signed_dtype,
    texts_dtype,
)
from llama_core.corpus.document import Document
from llama_core.corpus.documents import Documents
from llama_core.corpus.partition import Table, partition_of, publish_runs
from llama_core.corpus.split import is_heldout
from llama_core.errors import InputError
from llama_core.step import OpenShard

RATE = 32  # one shingle in so many is in a book's sample: 3,000 of a novel of 100,000 words

_CHARS_AT_ONCE = 1 << 20  # characters of the documents that are signed together


def sign(scratch: Scratch, documents: dict[str, Documents], parts: tuple[int, int], unit: Unit) -> None:
    """Write what is kept of a unit's documents instead of their text, piece by piece.

    Publishes for each piece `signed`, the `samples` of its books, and `texts` and `keys` in partitions by
    hash. `parts`: how many partitions `texts` and `keys` have. Raises DamagedError.
    """
    minhash = MinHash(scratch.cfg.dedup)
    with scratch.shard("sign", unit.index) as out:
        piece = _PieceCollector(out, scratch, parts)
        for place, (source, shard) in enumerate(unit.shards):
            group = documents[source].ingested.shard(shard).facts["group"]
            is_book = scratch.max_overlap(source) is not None
            for some in _in_batches(documents[source].read(shard), piece.most):
                samples = [sample_of(minhash, document.text) for document in some] if is_book else []
                piece.add(place, _signed(scratch, minhash, group, some), samples)
        piece.publish()


class _PieceCollector:
    """Collects signed documents, and publishes them as a piece before they are too many for a later phase."""

    def __init__(self, out: OpenShard, scratch: Scratch, parts: tuple[int, int]):
        out.facts["pieces"] = []
        self._out, self._parts = out, parts
        cfg = scratch.cfg.dedup
        self._bytes, self._dtype = cfg.partition_bytes, signed_dtype(cfg)
        # The most that the phase `buckets` writes of a document.
        self._row_bytes = cfg.bands * bucket_dtype(cfg).itemsize
        self.most = max(1, self._bytes // self._row_bytes)  # documents that may be added at a time
        self._empty()

    def _empty(self) -> None:
        self._tables, self._samples = [np.empty(0, self._dtype)], [np.empty(0, SAMPLES)]
        self._sizes: dict[int, int] = {}  # documents by the place of their ingest shard
        self._held = 0

    def add(self, place: int, signed: Table, samples: list[Table]) -> None:
        """Add documents of the unit's `place`-th ingest shard, and the sample of each if they are books."""
        size = len(signed) * self._row_bytes + sum(map(len, samples)) * SHINGLES.itemsize
        if self._held and self._held + size > self._bytes:
            self.publish()
        for row, sample in enumerate(samples, start=sum(self._sizes.values())):
            sample["row"] = row
        self._tables.append(signed)
        self._samples += samples
        self._sizes[place] = self._sizes.get(place, 0) + len(signed)
        self._held += size

    def publish(self) -> None:
        """Publish the documents that are held as a piece, and begin the next one."""
        out = self._out
        signed, samples = np.concatenate(self._tables), np.concatenate(self._samples)
        places = range(min(self._sizes, default=0), max(self._sizes, default=-1) + 1)
        out.facts["pieces"].append([places.start, [self._sizes.get(place, 0) for place in places]])
        self._empty()
        publish_runs(out, "signed", signed, np.zeros(len(signed), np.int64), 1)
        texts = np.empty(len(signed), texts_dtype())
        for name in texts_dtype().names or ():
            texts[name] = signed[name]
        publish_runs(out, "texts", texts, partition_of(texts["digest"], self._parts[0]), self._parts[0])
        del texts
        keys = keys_of(signed)
        publish_runs(out, "keys", keys, partition_of(keys, self._parts[1]), self._parts[1])
        publish_runs(out, "samples", samples, np.zeros(len(samples), np.int64), 1)


def keys_of(signed: Table) -> Table:
    """Return the band keys of the documents that have words, one document after another: uint64 (keys,)."""
    return signed["keys"][signed["words"]].ravel()


def _in_batches(documents: Iterable[Document], most: int) -> Iterator[list[Document]]:
    """Yield batches of at most `most` documents. A batch ends as soon as it is over `_CHARS_AT_ONCE`."""
    some: list[Document] = []
    chars = 0
    for document in documents:
        some.append(document)
        chars += len(document.text) + 1
        if chars > _CHARS_AT_ONCE or len(some) == most:
            yield some
            some, chars = [], 0
    if some:
        yield some


def _signed(scratch: Scratch, minhash: MinHash, group: str | None, documents: list[Document]) -> Table:
    table = np.empty(len(documents), signed_dtype(scratch.cfg.dedup))
    signatures = minhash.sign([d.text for d in documents])
    table["keys"] = minhash.keys(signatures)
    table["sketch"] = sketches(signatures)
    table["words"] = (signatures != EMPTY).any(axis=1)
    digests = b"".join(hashlib.sha256(d.text.encode()).digest()[:16] for d in documents)
    table["digest"], table["digest_lo"] = np.frombuffer(digests, "<u8").reshape(-1, 2).T
    ids = b"".join(_id_bytes(d.id) for d in documents)
    table["hi"], table["lo"] = np.frombuffer(ids, ">u8").reshape(-1, 2).T
    table["rank"] = [rank_of(is_heldout(group, d.id, scratch.cfg), len(d.text)) for d in documents]
    return table


def _id_bytes(document_id: str) -> bytes:
    try:
        found = bytes.fromhex(document_id)
    except ValueError:
        found = b""
    if len(found) != 16:
        raise InputError(f"{document_id!r} is no id of a document: it has to be 32 hex digits")
    return found


def sample_of(minhash: MinHash, text: str) -> Table:
    """Return the sample of a book: SAMPLES, of which `row` is yet to be set.

    It is the shingles whose hash is small, which are the same share of every book.
    """
    shingles = minhash.shingles(text)
    small = np.unique(shingles[shingles < np.uint64((1 << 64) // RATE)])
    sample = np.zeros(len(small), SAMPLES)
    sample["hash"] = small * np.uint64(RATE)  # spread over 64 bits again
    return sample
