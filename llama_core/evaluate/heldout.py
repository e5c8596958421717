"""Bits per byte on held-out documents, and what token frequencies alone would give.

Bits per byte do not depend on the tokenizer, so models with different tokenizers can be compared.
"""

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from llama_core.artifact import Artifact
from llama_core.evaluate.score import Scorer
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokens.heldout import Candidate, bits_per_byte, candidates, cut_texts, shards_with_text
from llama_core.train.distributed import World

Place = tuple[int, str, bytes, bytes]
S = TypeVar("S")
T = TypeVar("T")


def heldout(
    scorer: Scorer, tokenizer: Tokenizer, corpus: Artifact, unigram: NDArray[np.float64], limit: int
) -> dict[str, dict[str, Any]]:
    """Return for each source `bits_per_byte`, `unigram_bits_per_byte`, their `ratio`, `bytes` and `tokens`.

    `unigram`: log2 of each token's probability, float64 (vocab,). At most `limit` bytes of each source are
    scored. A source without held-out documents is left out.
    """
    results = {}
    for source in sorted({str(shard.facts["source"]) for shard in corpus.shards}):
        texts = choose_together(scorer.world, corpus, source, limit)
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


def choose_together(world: World, corpus: Artifact, source: str, limit: int) -> list[str]:
    """Return held-out texts of `source` with `limit` bytes, or all if there are fewer, on every rank.

    They are `candidates` of all shards, of which each rank reads its share; the last one is cut.

    The ranks first tell where in the order their candidates are, and then the texts that are chosen, so that
    little more than `limit` bytes of text are sent. Raises DamagedError.
    """
    mine: list[tuple[Place, bytes]] = []

    def sizes() -> list[tuple[Place, int]]:
        shards = shards_with_text(corpus, source)[world.rank :: world.size]
        mine.extend((_place(found), found[2]) for found in candidates(corpus, shards, limit))
        return [(place, len(text)) for place, text in mine]

    def first(found: list[tuple[Place, int]]) -> list[Place]:
        places, total = [], 0
        for place, size in sorted(found, reverse=True):
            if total >= limit:
                break
            places.append(place)
            total += size
        return places

    places = gathered(world, sizes, first)
    chosen = set(places)

    def in_order(found: list[tuple[Place, bytes]]) -> list[str]:
        texts = dict(found)
        return cut_texts([texts[place] for place in places], limit)

    return gathered(world, lambda: [(place, text) for place, text in mine if place in chosen], in_order)


def _place(candidate: Candidate) -> Place:
    """Return what orders candidates as they are ordered, and is short."""
    key, name, text = candidate
    return key, name, text[:64], hashlib.blake2b(text, digest_size=16).digest()


def gathered(world: World, tell: Callable[[], list[S]], use: Callable[[list[S]], T]) -> T:
    """Return on every rank what `use` makes of all that the ranks tell, or raise what one of them raises."""
    told: tuple[list[S], Exception | None]
    try:
        told = tell(), None
    except Exception as error:
        told = [], error
    ranks = world.gather(told)

    def decide() -> T:
        for _, error in ranks:
            if error is not None:
                raise error
        return use([one for found, _ in ranks for one in found])

    return world.agree(decide)
