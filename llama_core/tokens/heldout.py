"""Held-out text, and the windows of tokens in which it is scored.

Bits per byte do not depend on the tokenizer, so models with different tokenizers can be compared.

The tokens step gathers what can be scored of each source, since its held-out text lies in as many objects as
the corpus has shards. The shard `heldout` has one object for each source, in which the texts stand in the
order in which they are chosen; no token shard is called so, for its name begins with its source and a dot.
"""

import hashlib
import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import pyarrow as pa
from pydantic import TypeAdapter

from llama_core.artifact import Artifact
from llama_core.corpus.document import RowWriter, read_documents
from llama_core.corpus.table import read_groups
from llama_core.parse import Text, shaped
from llama_core.phases import Phase
from llama_core.recipes.evaluation import MOST_HELDOUT
from llama_core.step import OpenShard, Step
from llama_core.tokens import by_source

HELDOUT = "heldout"  # the shard
OBJECT = "heldout.parquet"  # the ending of the object of a corpus shard that has held-out text
BATCH = 500  # corpus shards that a worker chooses from
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string())])
SOURCES = TypeAdapter(list[Text])
Pair = tuple[list[int], list[int]]  # ids of a context, and of its continuation


class Candidate(NamedTuple):
    """A held-out text. The larger of two is chosen first."""

    order: int
    """Minus the keyed hash of its document's id."""
    id: str
    text: str
    size: int
    """The bytes of the text."""


def first(documents: Iterable[tuple[str, str]], limit: int) -> list[Candidate]:
    """Return the first of some documents (id, text), with `limit` bytes of text together or more, or all.

    They are those with the smallest keyed hashes of their ids, in that order and uncut. Memory holds little
    more than `limit` bytes and one document.
    """
    chosen: list[Candidate] = []  # a heap with the largest hash on top
    total = 0
    for id_, text in documents:
        candidate = Candidate(-_key(id_), id_, text, len(text.encode()))
        heapq.heappush(chosen, candidate)
        total += candidate.size
        while total - chosen[0].size >= limit:
            total -= heapq.heappop(chosen).size
    return sorted(chosen, reverse=True)


def phases(step: Step, corpus: Artifact) -> Iterator[Phase]:
    """Yield the phases that gather the held-out text of a corpus: from batches of its shards, then by source.

    The last phase commits HELDOUT.
    """
    with_text = (s for s in corpus.shards if any(entry.name.endswith(OBJECT) for entry in s.objects))
    chosen, of_source = by_source.batches(with_text, HELDOUT, BATCH)
    yield Phase("held-out text", chosen, partial(_batch, step, corpus))
    yield Phase("held-out sources", {HELDOUT: of_source}, partial(_sources, step))


def sources(tokens: Artifact) -> list[str]:
    """Return the names of the sources that have held-out text, sorted. Raises DamagedError."""
    return shaped(SOURCES, tokens.shard(HELDOUT).fact("sources"), f"shard {HELDOUT} of {tokens.url}")


def texts(tokens: Artifact, source: str, limit: int) -> list[str]:
    """Return the first held-out texts of a source, the last one cut so that they have at most `limit` bytes.

    `limit`: at most MOST_HELDOUT. One object is read. Raises DamagedError.
    """
    entry = tokens.shard(HELDOUT).object(f"/{HELDOUT}/{source}.parquet")
    found: list[str] = []
    left = limit
    for group in read_groups(tokens.store, entry, ["text"]):
        for text in group.column("text").to_pylist():
            cut = text.encode()[:left]
            found.append(cut.decode(errors="ignore"))
            left -= len(cut)
            if not left:
                return found
    return found


def windows(tokens: list[int], bos_id: int, seq_len: int) -> list[Pair]:
    """Return pairs (context, continuation) that cover `tokens` once, each of at most seq_len + 1 tokens.

    The last pair reaches back for as much context as the model sees.
    """
    whole = [bos_id, *tokens]
    pairs = []
    for start in range(1, len(whole), seq_len):
        end = min(start + seq_len, len(whole))
        pairs.append((whole[max(0, end - seq_len - 1) : start], whole[start:end]))
    return pairs


def bits_per_byte(loglikelihood: float, n_bytes: int) -> float:
    """Return the bits per UTF-8 byte of a text, from its log-likelihood in nats."""
    return -loglikelihood / (math.log(2) * n_bytes)


def _batch(step: Step, corpus: Artifact, batch: tuple[str, list[str]]) -> None:
    """Choose from corpus shards, and commit what is chosen as a shard that is not part of the artifact."""
    name, shards = batch
    documents = ((d.id, d.text) for shard in shards for d in read_documents(corpus, shard, OBJECT))
    with step.shard(name) as out:
        _write(out, f"{name}.parquet", first(documents, MOST_HELDOUT))


def _sources(step: Step, batches: Mapping[str, list[str]]) -> None:
    """Choose from what was chosen from the batches of each source, and commit the texts."""
    with step.shard(HELDOUT) as out:
        for source, names in batches.items():
            documents = (
                row
                for shard in step.each_committed(names)
                for group in read_groups(step.folder, shard.object(".parquet"))
                for row in zip(*(group.column(name).to_pylist() for name in SCHEMA.names), strict=True)
            )
            _write(out, f"{HELDOUT}/{source}.parquet", first(documents, MOST_HELDOUT))
        out.facts["sources"] = list(batches)


def _write(out: OpenShard, name: str, chosen: Iterable[Candidate]) -> None:
    with out.publish(name) as file, RowWriter(file, SCHEMA) as rows:
        for candidate in chosen:
            rows.append((candidate.id, candidate.text))


def _key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, key=b"heldout").digest())
