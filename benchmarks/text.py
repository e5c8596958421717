"""Text for benchmarks, made from a seed: words of a Zipf vocabulary, with a stated share of near-copies."""

from collections.abc import Iterator

import numpy as np

VOCABULARY = 60_000
_LETTERS = np.frombuffer(b"etaoinshrdlucmfwypvbgkjqxz", np.uint8)


def documents(n_bytes: int, seed: int = 1, near_copies: float = 0.1, mean_words: int = 450) -> Iterator[str]:
    """Yield texts of `n_bytes` bytes together.

    A share of `near_copies` of them repeats one of the last hundred texts with two words in a hundred
    changed, which leaves a Jaccard similarity of 5-word shingles near 0.83. The other texts have about
    `mean_words` words in the median, and at least 40.
    """
    words = _vocabulary(np.random.default_rng(0))
    rng = np.random.default_rng(seed)
    ranks = 1 / (np.arange(VOCABULARY) + 2.7)  # the Zipf-Mandelbrot law
    upto = np.cumsum(ranks / ranks.sum())
    recent: list[list[str]] = []
    made = 0
    while made < n_bytes:
        if recent and rng.random() < near_copies:
            chosen = list(recent[rng.integers(len(recent))])
            for at in rng.integers(len(chosen), size=max(1, len(chosen) // 50)):
                chosen[at] = words[rng.integers(VOCABULARY)]
        else:
            size = max(40, int(rng.lognormal(np.log(mean_words), 0.8)))
            chosen = [words[i] for i in np.searchsorted(upto, rng.random(size)).tolist()]
            recent = [*recent[-99:], chosen]
        text = _sentences(chosen)
        made += len(text)
        yield text


def _vocabulary(rng: np.random.Generator) -> list[str]:
    """Return distinct words, most frequent first; frequent words tend to be short."""
    found: dict[str, None] = dict.fromkeys(["the", "of", "and", "to", "in", "that", "be", "with", "have"])
    weights = 1 / np.arange(1, len(_LETTERS) + 1)
    while len(found) < VOCABULARY:
        length = 2 + min(10, int(np.log2(len(found) + 1) / 2 + rng.integers(3)))
        found[rng.choice(_LETTERS, length, p=weights / weights.sum()).tobytes().decode()] = None
    return list(found)


def _sentences(words: list[str]) -> str:
    """Join words into sentences of 12 words and paragraphs of 5 sentences."""
    sentences = [" ".join(words[i : i + 12]).capitalize() + "." for i in range(0, len(words), 12)]
    return "\n".join(" ".join(sentences[i : i + 5]) for i in range(0, len(sentences), 5))
