"""Bits per byte on held-out documents, and what token frequencies alone would give.

Bits per byte do not depend on the tokenizer, so models with different tokenizers can be compared.
"""

import hashlib
import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama_core.artifact import Artifact
from llama_core.corpus.document import read_documents
from llama_core.evaluate.score import Scorer, bits_per_byte
from llama_core.tokenizer.model import Tokenizer

HELDOUT = "heldout.parquet"


def heldout(
    scorer: Scorer, tokenizer: Tokenizer, corpus: Artifact, unigram: NDArray[np.float64], limit: int
) -> dict[str, dict[str, Any]]:
    """Return for each source `bits_per_byte`, `unigram_bits_per_byte`, their `ratio`, `bytes` and `tokens`.

    `unigram`: log2 of each token's probability, float64 (vocab,). At most `limit` bytes of each source are
    scored. A source without held-out documents is left out.
    """
    results = {}
    for source in sorted({str(shard.facts["source"]) for shard in corpus.shards}):
        texts = choose_texts(corpus, source, limit)
        n_bytes = sum(len(text.encode()) for text in texts)
        if n_bytes == 0:
            continue
        encoded = [tokenizer.encode(text) for text in texts]
        model_bits = bits_per_byte(sum(scorer.rolling(encoded, tokenizer.bos_id)), n_bytes)
        unigram_bits = -sum(float(unigram[ids].sum()) for ids in encoded) / n_bytes
        results[source] = {
            "bits_per_byte": round(model_bits, 5),
            "unigram_bits_per_byte": round(unigram_bits, 5),
            "ratio": round(model_bits / unigram_bits, 5),
            "bytes": n_bytes,
            "tokens": sum(map(len, encoded)),
        }
    return results


def choose_texts(corpus: Artifact, source: str, limit: int) -> list[str]:
    """Return held-out texts of `source`, with `limit` bytes together, or all if there are fewer.

    They are the documents with the smallest keyed hashes of their ids, whatever shard they are in; the last
    one is cut. Memory holds little more than `limit` bytes and one document.
    """
    chosen: list[tuple[int, str, bytes]] = []  # a heap with the largest hash on top
    total = 0
    for shard in corpus.shards:
        if shard.facts["source"] != source or not any(o.name.endswith(HELDOUT) for o in shard.objects):
            continue
        for document in read_documents(corpus, shard.name, HELDOUT):
            text = document.text.encode()
            heapq.heappush(chosen, (-_key(document.id), document.id, text))
            total += len(text)
            while total - len(chosen[0][2]) >= limit:
                total -= len(heapq.heappop(chosen)[2])
    texts = [text for _, _, text in sorted(chosen, reverse=True)]
    if total > limit:
        texts[-1] = texts[-1][: len(texts[-1]) - (total - limit)]
    return [text.decode(errors="ignore") for text in texts]


def _key(document_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(document_id.encode(), digest_size=8, key=b"heldout").digest())
