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


# The letters of texts without spaces between words, the most frequent first, and the marks between clauses.
_KANA = (*range(0x3042, 0x3094), *range(0x30A2, 0x30F0))
_THAI = (*range(0x0E01, 0x0E2F), *range(0x0E30, 0x0E3B), *range(0x0E40, 0x0E4C))
SCRIPTS = {
    "Chinese": ("".join(map(chr, range(0x4E00, 0x59B8))), "，。"),
    "rare Han": ("".join(map(chr, (*range(0x20000, 0x20800), *range(0x4E00, 0x4F00)))), "，。"),
    "Japanese": ("".join(map(chr, (*_KANA, *range(0x5200, 0x5900)))), "、。"),
    "Thai": ("".join(map(chr, _THAI)), " \n"),
}


def unspaced(count: int, script: str, seed: int = 1) -> Iterator[list[str]]:
    """Yield texts of one of SCRIPTS as lists of 60 to 400 words, which are to be joined without spaces."""
    rng = np.random.default_rng(seed)
    letters, marks = SCRIPTS[script]
    weights = 1 / (np.arange(len(letters)) + 2.7)
    weights /= weights.sum()
    longest = 3 if script == "Chinese" else 6
    words = ["".join(rng.choice(list(letters), rng.integers(1, longest + 1), p=weights)) for _ in range(8000)]
    ranks = 1 / (np.arange(len(words)) + 2.7)
    ranks /= ranks.sum()
    for _ in range(count):
        chosen = [words[i] for i in rng.choice(len(words), rng.integers(60, 400), p=ranks)]
        yield [
            w + marks[0] if i % 7 == 6 else w + marks[1] if i % 31 == 30 else w for i, w in enumerate(chosen)
        ]


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
