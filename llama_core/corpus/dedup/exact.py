"""Equal texts: one of each group stays, and stands for all of them in the later phases."""

import numpy as np
import numpy.typing as npt

from llama_core.corpus.dedup.scratch import HELDOUT, Scratch, copies_dtype
from llama_core.corpus.partition import KeyRuns, Table, publish_runs


def group_texts(scratch: Scratch, texts: KeyRuns, n_pieces: int, partition: int) -> None:
    """Answer for each text of a partition which of its equals stays: `copies` by piece."""
    rows = texts.read(partition)
    with scratch.shard("exact", partition) as out:
        publish_runs(out, "copies", copies_of(rows), texts.owners(partition), n_pieces)


def copies_of(texts: Table) -> Table:
    """Return for each text which of its equals stays, and how many texts that one stands for.

    `texts`: rows of `texts_dtype`, with all equals of each. Returns rows of `copies_dtype`, in that order.
    """
    order = np.lexsort([texts[name] for name in ("lo", "hi", "rank", "digest_lo", "digest")])
    first = firsts(texts["digest"][order], texts["digest_lo"][order])
    starts = np.flatnonzero(first)
    group = np.cumsum(first) - 1
    winners = texts[order[starts]]
    sizes = np.diff(np.r_[starts, len(order)])
    answers = np.empty(len(texts), copies_dtype())
    answers["copies"][order] = np.where(first, sizes[group], 0)
    answers["heldout"][order] = (winners["rank"] & HELDOUT != 0)[group]
    answers["kept_hi"][order] = winners["hi"][group]
    answers["kept_lo"][order] = winners["lo"][group]
    return answers


def firsts(*keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Tell where a new key begins, in rows that are sorted by it: bool (rows,).

    `keys`: the columns that make up the key, each (rows,).
    """
    begins = np.ones(len(keys[0]), bool)
    begins[1:] = False
    for key in keys:
        begins[1:] |= key[1:] != key[:-1]
    return begins
