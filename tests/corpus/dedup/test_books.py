"""Books within books: containment is found whatever the lengths, partitions and number of books."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from corpus.dedup.made import decisions_of, ingested, run

from llama_core.corpus.decisions import Decision
from llama_core.corpus.dedup import books
from llama_core.corpus.dedup.books import HOLDERS, SHINGLES, shared_with_better
from llama_core.corpus.recipe import Corpus
from llama_core.corpus.split import is_heldout
from llama_core.store import Store

Decide = Callable[..., dict[str, Decision]]


@pytest.fixture
def decide(tmp_path: Path) -> Iterator[Decide]:
    """Dedup over shards of books: the decisions by text."""
    root = f"memory://{tmp_path.name}"

    def decided(shards: list[list[str]], max_overlap: float = 0.9, **fields: Any) -> dict[str, Decision]:
        documents = {"books": ingested(Store(f"{root}/in"), "books", shards)}
        source = {"kind": "books", "max_overlap": max_overlap}
        cfg = Corpus.model_validate({"sources": {"books": source}} | fields)
        name = json.dumps([max_overlap, fields]).encode().hex()
        decisions = decisions_of(run(Store(f"{root}/{name}"), documents, cfg))
        read = (d for shard in documents["books"].shards for d in documents["books"].read(shard.name))
        return {d.text: decisions[d.id] for d in read}

    yield decided
    fsspec.filesystem("memory").rm(root, recursive=True)


def book(seed: int, words: int) -> list[str]:
    rng = random.Random(seed)
    return [f"word{rng.randrange(50_000)}" for _ in range(words)]


def test_a_book_that_a_longer_one_holds_is_dropped_and_names_it(decide: Decide) -> None:
    novel, mostly, half = book(1, 9000), book(2, 9000), book(3, 9000)
    held = {"novel": novel, "mostly": [*mostly, *book(7, 450)], "half": half}
    texts = {name: " ".join(words) for name, words in held.items()}
    texts["anthology"] = " ".join([*novel, *book(4, 9000), *mostly, *half[:5000], *book(5, 9000)])
    texts["apart"] = " ".join(book(6, 20_000))
    found = decide([[texts["novel"], texts["apart"]], [texts["half"], texts["mostly"], texts["anthology"]]])
    reasons = {name: found[text].reason for name, text in texts.items()}
    assert reasons == {
        "novel": "book_overlap",
        "mostly": "book_overlap",
        "half": "",
        "anthology": "",
        "apart": "",
    }
    for name, share in {"novel": 1.0, "mostly": 9000 / 9450}.items():
        evidence = found[texts[name]].evidence
        assert evidence["kept"] == found[texts["anthology"]].id
        assert abs(evidence["similarity"] - share) < 0.04
    strict = decide([list(texts.values())], max_overlap=0.5)
    assert {n for n, t in texts.items() if strict[t].reason} == {"novel", "mostly", "half"}


def test_layouts_and_shards_change_no_decision(decide: Decide) -> None:
    rng = random.Random(1)
    parts = [book(seed, 2500) for seed in range(12)]
    texts = [" ".join(" ".join(part) for part in rng.sample(parts, rng.randrange(1, 5))) for _ in range(25)]
    seen = []
    for unit_bytes, partition_bytes in ((1 << 30, 512 << 20), (1, 5000), (40_000, 20_000)):
        sizes = {"unit_bytes": unit_bytes, "partition_bytes": partition_bytes}
        decisions = decide([texts[:9], texts[9:10], texts[10:]], dedup=sizes)
        seen.append({text: (d.reason, str(d.evidence)) for text, d in decisions.items()})
    assert seen[0] == seen[1] == seen[2]
    assert sum(reason == "book_overlap" for reason, _ in seen[0].values()) > 3


def test_a_training_book_never_gives_way_to_a_held_out_one(decide: Decide) -> None:
    pairs = []
    for seed in range(24):
        inner = book(seed, 3000)
        pairs.append((" ".join(inner), " ".join([*inner, *book(100 + seed, 9000)])))
    cfg = Corpus.model_validate({"sources": {}, "holdout_fraction": 0.5})
    found = decide([[text for pair in pairs for text in pair]], holdout_fraction=0.5)
    outcomes = set()
    for pair in pairs:
        inside, around = (found[text] for text in pair)
        held = tuple(is_heldout(None, d.id, cfg) for d in (inside, around))
        outcomes.add((held, inside.reason, around.reason))
    assert outcomes == {
        ((False, False), "book_overlap", ""),
        ((False, True), "", ""),
        ((True, False), "book_overlap", ""),
        ((True, True), "book_overlap", ""),
    }


def test_what_is_in_all_books_costs_their_number() -> None:
    n = 5000
    table = np.zeros(n, SHINGLES)
    table["hash"], table["row"], table["sampled"] = 7, np.arange(n), 10
    table["rank"] = np.random.default_rng(1).permutation(n)
    pairs = shared_with_better(np.sort(table, order=["hash", "rank"]))
    assert n < len(pairs) < HOLDERS * n
    best = table["row"][np.argsort(table["rank"])][:HOLDERS]
    assert set(pairs["holder"]) == set(best)


def test_slices_of_shingles_give_the_pairs_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    table = np.zeros(3000, SHINGLES)
    table["hash"] = np.sort(rng.integers(0, 300, 3000) ** 2)  # some in many books, some in none but one
    table["hash"][:40] = 0  # one is in more books than a slice holds
    table["row"] = table["rank"] = rng.integers(0, 50, 3000)
    table = np.unique(table)
    whole = shared_with_better(table)
    monkeypatch.setattr(books, "SLICE", 16)
    slices = list(books._slices(table))
    assert len(slices) > 50 and np.array_equal(np.concatenate(slices), table)
    assert np.array_equal(books._all_summed(map(shared_with_better, slices)), whole)


def test_other_sources_are_not_compared_by_overlap(tmp_path: Path) -> None:
    inner = book(1, 3000)
    documents = {
        "web": ingested(Store(str(tmp_path)), "web", [[" ".join(inner), " ".join([*inner, *book(2, 9000)])]])
    }
    assert run(Store(str(tmp_path)), documents).counts == {"documents": 2, "kept.train": 2}
