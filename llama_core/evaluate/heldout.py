"""Bits per byte on held-out documents, and what token frequencies alone would give.

Bits per byte do not depend on the tokenizer, so models with different tokenizers can be compared.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from llama_core.artifact import Artifact
from llama_core.evaluate.score import Scorer
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokens.heldout import bits_per_byte, sources, texts
from llama_core.tokens.histograms import unigram


def heldout(
    scorer: Scorer, tokenizer: Tokenizer, tokens: Artifact, mixture: Mapping[str, float], limit: int
) -> dict[str, dict[str, Any]]:
    """Return for each source `bits_per_byte`, `unigram_bits_per_byte`, their `ratio`, `bytes` and `tokens`.

    `tokens`: what the tokens step has prepared, and rank 0 alone reads. At most `limit` bytes of each
    source are scored. A source without held-out documents is left out. Raises DamagedError.
    """

    def read() -> tuple[dict[str, list[str]], bytes]:
        chosen = {name: texts(tokens, name, limit) for name in sources(tokens)}
        return chosen, unigram(tokens, mixture).tobytes()

    chosen, frequencies = scorer.world.agree(read)
    logs = np.frombuffer(frequencies, np.float64)  # (vocab,): log2 of each token's probability
    results = {}
    for source, documents in chosen.items():
        n_bytes = sum(len(text.encode()) for text in documents)
        if n_bytes == 0:
            continue
        encoded = [tokenizer.encode(text) for text in documents]
        model_bits = bits_per_byte(sum(scorer.rolling(encoded, tokenizer.bos_id)), n_bytes)
        unigram_bits = -sum(float(logs[ids].sum()) for ids in encoded) / n_bytes
        results[source] = {
            "bits_per_byte": round(model_bits, 5),
            "unigram_bits_per_byte": round(unigram_bits, 5),
            "ratio": round(model_bits / unigram_bits, 5),
            "bytes": n_bytes,
            "tokens": sum(map(len, encoded)),
        }
    return results
