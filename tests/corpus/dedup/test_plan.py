"""The whole plan: neither its layout nor the order, place or interruption of its work changes a byte."""

import json
import random
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import fsspec
import numpy as np
import pytest
from corpus.dedup.made import (
    corpus_of,
    decisions_of,
    families,
    ingested,
    plan_of,
    run,
    step_of,
)

from llama_core.artifact import Artifact
from llama_core.corpus.dedup import sign
from llama_core.corpus.dedup.scratch import Scratch, signed_dtype
from llama_core.corpus.documents import Documents
from llama_core.corpus.partition import rows_in
from llama_core.corpus.recipe import Corpus
from llama_core.errors import DamagedError, InputError
from llama_core.phases import Phase, execute, in_turn
from llama_core.step import Step
from llama_core.store import Store
from tasks.fanout import on_processes

DOCUMENTS = 65
ROW_BYTES = 14 * (8 + 8 + 56)  # what one document writes into its buckets, at most
LAYOUTS = [(1 << 30, 512 << 20), (1, 512 << 20), (20_000, 4_000), (1, 2_000), (1 << 30, 1_000)]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Callable[[object], Store]]:
    """Stores in memory: these tests commit thousands of shards, and a disk would sync each."""
    root = f"memory://{tmp_path.name}"
    yield lambda name: Store(f"{root}/{name}")
    fsspec.filesystem("memory").rm(root, recursive=True)


@pytest.fixture
def documents(store: Store) -> dict[str, Documents]:
    rng = random.Random(5)
    texts = [text for family in families(3, 12, 5) for text in family] + ["", "...", "", "one", "two words"]
    rng.shuffle(texts)
    return {
        "a": ingested(store, "a", [texts[:20], [], texts[20:35]]),
        "b": ingested(store, "b", [texts[35:50], texts[50:]]),
    }


def corpus(documents: dict[str, Documents], layout: tuple[int, int] = LAYOUTS[0]) -> Corpus:
    sizes = dict(zip(("unit_bytes", "partition_bytes"), layout, strict=True))
    return corpus_of(documents, dedup=sizes, holdout_fraction=0.3)


def plain(decided: Artifact) -> list[object]:
    """What is the same where the output is: of all shards and of the step."""
    return [[s.name, s.digest, s.counts, s.facts] for s in decided.shards] + [decided.digest, decided.facts]


@pytest.mark.slow
def test_units_and_partitions_change_no_byte(
    stores: Callable[[object], Store], documents: dict[str, Documents]
) -> None:
    seen = []
    for number, layout in enumerate(LAYOUTS):
        decided = run(stores(number), documents, corpus(documents, layout))
        seen.append(plain(decided))
    assert all(one == seen[0] for one in seen)
    counts = decided.counts
    assert all(counts[f"dropped.{reason}"] > 2 for reason in ("exact", "near", "heldout_near"))
    assert counts["documents"] == DOCUMENTS == sum(n for name, n in counts.items() if name != "documents")


def test_a_shard_of_many_documents_is_worked_on_in_pieces(
    stores: Callable[[object], Store], documents: dict[str, Documents]
) -> None:
    shards: dict[str, int] = {}

    def counting(phase: Phase, todo: list[str]) -> Iterable[str]:
        shards[phase.name] = len(todo)
        return in_turn(phase, todo)

    cfg = corpus(documents, (1 << 30, 5 * ROW_BYTES))
    decided = run(stores("pieces"), documents, cfg, counting)
    assert shards["sign"] == 1 and shards["decisions"] == 5
    assert all(shards[label] == DOCUMENTS / 5 for label in ("buckets", "members", "verdicts"))
    assert plain(decided) == plain(run(stores("whole"), documents, corpus(documents)))


def test_a_shard_of_a_million_documents_is_signed_in_the_memory_of_a_piece(store: Store) -> None:
    cfg = Corpus.model_validate({"sources": {}, "dedup": {"partition_bytes": 32 << 20}})
    step = Step(store, "dedup", 1, {})
    rng = np.random.default_rng(1)
    some = np.frombuffer(rng.bytes(10_000 * signed_dtype(cfg.dedup).itemsize), signed_dtype(cfg.dedup))
    tracemalloc.start()
    with Scratch(step, cfg, "x").shard("sign", 0) as out:
        piece = sign._PieceCollector(out, Scratch(step, cfg, "x"), (4, 4))
        for _ in range(100):
            piece.add(0, some.copy(), [])
        piece.publish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(size for _, [size] in out.facts["pieces"]) == 1_000_000 == rows_in(out, "signed")
    assert peak < 32 << 20, f"{peak >> 20} MB for {100 * some.nbytes >> 20} MB of keys"


def test_worker_processes_give_the_same_bytes(tmp_path: Path, documents: dict[str, Documents]) -> None:
    cfg = corpus(documents, (20_000, 20_000))
    alone = plain(run(Store(str(tmp_path / "alone")), documents, cfg))
    together = run(Store(str(tmp_path / "together")), documents, cfg, partial(on_processes, workers=2))
    assert plain(together) == alone


