"""Bits per byte on held-out documents, and what token frequencies alone would give.

Bits per byte do not depend on the tokenizer, so models with different tokenizers can be compared.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama_core.artifact import Artifact
from llama_core.evaluate.score import Scorer
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokens.heldout import bits_per_byte, choose_texts


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
