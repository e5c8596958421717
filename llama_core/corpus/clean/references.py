"""Pages that a linear classifier does not take for pages that Wikipedia cites are dropped.

Touvron et al. 2023, section 2.1, keep only what a linear model takes for pages "used as references in
Wikipedia", rather than for random pages. The positive examples are those documents of the source itself whose
URL an article cites, found by joining the hashes of URLs through runs; or the documents of a source of their
own. As many negative examples are drawn from the other documents by keyed hash.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from llama_core.artifact import Shard, digest_of
from llama_core.corpus.clean.decide import decide_shard
from llama_core.corpus.clean.linear import Features, Linear, auc, features, train
from llama_core.corpus.clean.recipe import References
from llama_core.corpus.decisions import Decision
from llama_core.corpus.document import Document, RowWriter
from llama_core.corpus.documents import Documents
from llama_core.corpus.lookup import side_by_side
from llama_core.corpus.partition import FORMAT, KeyRuns, is_in, partition_of, publish_runs
from llama_core.corpus.table import read_table
from llama_core.errors import InputError
from llama_core.parse import json_fields
from llama_core.phases import Phase, Plan
from llama_core.step import Step

REVISION = 1
PARTITION_KEYS = 32 << 20  # keys of URLs for each partition of the join, about
LAYOUT = digest_of([FORMAT, PARTITION_KEYS])[:6]  # scratch shards of another layout are not reused
CITED, PAGES, JOINED = f"cited-{LAYOUT}.", f"pages-{LAYOUT}.", f"joined-{LAYOUT}."
EXAMPLES, MODEL = "examples.", "model"
CITATIONS = 20  # per article: a guess, by which the number of partitions is set
HELD_OUT = 0.1  # share of the examples that the classifier is measured on

Keys = npt.NDArray[np.uint64]

_ARCHIVE = re.compile(r"^web\.archive\.org/(?:web/)?\d+(?:[a-z]{2}_)?/(?=https?:)")
_SCHEME = re.compile(r"^[a-z]+://(?:www\d?\.)?")
_SCHEMA = pa.schema([("priority", pa.uint64()), ("positive", pa.bool_()), ("features", pa.binary())])


def plan(
    step: Step,
    documents: Documents,
    wikipedia: Documents | None,
    positives: Documents | None,
    cfg: References,
) -> Plan:
    """Yield the phases: cited URLs, URLs of pages, their join by partition, examples, classifier, decisions.

    With `positives`, its documents are the positive examples, and the first three phases are left out;
    without it, `wikipedia` is needed. Raises InputError if there are too few examples.
    """
    names = [shard.name for shard in documents.shards]
    examples = {EXAMPLES + documents.source + "." + name: (False, name) for name in names}
    joined = None
    if positives is None:
        assert wikipedia is not None
        n = 1 + (_count(documents) + CITATIONS * _count(wikipedia)) // PARTITION_KEYS
        cited = {CITED + shard.name: shard.name for shard in wikipedia.shards}
        yield Phase("citations", cited, partial(_cited_shard, step, wikipedia, n))
        pages = {PAGES + name: name for name in names}
        yield Phase("pages", pages, partial(_pages_shard, step, documents, n))
        joins = {f"{JOINED}{p:05d}": p for p in range(n)}
        of_cited = KeyRuns.of(step, step.each_committed(cited), "keys", np.uint64)
        of_pages = KeyRuns.of(step, step.each_committed(pages), "keys", np.uint64)
        yield Phase("join", joins, partial(_join_shard, step, of_cited, of_pages))
        joined = KeyRuns.of(step, step.each_committed(joins), "keys", np.uint64)
        n_positive = sum(shard.counts["cited"] for shard in step.each_committed(joins))
        n_negative = _count(documents) - n_positive
    else:
        examples |= {EXAMPLES + positives.source + "." + s.name: (True, s.name) for s in positives.shards}
        n_positive, n_negative = _count(positives), _count(documents)
    draw = _Draw(cfg.seed, *_rates(n_positive, n_negative, cfg.examples))
    places = {name: i for i, name in enumerate(names)}
    work = partial(_examples_shard, step, documents, positives, draw, joined, places)
    yield Phase("examples", examples, work)
    yield Phase("classifier", {MODEL: None}, partial(_model_shard, step, list(examples), cfg))

    yield Phase("decisions", {n: n for n in names}, partial(_decide_shard, step, documents, cfg.threshold))
    [model] = step.committed_shards([MODEL])
    return {"shards": names, "facts": model.facts}


def url_key(url: str) -> int:
    """Return 64 bits that are the same for all ways to write a URL.

    Case, the scheme, `www.`, a fragment, slashes at the end, and the address of an archive before the URL do
    not count.
    """
    bare = _SCHEME.sub("", url.strip().partition("#")[0].lower())
    bare = _SCHEME.sub("", _ARCHIVE.sub("", bare)).rstrip("/")
    return xxhash.xxh3_64_intdigest(bare.encode("utf-8", "replace"))


def _count(documents: Documents) -> int:
    """Return how many documents are left."""
    if documents.decided:
        return documents.decided[-1].counts.get("kept", 0)
    return documents.ingested.counts.get("documents", 0)


def _keys(urls: Iterable[str]) -> Keys:
    return np.unique(np.fromiter(map(url_key, urls), np.uint64))


def _cited_shard(step: Step, wikipedia: Documents, n: int, name: str) -> None:
    with step.shard(CITED + name) as out:
        metas = (json_fields(d.meta, f"the field meta of document {d.id}") for d in wikipedia.read(name))
        keys = _keys(url for meta in metas for url in meta.get("references", ()))
        publish_runs(out, "keys", keys, partition_of(keys, n), n)


def _pages_shard(step: Step, documents: Documents, n: int, name: str) -> None:
    with step.shard(PAGES + name) as out:
        keys = _keys(d.url for d in documents.read(name))
        publish_runs(out, "keys", keys, partition_of(keys, n), n)


def _join_shard(step: Step, cited: KeyRuns, pages: KeyRuns, partition: int) -> None:
    """Write which URLs of pages in a partition are cited, in a run for each ingest shard of pages."""
    wanted = np.unique(cited.read(partition))
    with step.shard(f"{JOINED}{partition:05d}") as out:
        found = [keys[is_in(keys, wanted)] for keys in pages.each(partition)]
        of_shard = np.repeat(np.arange(len(found)), [len(keys) for keys in found])
        keys = np.concatenate(found)
        out.counts["cited"] += len(np.unique(keys))
        publish_runs(out, "keys", keys, of_shard, len(found))


@dataclass(frozen=True)
class _Draw:
    """A draw of examples: the documents whose keyed hash is below a limit."""

    seed: int
    positive: float  # share of the positive documents that are drawn
    negative: float  # share of the negative ones

    def priority(self, document: Document) -> int:
        """Return the keyed hash of a document, of 64 bits."""
        return xxhash.xxh3_64_intdigest(document.id.encode(), seed=self.seed)

    def takes(self, priority: int, is_positive: bool) -> bool:
        """Tell whether a document of this priority is drawn."""
        return priority < (self.positive if is_positive else self.negative) * 2**64


def _rates(n_positive: int, n_negative: int, most: int) -> tuple[float, float]:
    """Return the shares of the two kinds that give a few more examples than are wanted."""
    wanted = min(n_positive, most)
    enough = wanted + 6 * wanted**0.5 + 16
    return min(1.0, enough / max(1, n_positive)), min(1.0, enough / max(1, n_negative))


def _examples_shard(
    step: Step,
    documents: Documents,
    positives: Documents | None,
    draw: _Draw,
    joined: KeyRuns | None,
    places: Mapping[str, int],
    argument: tuple[bool, str],
) -> None:
    """Write the examples of an ingest shard. `argument`: whether it is of `positives`, and its name."""
    all_positive, name = argument
    read = positives if all_positive else documents
    assert read is not None
    cited: set[int] = set()
    if joined:
        cited = set(joined.read(places[name]).tolist())
    shard = f"{EXAMPLES}{read.source}.{name}"
    with (
        step.shard(shard) as out,
        out.publish(f"{shard}/examples.parquet") as writer,
        RowWriter(writer, _SCHEMA) as rows,
    ):
        for document in read.read(name):
            is_positive = all_positive or (bool(cited) and url_key(document.url) in cited)
            priority = draw.priority(document)
            if draw.takes(priority, is_positive):
                rows.append((priority, is_positive, features(document.text).tobytes()))


def _model_shard(step: Step, examples: list[str], cfg: References, _: None) -> None:
    """Train on equally many examples of both kinds. Raises InputError if there are too few."""
    found: dict[bool, list[tuple[int, bytes]]] = {True: [], False: []}

    def read(shard: Shard) -> list[dict[str, Any]]:
        entry = shard.object("/examples.parquet")
        return read_table(step.folder, entry).to_pylist()

    for rows in side_by_side(read, step.each_committed(examples)):
        for row in rows:
            found[row["positive"]].append((row["priority"], row["features"]))
    n = min(cfg.examples, len(found[True]), len(found[False]))
    if n < cfg.min_examples:
        raise InputError(
            f"the classifier of references has {len(found[True])} positive and {len(found[False])} negative "
            f"examples; clean.references.min_examples asks for {cfg.min_examples} of each. Give more of the "
            "crawl and of Wikipedia, let clean.references.positives name a source of pages that Wikipedia "
            "cites, or set clean.references to null"
        )
    chosen = {kind: [_features(data) for _, data in sorted(rows)[:n]] for kind, rows in found.items()}
    n_held = max(1, round(HELD_OUT * n))
    n_train = n - n_held
    texts = chosen[True][:n_train] + chosen[False][:n_train]
    model = train(texts, np.repeat([1.0, 0.0], n_train), cfg.seed)
    with step.shard(MODEL) as out:
        weights = np.append(model.weights, model.bias).astype("<f8")
        out.publish_bytes(f"{MODEL}/weights", weights.tobytes())
        held = {kind: [model.probability(x) for x in rows[n_train:]] for kind, rows in chosen.items()}
        out.facts |= _measures(np.array(held[True]), np.array(held[False]), cfg.threshold)
        out.facts |= {"examples_of_each": n, "train": 2 * n_train, "held_out": 2 * n_held}


def _features(data: bytes) -> Features:
    return np.frombuffer(data, np.uint32)


def _measures(
    positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64], threshold: float
) -> dict[str, Any]:
    """Measure on held-out examples: accuracy at one half, AUC, and the share of each kind that is kept."""
    right = int((positive >= 0.5).sum() + (negative < 0.5).sum())
    return {
        "accuracy": round(right / (len(positive) + len(negative)), 4),
        "auc": round(auc(positive, negative), 4),
        "cited_kept": round(float((positive >= threshold).mean()), 4),
        "random_kept": round(float((negative >= threshold).mean()), 4),
    }


def _decide_shard(step: Step, documents: Documents, threshold: float, name: str) -> None:
    [trained] = step.committed_shards([MODEL])
    entry = trained.object("/weights")
    weights = np.frombuffer(step.folder.read(entry.name, expect=entry), "<f8")
    model = Linear(weights[:-1], float(weights[-1]))

    def decide(document: Document) -> Decision:
        p = model.probability(features(document.text))
        return Decision(document.id, "unlike_references" if p < threshold else "", {"reference": round(p, 4)})

    decide_shard(step, name, ((d, decide(d)) for d in documents.read(name)))
