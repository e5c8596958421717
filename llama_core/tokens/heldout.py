"""Held-out text, and the windows of tokens in which it is scored.

Bits per byte do not depend on the tokenizer, so models with different tokenizers can be compared.
"""

import hashlib
import heapq
import math
from collections.abc import Iterable

from llama_core.artifact import Artifact, Shard
from llama_core.corpus.document import read_documents

HELDOUT = "heldout.parquet"
Pair = tuple[list[int], list[int]]  # ids of a context, and of its continuation
Candidate = tuple[int, str, bytes]  # minus the keyed hash of a document's id, the id, and the text


def candidates(corpus: Artifact, shards: Iterable[str], limit: int) -> list[Candidate]:
    """Return texts held out in these shards, with `limit` bytes together or more, or all if there are fewer.

    They are the documents with the smallest keyed hashes of their ids, in that order and uncut, whatever
    shard they are in. Memory holds little more than `limit` bytes and one document. Raises DamagedError.
    """
    chosen: list[Candidate] = []  # a heap with the largest hash on top
    total = 0
    for name in shards:
        for document in read_documents(corpus, name, HELDOUT):
            text = document.text.encode()
            heapq.heappush(chosen, (-_key(document.id), document.id, text))
            total += len(text)
            while total - len(chosen[0][2]) >= limit:
                total -= len(heapq.heappop(chosen)[2])
    return sorted(chosen, reverse=True)


def cut_texts(texts: list[bytes], limit: int) -> list[str]:
    """Return texts, the last one cut so that they have at most `limit` bytes together."""
    if (over := sum(map(len, texts)) - limit) > 0:
        texts = [*texts[:-1], texts[-1][: len(texts[-1]) - over]]
    return [text.decode(errors="ignore") for text in texts]


def sample_texts(corpus: Artifact, source: str, limit: int) -> list[str]:
    """Return held-out texts of `source`, with `limit` bytes, of the shards whose keyed hashes are smallest.

    So it reads little more than `limit` bytes of a corpus of any size. Raises DamagedError.
    """
    names, total = [], 0
    for shard in sorted(_shards(corpus, source), key=lambda shard: _key(shard.name)):
        names.append(shard.name)
        total += shard.counts.get("bytes.heldout", 0)
        if total >= limit:
            break
    return cut_texts([text for _, _, text in candidates(corpus, names, limit)], limit)


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


def shards_with_text(corpus: Artifact, source: str) -> list[str]:
    """Return the names of a source's shards that have held-out text, in order."""
    return [shard.name for shard in _shards(corpus, source)]


def _shards(corpus: Artifact, source: str) -> list[Shard]:
    """Return the shards of a source that have held-out text."""
    return [
        shard
        for shard in corpus.shards
        if shard.facts["source"] == source and any(o.name.endswith(HELDOUT) for o in shard.objects)
    ]


def _key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, key=b"heldout").digest())
