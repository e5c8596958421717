"""An n-gram language model with modified Kneser-Ney smoothing, from counts to an ARPA file.

It is interpolated, with the discounts of Chen and Goodman (1998), as KenLM's lmplz estimates it (Heafield et
al. 2013): an n-gram is counted by the different words that stand before it, but the longest n-grams and those
at the start of a sentence by their occurrences. An n-gram is known by its row in the table of its order, so
that counting is sorting integers. Memory: some 250 bytes for a token, at order 5.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# The discounts where no n-gram has a count of 1, 2, 3 or 4: those of `lmplz --discount_fallback`.
FALLBACK = (0.5, 1.0, 1.5)
NEVER = -99.0  # log10 of a probability of 0
_ROWS = 1 << 19  # rows that are written at a time


@dataclass
class NgramOrder:
    """The n-grams of one order n, in rows. In order 1 a word's row is its id."""

    context: Ints
    """Row of the first n - 1 words in the order below."""
    last: Ints
    """Id of the last word."""
    suffix: Ints
    """Row of the last n - 1 words in the order below."""
    count: Ints
    """Adjusted count: of different words before the n-gram, or of its occurrences (see the module)."""
    log_prob: Floats
    """Log10 of the probability of the last word after the others."""
    log_backoff: Floats
    """Log10 of the weight with which the order below is taken after this n-gram."""


@dataclass(frozen=True)
class Special:
    """The ids of the words that begin and end a sentence, and of the unknown word."""

    bos: int
    eos: int
    unk: int


def estimate(tokens: Ints, n_words: int, order: int, special: Special) -> list[NgramOrder]:
    """Estimate a model, and return its orders from 1 to `order`.

    `tokens`: int64 (n,), sentences one after another, each from `special.bos` to `special.eos`. All ids are
    below `n_words`.
    """
    orders = _count(tokens, n_words, order, special)
    predicted = orders[0].count > 0
    predicted[special.unk] = True
    below = np.full(n_words, 1 / np.count_nonzero(predicted))  # the uniform distribution
    for n, table in enumerate(orders, 1):
        discount = _discounts(table.count)[np.minimum(table.count, 3)]
        n_contexts = len(orders[n - 2].last) if n > 1 else 1
        total = np.bincount(table.context, table.count, n_contexts)
        left = np.bincount(table.context, discount, n_contexts) / np.maximum(total, 1)
        prob = (table.count - discount) / total[table.context]
        prob += left[table.context] * (below if n == 1 else below[table.suffix])
        with np.errstate(divide="ignore"):
            table.log_prob = np.maximum(np.log10(prob), NEVER)
            if n > 1:
                orders[n - 2].log_backoff = np.where(total > 0, np.maximum(np.log10(left), NEVER), 0.0)
        below = prob
    orders[0].log_prob[special.bos] = 0.0  # the first word is given, never predicted
    return orders


def _count(tokens: Ints, n_words: int, order: int, special: Special) -> list[NgramOrder]:
    """Return the n-grams of every order with their adjusted counts, and without probabilities."""
    words = np.arange(n_words)
    nothing = np.zeros(n_words, np.int64)
    orders = [NgramOrder(nothing, words, nothing, np.bincount(tokens, minlength=n_words), *_unset(n_words))]
    row = tokens  # for each token, the row of the n-gram that ends there, in the order at hand
    starts = tokens == special.bos
    valid = np.ones(len(tokens), bool)  # for each token, whether such an n-gram lies within one sentence
    at_start = words == special.bos  # for each row, whether the n-gram begins a sentence
    for n in range(2, order + 1):
        valid = np.append(False, valid[:-1]) & ~starts
        ends = np.flatnonzero(valid)
        keys = row[ends - 1] * n_words + tokens[ends]
        keys, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        context, last = np.divmod(keys, n_words)
        suffix = np.empty(len(keys), np.int64)
        suffix[inverse] = row[ends]
        below = orders[-1]
        seen_before = np.bincount(suffix, minlength=len(below.last))
        below.count = np.where(at_start, below.count if n > 2 else 0, seen_before)
        at_start = at_start[context]
        orders.append(NgramOrder(context, last, suffix, counts, *_unset(len(keys))))
        row = np.full(len(tokens), -1)
        row[ends] = inverse
    return orders


def _unset(n: int) -> tuple[Floats, Floats]:
    return np.zeros(n), np.zeros(n)


def _discounts(counts: Ints) -> Floats:
    """Return float64 (4,): what is taken off a count of 0, 1, 2, and 3 or more."""
    n = np.bincount(np.minimum(counts, 5), minlength=6)[:5].astype(np.float64)
    if (n[1:4] > 0).all():
        y = n[1] / (n[1] + 2 * n[2])
        found = np.array([0.0, *(k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))])
        if (found >= 0).all() and (found <= np.arange(4)).all():
            return found
    return np.array([0.0, *FALLBACK])


def write_arpa(file: BinaryIO, orders: Sequence[NgramOrder], words: Sequence[str], special: Special) -> None:
    """Write a model as an ARPA file. Equal models give equal bytes.

    `words`: every word by its id. Words that were never seen are left out of the file.
    """
    import polars as pl

    listed = orders[0].count > 0
    listed[[special.bos, special.eos, special.unk]] = True
    named = pl.Series(words)
    file.write(b"\\data\\\n")
    for n, table in enumerate(orders, 1):
        file.write(f"ngram {n}={listed.sum() if n == 1 else len(table.last)}\n".encode())
    for n, table in enumerate(orders, 1):
        file.write(f"\n\\{n}-grams:\n".encode())
        is_longest = n == len(orders)
        for rows in _batches(np.flatnonzero(listed) if n == 1 else np.arange(len(table.last))):
            columns = {f"w{i}": named.gather(ids) for i, ids in enumerate(_words_of(orders, n, rows))}
            columns = {"p": pl.Series(table.log_prob[rows])} | {
                "words": pl.DataFrame(columns).select(pl.concat_str("*", separator=" ")).to_series()
            }
            if not is_longest:
                columns["backoff"] = pl.Series(table.log_backoff[rows])
            pl.DataFrame(columns).write_csv(
                file, include_header=False, separator="\t", quote_style="never", float_precision=7
            )
    file.write(b"\n\\end\\\n")


def _batches(rows: Ints) -> Iterator[Ints]:
    for start in range(0, len(rows), _ROWS):
        yield rows[start : start + _ROWS]


def _words_of(orders: Sequence[NgramOrder], n: int, rows: Ints) -> list[Ints]:
    """Return the words of the n-grams of order `n` in some rows: for each place, int64 (rows,) of ids."""
    found: list[Ints] = []
    for table in reversed(orders[:n]):
        found.append(table.last[rows])
        rows = table.context[rows]
    return found[::-1]