def shuffled(phase: Phase, todo: list[str]) -> Iterable[str]:
    random.Random(phase.name).shuffle(todo)
    return in_turn(phase, todo)


class Killed(Exception):
    pass


def test_a_step_killed_anywhere_goes_on_where_it_was(
    stores: Callable[[object], Store], documents: dict[str, Documents]
) -> None:
    cfg = corpus(documents, (20_000, 4_000))
    whole = plain(run(stores("whole"), documents, cfg))
    worked: list[str] = []
    rng = random.Random(2)

    def killing(phase: Phase, todo: list[str]) -> Iterable[str]:
        for name in shuffled(phase, todo):
            worked.append(name)
            yield name
            if rng.random() < 0.15:
                raise Killed

    store = stores("killed")
    deaths = 0
    while True:
        try:
            decided = run(store, documents, cfg, killing)
            break
        except Killed:
            deaths += 1
    assert deaths > 5 and plain(decided) == whole
    assert len(worked) == len(set(worked))  # nothing was worked on twice


@pytest.mark.slow
def test_a_step_taken_up_with_another_layout_gives_the_same(
    stores: Callable[[object], Store], documents: dict[str, Documents]
) -> None:
    whole = plain(run(stores("whole"), documents, corpus(documents)))
    store = stores("again")
    for number, layout in enumerate(LAYOUTS[1:], start=4):
        cfg = corpus(documents, layout)
        step = step_of(store, documents, cfg)
        plan = plan_of(step, documents, cfg)
        for _ in range(number):  # so many phases, and then it is given up
            phase = next(plan)
            list(in_turn(phase, [n for n in phase.shards if n not in step.committed_names()]))
    assert plain(run(store, documents, corpus(documents))) == whole


@pytest.mark.slow
def test_nothing_but_the_decisions_is_left_when_the_step_is_done(
    tmp_path: Path, documents: dict[str, Documents]
) -> None:
    decided = run(Store(str(tmp_path / "d")), documents, corpus(documents, (20_000, 4_000)))
    kept = {entry.name for entry in decided.objects()} | {"manifest.json"}
    assert {n for n in decided.store.list() if not n.startswith("shards/")} == kept
    assert {n.rsplit("/", 1)[-1] for n in kept} == {"manifest.json", "index.parquet", "decisions.parquet"}


def test_damage_between_two_phases_is_found(tmp_path: Path, documents: dict[str, Documents]) -> None:
    def damaging(phase: Phase, todo: list[str]) -> Iterable[str]:
        if phase.name == "buckets":
            for path in (tmp_path / "d").rglob("copies.0.runs"):
                path.write_bytes(bytes(len(path.read_bytes())))
        return in_turn(phase, todo)

    with pytest.raises(DamagedError, match=r"copies\.0\.runs is damaged"):
        run(Store(str(tmp_path / "d")), documents, engine=damaging)


def test_survivors_and_clusters_do_not_depend_on_the_order_of_the_input(
    stores: Callable[[object], Store], store: Store
) -> None:
    texts = [text for family in families(9, 40, 6) for text in family]
    seen = []
    for number in range(3):
        random.Random(number).shuffle(texts)
        documents = {"a": ingested(store, "a", [texts[: 50 * number], texts[50 * number :]])}
        decided = decisions_of(run(stores(number), documents, corpus(documents)))
        seen.append({i: json.dumps([d.reason, d.evidence], sort_keys=True) for i, d in decided.items()})
    assert seen[0] == seen[1] == seen[2]


def test_a_cluster_keeps_its_best_and_every_other_names_it(
    store: Store, documents: dict[str, Documents]
) -> None:
    cfg = corpus(documents)
    decided = run(store, documents, cfg)
    texts = {d.id: d.text for docs in documents.values() for s in docs.shards for d in docs.read(s.name)}
    decisions = decisions_of(decided)
    for decision in decisions.values():
        if decision.reason == "exact":
            assert texts[decision.id] == texts[decision.evidence["kept"]]
        if decision.reason == "near":
            kept = decision.evidence["kept"]
            assert decisions[kept].keep and 0.4 < decision.evidence["similarity"] <= 1
    assert decided.facts["clusters"] == 12 + 1 and decided.facts["largest_cluster"] == 5
    for example in decided.facts["examples"]:
        assert decisions[example["dropped"].removeprefix("url:")].evidence["kept"] in example["kept"]


def test_holding_out_an_unknown_group_fails_before_any_work(store: Store) -> None:
    documents = {"a": ingested(store, "a", [["some text"]], group="seen")}
    cfg = corpus_of(documents, holdout=["sene"])
    step = step_of(store, documents, cfg)
    with pytest.raises(InputError, match=r"corpus\.holdout names sene, which is no group; there are: seen"):
        execute(step, plan_of(step, documents, cfg))
    assert not step.committed_names()


@pytest.mark.parametrize("shards", [[], [[]], [[""]], [["one"]], [["", ""]]])
def test_a_corpus_of_nothing_or_little_is_decided_too(store: Store, shards: list[list[str]]) -> None:
    documents = {"a": ingested(store, "a", shards)}
    decided = run(store, documents)
    assert decided.counts.get("documents", 0) == sum(map(len, shards))
