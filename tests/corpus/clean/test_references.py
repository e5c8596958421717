"""The classifier of pages that Wikipedia cites."""

import json
import pickle
import random
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus.helpers import texts_of
from hypothesis import given
from hypothesis import strategies as st

from llama_core.artifact import Artifact
from llama_core.corpus.clean import linear, references
from llama_core.corpus.clean.recipe import References
from llama_core.corpus.decisions import read_decisions
from llama_core.corpus.documents import Documents
from llama_core.errors import InputError
from llama_core.phases import Phase, in_turn
from llama_core.store import Store

SOBER = "study report journal evidence history theory published university survey archive".split()  # noqa: SIM905
SHOP = "buy cheap sale click free shipping discount order cart deal".split()  # noqa: SIM905
SMALL = References(min_examples=10, examples=100, threshold=0.5)


def page(rng: random.Random, words: list[str]) -> str:
    return " ".join(rng.choices([*words, "the", "of", "and"], k=60)) + f" {rng.random()}"


@pytest.fixture
def crawl(documents: Callable[..., Documents]) -> Documents:
    """Eighty pages in two shards, of which forty are sober; every second of those is cited."""
    rng = random.Random(1)
    shards: dict[str, list[str]] = {"a": [], "b": []}
    fields = {}
    for i in range(80):
        text = page(rng, SOBER if i < 40 else SHOP)
        kind = "cited" if i < 40 and i % 2 == 0 else "other"
        fields[text] = {"url": f"http://www.{kind}.example/{i}/"}
        shards["ab"[i // 2 % 2]].append(text)
    return documents(shards, fields=fields)


@pytest.fixture
def wikipedia(documents: Callable[..., Documents]) -> Documents:
    urls = [f"https://cited.example/{i}#top" for i in range(0, 40, 2)]
    articles = {f"article {i}": {"meta": json.dumps({"references": urls[i::2]})} for i in range(2)}
    return documents({"dump": list(articles)}, name="wikipedia", fields=articles)


@pytest.mark.parametrize(
    "url",
    [
        "http://www.example.com/a/",
        "https://example.com/a",
        "HTTPS://Example.com/a#part",
        "https://web.archive.org/web/20190102030405/http://www.example.com/a",
        "http://web.archive.org/web/20190102030405id_/https://example.com/a/",
    ],
)
def test_ways_of_writing_a_url_are_one(url: str) -> None:
    assert references.url_key(url) == references.url_key("http://example.com/a")
    assert references.url_key(url) != references.url_key("http://example.com/a?page=2")


def test_pages_that_are_cited_and_pages_like_them_stay(
    crawl: Documents, wikipedia: Documents, decide: Callable[..., Artifact]
) -> None:
    decided = decide(crawl, partial(references.plan, wikipedia=wikipedia, positives=None, cfg=SMALL))
    kept = texts_of(crawl.after(decided))
    assert sum("cheap" in text for text in kept) <= 2
    assert sum("journal" in text for text in kept) >= 30  # most of the sober pages, cited or not
    facts = decided.facts
    assert (facts["examples_of_each"], facts["train"], facts["held_out"]) == (20, 36, 4)
    assert facts["auc"] >= 0.5
    assert decided.counts["documents"] == decided.counts["kept"] + decided.counts["dropped.unlike_references"]
    for decision in read_decisions(decided, "a"):
        assert decision.keep == (decision.evidence["reference"] >= 0.5)


def test_the_positive_examples_may_be_a_source_of_their_own(
    crawl: Documents, documents: Callable[..., Documents], decide: Callable[..., Artifact]
) -> None:
    rng = random.Random(3)
    pages = documents({"p": [page(rng, SHOP) for _ in range(40)]}, name="pages")
    decided = decide(crawl, partial(references.plan, wikipedia=None, positives=pages, cfg=SMALL))
    kept = texts_of(crawl.after(decided))
    assert sum("journal" in text for text in kept) <= 4  # whatever the examples are like
    assert sum("cheap" in text for text in kept) >= 20  # those drawn as negative examples may not


def test_pages_of_a_source_of_their_own_are_not_taken_off_the_random_ones(
    crawl: Documents, documents: Callable[..., Documents], decide: Callable[..., Artifact]
) -> None:
    pages = documents({"p": [f"{i} {' '.join(SOBER)}" for i in range(100)]}, name="pages")
    cfg = References(min_examples=2, examples=4)  # some 32 examples of each kind are drawn for these
    drawn = {}

    def engine(phase: Phase, todo: list[str]) -> Iterable[str]:
        for name in in_turn(phase, todo):
            if phase.name == "examples":
                step = phase.work.args[0]  # type: ignore[attr-defined]
                [shard] = step.committed_shards([name])
                data = step.folder.read(shard.object("/examples.parquet").name)
                drawn[name] = pq.read_table(pa.BufferReader(data)).num_rows
            yield name

    decide(crawl, partial(references.plan, wikipedia=None, positives=pages, cfg=cfg), engine)
    assert 10 < drawn["examples.web.a"] + drawn["examples.web.b"] < 60


def test_no_artifact_crosses_to_a_worker_with_every_shard(
    crawl: Documents, wikipedia: Documents, decide: Callable[..., Artifact]
) -> None:
    """A worker would read the artifact's whole index again for each of them."""

    def engine(phase: Phase, todo: list[str]) -> Iterable[str]:
        assert b"Artifact" not in pickle.dumps(dict(phase.shards))
        return in_turn(phase, todo)

    decide(crawl, partial(references.plan, wikipedia=wikipedia, positives=None, cfg=SMALL), engine)


def test_too_few_cited_pages_are_an_error_that_says_what_to_do(
    crawl: Documents, wikipedia: Documents, decide: Callable[..., Artifact]
) -> None:
    cfg = References()
    with pytest.raises(InputError, match=r"20 positive .* 1000 of each.*references\.positives"):
        decide(crawl, partial(references.plan, wikipedia=wikipedia, positives=None, cfg=cfg))


def test_order_of_work_and_partitions_do_not_change_a_byte(
    crawl: Documents,
    wikipedia: Documents,
    decide: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: object,
) -> None:
    plan = partial(references.plan, wikipedia=wikipedia, positives=None, cfg=SMALL)
    one = decide(crawl, plan)

    def backwards(phase: Phase, todo: list[str]) -> Iterable[str]:
        return in_turn(phase, todo[::-1])

    monkeypatch.setattr(references, "PARTITION_KEYS", 30)
    two = decide(crawl, plan, backwards, Store(f"{tmp_path}/other"))
    assert (one.digest, one.facts) == (two.digest, two.facts)


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(2, 10**5))
def test_the_rates_give_as_many_examples_as_are_wanted(positive: int, others: int, most: int) -> None:
    rates = references._rates(positive, others, most)
    for n, rate in zip((positive, others), rates, strict=True):
        assert n * rate >= min(most, positive, n)
        assert n * rate <= 2 * min(most, positive) + 60


def test_features_are_the_different_words_and_pairs_of_the_start() -> None:
    assert linear.features("A b").tolist() == linear.features("a, B!").tolist()
    assert len(linear.features("a b")) == 3
    assert len(linear.features("a a a")) == 2
    assert len(linear.features("")) == 1
    long = " ".join(f"w{i}" for i in range(5000))
    assert linear.features(long).tolist() == linear.features(long + " more").tolist()


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_auc_is_the_share_of_pairs_in_order(positive: list[int], negative: list[int]) -> None:
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    found = linear.auc(np.array(positive, float), np.array(negative, float))
    assert found == pytest.approx(sum(pairs) / len(pairs))
