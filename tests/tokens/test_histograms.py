"""Histograms of tokens: summed once, in batches, and read as one object a source."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokens.conftest import make_corpus

from llama_core.artifact import Artifact, digest_of
from llama_core.corpus.training_text import TrainingText
from llama_core.errors import DamagedError
from llama_core.phases import Phase, execute, in_turn
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokens import histograms, shards
from llama_core.tokens.histograms import HISTOGRAMS, unigram
from llama_core.tokens.shards import BESIDE

SIZES = {"code.a": 60, "code.b": 30, "code.c": 7, "code.d": 2, "code.empty": 0, "docs.a": 40}
MIXTURE = {"code": 0.6, "docs": 0.4}


def counts_of(tokens: Artifact, source: str) -> np.ndarray:
    """How often each id occurs in a source's files, read directly."""
    names = [n for n in SIZES if n.startswith(source)]
    ids = np.concatenate(
        [np.frombuffer(tokens.read(tokens.shard(n).object(".bin")), np.uint16) for n in names]
    )
    return np.bincount(ids, minlength=300)


@pytest.fixture
def plan_of(store: Store, tokenizer_artifact: Artifact) -> Callable[..., tuple[Step, Any]]:
    """A new attempt at the same step, and its plan."""
    corpus = make_corpus(store, SIZES)

    def make() -> tuple[Step, Any]:
        step = Step(store, "tokens", shards.REVISION, {}, {"corpus": corpus})
        return step, shards.plan(step, TrainingText(corpus), tokenizer_artifact, corpus.shards)

    return make


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_the_sum_of_a_source_is_that_of_its_tokens(
    plan_of: Callable[..., tuple[Step, Any]], monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(histograms, "BATCH", batch)
    tokens = execute(*plan_of())
    shard = tokens.shard(HISTOGRAMS)
    assert len(shard.objects) == len(MIXTURE) and shard.facts == {"sources": ["code", "docs"]}
    for source in MIXTURE:
        found = np.load(io.BytesIO(tokens.read(shard.object(f"/{HISTOGRAMS}/{source}.npy"))))
        assert found.dtype == np.int64 and (found == counts_of(tokens, source)).all()
    assert {s.name for s in tokens.shards} == {*SIZES, *BESIDE}, "the sums of batches are not part of it"
    listed = {o.name for o in tokens.objects()}
    assert {n for n in tokens.store.list() if n.startswith("a-")} == listed, "nor are they left"
    assert tokens.counts["tokens"] == sum(counts_of(tokens, source).sum() for source in MIXTURE)


def test_the_digest_is_that_of_the_tokens(plan_of: Callable[..., tuple[Step, Any]]) -> None:
    tokens = execute(*plan_of())
    names = [(shard.name, shard.digest) for shard in tokens.shards if shard.name not in BESIDE]
    assert len(names) == len(SIZES) and tokens.digest == digest_of(names)


def test_the_unigram_baseline_is_the_mixture_of_the_sources(make_tokens: Callable[..., Artifact]) -> None:
    tokens = make_tokens(SIZES)
    found = unigram(tokens, MIXTURE)
    expected: Any = 0.0
    for source, share in MIXTURE.items():
        counts = counts_of(tokens, source) + 1
        expected = expected + share * counts / counts.sum()
    assert found.shape == (300,) and found.dtype == np.float64
    assert (found == np.log2(expected)).all(), "to the last bit"
    assert np.isclose(np.exp2(found).sum(), 1)


def test_a_source_without_text_changes_nothing(make_tokens: Callable[..., Artifact]) -> None:
    tokens = make_tokens(SIZES)
    assert (unigram(tokens, MIXTURE | {"web": 0.0}) == unigram(tokens, MIXTURE)).all()


class Reads:
    """Counts the objects that are read, index and manifest aside."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.names: list[str] = []
        read = Store.read

        def counting(store: Store, name: str, *args: Any, **kwargs: Any) -> bytes:
            if not name.endswith((".json", "index.parquet")):
                self.names.append(name.split("/", 1)[1])
            return read(store, name, *args, **kwargs)

        monkeypatch.setattr(Store, "read", counting)


def test_the_baseline_reads_one_object_a_source(
    make_tokens: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = make_tokens(SIZES)
    reads = Reads(monkeypatch)
    unigram(tokens, MIXTURE)
    assert reads.names == ["histograms/code.npy", "histograms/docs.npy"]


def test_no_worker_reads_more_than_a_batch(
    plan_of: Callable[..., tuple[Step, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histograms, "BATCH", 2)
    step, plan = plan_of()
    reads = Reads(monkeypatch)
    seen: dict[str, list[int]] = {}

    def counting(phase: Phase, todo: list[str]) -> Iterable[str]:
        for name in todo:
            before = len(reads.names)
            phase.work(phase.shards[name])
            seen.setdefault(phase.name, []).append(len(reads.names) - before)
            yield name

    execute(step, plan, counting)
    assert seen["histograms"] == [2, 2, 1, 1]  # of the shards of code, and of docs
    assert seen["sources"] == [4]


@pytest.mark.parametrize("phase", ["histograms", "sources"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_step_that_is_killed_between_phases_goes_on_where_it_was(
    plan_of: Callable[..., tuple[Step, Any]], monkeypatch: pytest.MonkeyPatch, phase: str, after: int
) -> None:
    monkeypatch.setattr(histograms, "BATCH", 2)
    worked: list[str] = []

    def engine(until: str | None) -> Callable[[Phase, list[str]], Iterable[str]]:
        def work(now: Phase, todo: list[str]) -> Iterable[str]:
            for number, name in enumerate(todo):
                if now.name == until and number == after:
                    raise KeyboardInterrupt
                worked.extend(in_turn(now, [name]))
                yield name
            if now.name == until:
                raise KeyboardInterrupt

        return work

    with pytest.raises(KeyboardInterrupt):
        execute(*plan_of(), engine(phase))
    first = len(worked)
    tokens = execute(*plan_of(), engine(None))
    assert 0 < first <= len(worked) and len(worked) == len(set(worked)) == len(SIZES) + 4 + len(BESIDE)
    for source in MIXTURE:
        entry = tokens.shard(HISTOGRAMS).object(f"/{HISTOGRAMS}/{source}.npy")
        assert (np.load(io.BytesIO(tokens.read(entry))) == counts_of(tokens, source)).all()


def _bytes(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


HOSTILE = {
    "empty": b"",
    "no numpy": b"PK\x03\x04" + b"x" * 200,
    "cut": _bytes(np.zeros(300, np.int64))[:-1],
    "longer": _bytes(np.zeros(300, np.int64)) + b"x",
    "another dtype": _bytes(np.zeros(300, np.int32)),
    "two dimensions": _bytes(np.zeros((3, 100), np.int64)),
    "fewer ids": _bytes(np.zeros(299, np.int64)),
    "less than nothing": _bytes(np.full(300, -1)),
    "objects": _bytes(np.array([{}], object)),
    "a claim": _bytes(np.zeros(300, np.int64)).replace(b"(300,), }         ", b"(300000000000,), }"),
    "code": _bytes(np.zeros(300, np.int64)).replace(b"(300,)", b"exit()"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_sum_that_is_none_is_named(store: Store, name: str) -> None:
    step = Step(store, "tokens", shards.REVISION, {})
    with step.shard(HISTOGRAMS) as shard:
        shard.publish_bytes(f"{HISTOGRAMS}/code.npy", _bytes(np.ones(300, np.int64)))
        shard.publish_bytes(f"{HISTOGRAMS}/docs.npy", HOSTILE[name])
        shard.facts = {"sources": ["code", "docs"]}
    with pytest.raises(DamagedError, match=r"histograms/docs\.npy is damaged"):
        unigram(step.commit([HISTOGRAMS]), MIXTURE)


@pytest.mark.parametrize("name", [*HOSTILE, "another sum"])
def test_a_histogram_that_is_none_is_summed_into_nothing(store: Store, name: str) -> None:
    corpus = make_corpus(store, {"web.a": 0, "web.b": 0})
    step = Step(store, "tokens", shards.REVISION, {})
    data = HOSTILE.get(name, _bytes(np.ones(300, np.int64)))
    for part, found, tokens in (("a", _bytes(np.ones(300, np.int64)), 300), ("b", data, 0)):
        with step.shard(f"web.{part}") as shard:
            shard.publish_bytes(f"web.{part}.histogram.npy", found)
            shard.counts["tokens"] = tokens
    first, *_ = histograms.phases(step, corpus.shards)
    with pytest.raises(DamagedError, match=r"web\.b\.histogram\.npy is damaged"):
        list(in_turn(first, list(first.shards)))
    assert step.committed_names() == {"web.a", "web.b"}


def test_a_changed_sum_is_named(make_tokens: Callable[..., Artifact]) -> None:
    tokens = make_tokens(SIZES)
    path = Path(tokens.store.path(tokens.shard(HISTOGRAMS).object("/docs.npy").name))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedError, match=r"histograms/docs\.npy"):
        unigram(tokens, MIXTURE)


@pytest.mark.parametrize("facts", [{}, {"sources": "docs"}, {"sources": [1]}, {"sources": ["docs"]}])
def test_a_shard_of_sums_that_lacks_something_is_refused(store: Store, facts: dict[str, Any]) -> None:
    step = Step(store, "tokens", shards.REVISION, {})
    with step.shard(HISTOGRAMS) as shard:
        shard.facts = facts
    tokens = step.commit([HISTOGRAMS])
    with pytest.raises(DamagedError, match="histograms"):
        unigram(tokens, MIXTURE)


def test_tokens_without_sums_are_refused(store: Store) -> None:
    with pytest.raises(DamagedError, match="no shard 'histograms'"):
        unigram(Step(store, "tokens", 1, {}).commit([]), MIXTURE)
