"""A linear classifier of texts: logistic regression over hashed words and pairs of words, in numpy.

The same examples in the same order give the same weights.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash

BITS = 20  # bits of a feature's hash: there are a million weights
WORDS = 400  # words that are read, from the start of a text
EPOCHS = 5
BATCH = 256  # examples
RATE = 0.5  # AdaGrad's learning rate
_SCALE = 20.0  # the norm of a text's features: more than 1, as texts are long and a single word says little
_WORD = re.compile(r"\w+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

Features = npt.NDArray[np.uint32]


@functools.lru_cache(maxsize=1 << 18)
def _hash(word: str) -> int:
    return xxhash.xxh3_64_intdigest(word.encode())


def features(text: str) -> Features:
    """Hash the different words and pairs of words of a text: uint32 (n,), sorted, below 2**BITS.

    They are never empty: a text without words has the one feature 0.
    """
    found: list[str] = []
    at, text = 0, text.lower()
    while len(found) < WORDS and (word := _WORD.search(text, at)):
        found.append(word[0])
        at = word.end()
    words = np.fromiter(map(_hash, found), np.uint64, len(found))
    pairs = words[:-1] * _MULTIPLIER + words[1:]
    hashes = np.concatenate([words, pairs]) >> np.uint64(64 - BITS)
    return np.unique(hashes).astype(np.uint32) if len(hashes) else np.zeros(1, np.uint32)


@dataclass
class Linear:
    """A classifier that was trained. `weights`: float64 (2**BITS,)."""

    weights: npt.NDArray[np.float64]
    bias: float = 0.0

    def probability(self, features: Features) -> float:
        """Return the probability that a text is of the same kind as the positive examples."""
        z = self.bias + _SCALE * float(self.weights[features].sum()) / np.sqrt(len(features))
        return float(_sigmoid(z))


def train(examples: Sequence[Features], labels: npt.NDArray[np.float64], seed: int) -> Linear:
    """Train a classifier by AdaGrad on the log loss.

    `examples`: the features of n texts. `labels`: float64 (n,), 1 for a positive example, 0 for a negative.
    """
    model = Linear(np.zeros(1 << BITS))
    squares = np.full(1 << BITS, 1e-6)
    bias_square = 1e-6
    rng = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = rng.permutation(len(examples))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            batch = [examples[i] for i in chosen]
            lengths = np.fromiter(map(len, batch), np.int64, len(batch))
            flat = np.concatenate(batch)
            scale = _SCALE / np.sqrt(lengths)
            ends = np.cumsum(lengths)
            z = model.bias + scale * np.add.reduceat(model.weights[flat], ends - lengths)
            error = (_sigmoid(z) - labels[chosen]) / len(batch)
            touched, inverse = np.unique(flat, return_inverse=True)
            gradient = np.bincount(inverse, np.repeat(error * scale, lengths))
            squares[touched] += gradient**2
            model.weights[touched] -= RATE / _SCALE * gradient / np.sqrt(squares[touched])
            bias_square += float(error.sum()) ** 2
            model.bias -= RATE * float(error.sum()) / np.sqrt(bias_square)
    return model


def auc(positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64]) -> float:
    """Return the chance that a positive example scores above a negative one; a tie counts half.

    `positive`, `negative`: the scores of the examples, (n,) and (m,).
    """
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.sum() / (2 * len(positive) * len(negative)))


def _sigmoid(z: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(z, -30, 30)))
