"""Held-out text: gathered once, in the order in which it is scored, and read as one object a source."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llama_core.artifact import Artifact, Shard
from llama_core.corpus.document import Document, write_documents
from llama_core.corpus.training_text import TrainingText
from llama_core.errors import DamagedError
from llama_core.phases import Phase, execute, in_turn
from llama_core.protocols import local_disk
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokens import heldout, histograms, shards
from llama_core.tokens.heldout import HELDOUT, sources, texts
from llama_core.tokens.histograms import HISTOGRAMS, unigram

TEXTS = [f"{i:06d} é{'x' * (i % 17)}" for i in range(60)]
EVERYTHING = sum(len(text.encode()) for text in TEXTS)


def corpus(store: Store, shards: dict[str, list[str]]) -> Artifact:
    """`shards`: the held-out texts of each; the id of a document is how its text begins."""
    step = Step(store, "corpus", 1, {"shards": shards})
    for name, found in shards.items():
        with step.shard(name) as shard:
            shard.facts = {"source": name.split(".")[0], "group": ""}
            if found:
                with shard.publish(f"{name}/heldout.parquet") as file:
                    write_documents(file, [Document(t[:6], t, "", "", "", "", "", "{}") for t in found])
    return step.commit(list(shards))


def gather(store: Store, shards: dict[str, list[str]]) -> Artifact:
    step = Step(store, "tokens", 1, {"shards": shards})

    def plan() -> Any:
        yield from heldout.phases(step, corpus(store, shards))
        return {"shards": [HELDOUT]}

    return execute(step, plan())


@pytest.fixture(params=[1, 2, 500])
def batch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(heldout, "BATCH", request.param)
    return request.param


def test_which_texts_are_chosen_does_not_depend_on_shards_batches_or_order(store: Store, batch: int) -> None:
    one = gather(store.at("one"), {"code.a": TEXTS})
    parts = {"code.b": TEXTS[::-3], "code.c": TEXTS[1::3], "code.d": TEXTS[0::3], "docs.a": ["x" * 9]}
    many = gather(store.at("many"), parts | {"code.empty": [], "web.empty": []})
    assert sources(many) == ["code", "docs"] and texts(many, "docs", 100) == ["x" * 9]
    for limit in (1, 8, 101, 400, EVERYTHING + 1):
        assert texts(one, "code", limit) == list(dict.fromkeys(texts(many, "code", limit)))[: len(TEXTS)]
    assert sorted(texts(one, "code", EVERYTHING)) == sorted(TEXTS)


# Written down when every rank still read every shard: the same texts are scored since.
def test_the_order_is_that_of_the_keyed_hashes_of_the_ids(store: Store) -> None:
    found = texts(gather(store, {"code.a": TEXTS}), "code", 100)
    assert [text[:6] for text in found] == ["000001", "000048", "000040", "000044", "000051", "000033"]


@pytest.mark.parametrize("limit", [1, 7, 8, 100, 101, 102, 103, 10_000])
def test_no_more_than_the_limit_is_scored(store: Store, limit: int) -> None:
    found = texts(gather(store, {"code.a": TEXTS}), "code", limit)
    size = sum(len(text.encode()) for text in found)
    assert min(limit, EVERYTHING) - 1 <= size <= limit  # a character of two bytes may not fit
    assert all(any(whole.startswith(text) for whole in TEXTS) for text in found)


@pytest.mark.parametrize("limit", [1, 40, 250])
def test_what_is_gathered_is_bounded_and_its_beginning_is_the_choice(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(heldout, "BATCH", 2)
    many = {f"code.{i:02d}": TEXTS[i::9] for i in range(9)}
    everything = texts(gather(store.at("whole"), many), "code", limit)
    monkeypatch.setattr(heldout, "MOST_HELDOUT", 250)
    bounded = gather(store.at("bounded"), many)
    assert texts(bounded, "code", limit) == everything
    assert 250 <= sum(len(t.encode()) for t in texts(bounded, "code", EVERYTHING)) < 250 + 25


def test_the_tokens_step_gathers_it_and_its_digest_is_that_of_the_tokens(
    store: Store, tokenizer_artifact: Artifact
) -> None:
    text = TrainingText(corpus(store, {"code.a": TEXTS, "docs.a": []}))
    step = Step(store, "tokens", shards.REVISION, {}, {"corpus": text})
    tokens = execute(step, shards.plan(step, text, tokenizer_artifact, text.corpus.shards))
    assert {shard.name for shard in tokens.shards} == {"code.a", "docs.a", HISTOGRAMS, HELDOUT}
    assert sorted(texts(tokens, "code", EVERYTHING)) == sorted(TEXTS)
    listed = {entry.name for entry in tokens.objects()}
    assert {name for name in store.at(tokens.name).list() if name.startswith("a-")} == listed
    without = corpus(store, {"code.a": [], "docs.a": []})
    other = Step(store, "tokens", shards.REVISION, {}, {"corpus": without})
    made = execute(other, shards.plan(other, TrainingText(without), tokenizer_artifact, without.shards))
    assert made.digest == tokens.digest and sources(made) == []


def test_a_step_that_is_killed_in_between_goes_on_where_it_was(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heldout, "BATCH", 1)
    found = corpus(store, {"code.a": TEXTS[:9], "code.b": TEXTS[9:], "docs.a": TEXTS[:3]})
    worked: list[str] = []

    def plan(step: Step) -> Any:
        yield from heldout.phases(step, found)
        return {"shards": [HELDOUT]}

    def engine(until: int) -> Callable[[Phase, list[str]], Iterable[str]]:
        def work(phase: Phase, todo: list[str]) -> Iterable[str]:
            for name in todo:
                if len(worked) == until:
                    raise KeyboardInterrupt
                worked.extend(in_turn(phase, [name]))
                yield name

        return work

    for until in range(4):
        step = Step(store, "tokens", 1, {})
        with pytest.raises(KeyboardInterrupt):
            execute(step, plan(step), engine(until))
    step = Step(store, "tokens", 1, {})
    tokens = execute(step, plan(step), engine(99))
    assert len(worked) == len(set(worked)) == 4
    assert texts(tokens, "code", 300) == texts(gather(store.at("again"), {"code.a": TEXTS}), "code", 300)


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_object_is_named(store: Store, damage: str) -> None:
    tokens = gather(store, {"code.a": TEXTS})
    path = Path(tokens.store.path(tokens.shard(HELDOUT).object("/code.parquet").name))
    data = path.read_bytes()
    path.write_bytes(data[:-9] if damage == "cut" else data[:50] + bytes([data[50] ^ 1]) + data[51:])
    with pytest.raises(DamagedError, match=r"heldout/code\.parquet"):
        texts(tokens, "code", 100)


def test_tokens_without_it_are_refused(store: Store) -> None:
    with pytest.raises(DamagedError, match="no shard 'heldout'"):
        sources(Step(store, "tokens", 1, {}).commit([]))


def made_up(store: Store, n: int) -> Artifact:
    """Tokens of n shards, of which none is there but what is prepared; the index names them all."""
    step = Step(store, "tokens", 1, {"n": n})
    with step.shard(HISTOGRAMS) as out:
        for source in ("code", "docs"):
            with out.publish(f"{HISTOGRAMS}/{source}.npy") as file:
                histograms.write(file, np.arange(300))
        out.facts["sources"] = ["code", "docs"]
    with step.shard(HELDOUT) as out:
        for source in ("code", "docs"):
            heldout._write(
                out, f"{HELDOUT}/{source}.parquet", heldout.first(((t[:6], t) for t in TEXTS), 900)
            )
        out.facts["sources"] = ["code", "docs"]
    prepared = step.committed_shards([HELDOUT, HISTOGRAMS])
    facts = {"source": "code", "dtype": "uint16", "pages": ["0" * 64]}
    names = [f"code.{i:06d}" for i in range(n)]

    def listed(_: Iterable[str]) -> Iterable[Shard]:
        yield from (Shard(name, "0" * 64, (), {"tokens": 1000}, facts) for name in names)
        yield from prepared

    step.each_committed = listed  # type: ignore[assignment,method-assign]
    return step.commit([HELDOUT, HISTOGRAMS])


def reads(tokens: Artifact, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What is opened and listed where an evaluation starts, counted at the file system."""
    seen: Counter[str] = Counter()
    opened, listed = local_disk.open_regular, type(tokens.store.fs).find

    def counting(path: str) -> Any:
        seen[Path(path).name] += 1
        return opened(path)

    def listing(fs: Any, path: str, *args: Any, **kwargs: Any) -> Any:
        seen["(a listing)"] += 1
        return listed(fs, path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(local_disk, "open_regular", counting)
        patch.setattr(type(tokens.store.fs), "find", listing)
        again = Artifact.open(tokens.store)
        assert [sum(len(t.encode()) for t in texts(again, name, 500)) for name in sources(again)] == [500] * 2
        assert len(unigram(again, {"code": 0.5, "docs": 0.5})) == 300
    return seen


def test_an_evaluation_starts_with_as_many_reads_of_100_000_shards_as_of_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (reads(made_up(store, n), monkeypatch) for n in (1, 100_000))
    names = ("manifest.json", "index.parquet", "code.parquet", "docs.parquet", "code.npy", "docs.npy")
    assert few == many == dict.fromkeys(names, 1)
