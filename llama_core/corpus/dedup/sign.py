"""The first phase: what dedup needs to know of each document instead of its text."""

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from llama_core.corpus.decisions import Documents
from llama_core.corpus.dedup.minhash import EMPTY, MinHash, sketches
from llama_core.corpus.dedup.scratch import Scratch, Table, Unit, rank_of, signed_dtype, texts_dtype
from llama_core.corpus.document import Document
from llama_core.corpus.partition import partition_of, publish_runs
from llama_core.corpus.split import is_heldout
from llama_core.errors import InputError

SAMPLES = np.dtype([("row", "<u8"), ("hash", "<u8")])  # `row`: within its unit
RATE = 32  # one shingle of so many is in a book's sample: of a novel of 100,000 words, 3,000

_CHARS_AT_ONCE = 1 << 20  # of documents that are signed together


def sign(
    scratch: Scratch, documents: dict[str, Documents], units: list[Unit], parts: tuple[int, int], unit: int
) -> None:
    """Write of a unit's documents: `signed` by ingest shard; `texts` and `keys` by partition of their hashes,
    of which there are `parts`; `samples` of the content of books. Raises DamagedError."""
    minhash = MinHash(scratch.cfg.dedup)
    tables, samples = [np.empty(0, signed_dtype(scratch.cfg.dedup))], [np.empty(0, SAMPLES)]
    begins = []  # of the ingest shards
    at = 0  # documents of the unit so far
    for source, shard in units[unit].shards:
        group = documents[source].ingested.shard(shard).facts["group"]
        is_book = scratch.max_overlap(source) is not None
        begins.append(at)
        for some in _in_batches(documents[source].read(shard)):
            tables.append(_signed(scratch, minhash, group, some))
            if is_book:
                samples += [_sample_of(minhash, d.text, at + i) for i, d in enumerate(some)]
            at += len(some)
    whole = np.concatenate(tables)
    del tables
    texts = np.empty(len(whole), texts_dtype())
    for name in texts_dtype().names or ():
        texts[name] = whole[name]
    with scratch.shard("sign", unit) as out:
        out.facts["documents"] = len(whole)
        shards = np.repeat(np.arange(len(begins)), np.diff([*begins, at]))
        publish_runs(out, "signed", whole, shards, max(len(u.shards) for u in units))
        publish_runs(out, "texts", texts, partition_of(texts["digest"], parts[0]), parts[0])
        keys = keys_of(whole)
        publish_runs(out, "keys", keys, partition_of(keys, parts[1]), parts[1])
        sampled = np.concatenate(samples)
        publish_runs(out, "samples", sampled, np.zeros(len(sampled), np.int64), 1)


def keys_of(signed: Table) -> Table:
    """uint64: the band keys of the documents that have words, one document after another."""
    return signed["keys"][signed["words"]].ravel()


def _in_batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents of `_CHARS_AT_ONCE`, and one more, however long it is."""
    some: list[Document] = []
    chars = 0
    for document in documents:
        some.append(document)
        chars += len(document.text) + 1
        if chars > _CHARS_AT_ONCE:
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


def _sample_of(minhash: MinHash, text: str, row: int) -> Table:
    """The shingles of a book whose hash is small: the same share of every book's."""
    shingles = minhash.shingles(text)
    small = np.unique(shingles[shingles < np.uint64((1 << 64) // RATE)])
    sample = np.empty(len(small), SAMPLES)
    sample["row"], sample["hash"] = row, small * np.uint64(RATE)  # spread over 64 bits again
    return sample
