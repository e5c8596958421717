"""How often each id occurs in the tokens of each source, summed once, where the tokens are made.

A large corpus has 300,000 token shards with a histogram each. They are summed in batches, and the sums of the
batches by source, so that no worker reads them all. The shard `histograms` has one object for each source; no
token shard is called so, for its name begins with its source and a dot.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from llama_core.artifact import Artifact, Shard
from llama_core.objects import Object, Writer
from llama_core.parse import Text, damaged, npy_column, shaped
from llama_core.phases import Phase
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokens import by_source

HISTOGRAMS = "histograms"  # the shard
HISTOGRAM = ".histogram.npy"  # the ending of a histogram's object
BATCH = 500  # histograms that a worker sums; a sum of another number is not reused
MOST_BYTES = 32 << 20  # bytes of a histogram: a vocabulary of four million ids

SOURCES = TypeAdapter(list[Text])


def write(file: Writer, histogram: NDArray[np.int64]) -> None:
    """Write a histogram (vocab,) as a NumPy file."""
    np.save(file, histogram, allow_pickle=False)  # type: ignore[call-overload]


def phases(step: Step, shards: Iterable[Shard]) -> Iterator[Phase]:
    """Yield the phases that sum the histograms of a step's token shards: batches of them, then by source.

    `shards`: the corpus shards that the token shards were made from. The last phase commits HISTOGRAMS.
    """
    summed, of_source = by_source.batches(shards, HISTOGRAMS, BATCH)
    yield Phase("histograms", summed, partial(_batch, step))
    yield Phase("sources", {HISTOGRAMS: of_source}, partial(_sources, step))


def unigram(tokens: Artifact, mixture: Mapping[str, float]) -> NDArray[np.float64]:
    """Return log2 of each id's probability in the mixture, with 1 added to every count: float64 (vocab,).

    It reads one object for each source. Raises DamagedError.
    """
    shard = tokens.shard(HISTOGRAMS)
    known = shaped(SOURCES, shard.fact("sources"), f"shard {HISTOGRAMS} of {tokens.url}")
    found: dict[str, NDArray[np.int64]] = {}
    n_words = None
    for source in mixture:
        if source in known:  # the others have no text
            entry = shard.object(f"/{HISTOGRAMS}/{source}.npy")
            found[source] = _read(tokens.store, entry, n_words)
            n_words = len(found[source])
    mixed: NDArray[np.float64] | float = 0.0
    for source, share in mixture.items():
        counts = 1 + found.get(source, np.zeros(n_words or 0, np.int64))
        mixed = mixed + share * counts / np.sum(counts)
    return np.log2(mixed)


def _batch(step: Step, batch: tuple[str, list[str]]) -> None:
    """Sum the histograms of token shards, and commit the sum as a shard that is not part of the artifact."""
    name, shards = batch
    with step.shard(name) as out:
        total = _sum(step, shards)
        with out.publish(f"{name}{HISTOGRAM}") as file:
            write(file, total)
        out.counts["tokens"] = int(total.sum())


def _sources(step: Step, batches: Mapping[str, list[str]]) -> None:
    """Sum the batches of each source, and commit the sums."""
    with step.shard(HISTOGRAMS) as out:
        n_words = None
        for source, names in batches.items():
            total = _sum(step, names, n_words)
            n_words = len(total)
            with out.publish(f"{HISTOGRAMS}/{source}.npy") as file:
                write(file, total)
        out.facts["sources"] = list(batches)


def _sum(step: Step, names: Iterable[str], n_words: int | None = None) -> NDArray[np.int64]:
    """Return the sum of the histograms of committed shards, two of which are in memory at a time: (vocab,).

    Raises DamagedError where one counts other ids than the rest, or not as many tokens as its shard has.
    """
    total: NDArray[np.int64] | None = None
    for shard in step.each_committed(names):
        entry = shard.object(HISTOGRAM)
        found = _read(step.folder, entry, n_words)
        if shard.counts.get("tokens") != int(found.sum()):
            raise damaged(step.folder.url_of(entry.name), "it counts more or fewer tokens than its shard has")
        n_words, total = len(found), found if total is None else total + found
    assert total is not None, "there is no batch without a shard"
    return total


def _read(store: Store, entry: Object, n_words: int | None) -> NDArray[np.int64]:
    """Return a histogram of `n_words` ids, where that is known: (vocab,). Raises DamagedError."""
    url = store.url_of(entry.name)
    found = npy_column(store.read(entry.name, expect=entry, most=MOST_BYTES), url, np.int64)
    if n_words not in (None, len(found)) or (found < 0).any():
        raise damaged(url, "it counts other ids than the rest, or less than nothing")
    return found
