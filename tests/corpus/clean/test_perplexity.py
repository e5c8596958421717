"""Language models trained by the pipeline, and buckets by perplexity."""

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import kenlm
import numpy as np
import pytest
import sentencepiece as spm
import zstandard
from corpus.helpers import texts_of
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.artifact import Artifact
from llama_core.corpus.clean import language_model, perplexity
from llama_core.corpus.clean.normalize import normalized_lines
from llama_core.corpus.clean.recipe import Perplexity
from llama_core.corpus.decisions import read_decisions
from llama_core.corpus.documents import Documents
from llama_core.corpus.partition import KeyRuns, publish_runs
from llama_core.errors import InputError, LlamaError
from llama_core.phases import Phase, execute, in_turn
from llama_core.step import Step
from llama_core.store import Store

NOUNS = "river town bridge castle king church valley battle road school market island".split()  # noqa: SIM905
VERBS = "crosses follows holds rules serves leaves joins divides".split()  # noqa: SIM905
SMALL = Perplexity(train_on="wiki", vocab_size=200, order=3)


def article(rng: random.Random) -> str:
    sentences = [
        f"The {rng.choice(NOUNS)} {rng.choice(VERBS)} the old {rng.choice(NOUNS)}." for _ in range(6)
    ]
    return "\n".join(" ".join(sentences[i : i + 2]) for i in (0, 2, 4))


@pytest.fixture
def wiki(documents: Callable[..., Documents]) -> Documents:
    rng = random.Random(1)
    shards = {f"dump-{i}": [f"{article(rng)} {i}.{j}." for j in range(60)] for i in range(2)}
    fields = {text: {"language": "en"} for texts in shards.values() for text in texts}
    return documents(shards, name="wiki", fields=fields)


@pytest.fixture
def models(wiki: Documents, store: Store) -> Callable[..., Artifact]:
    def train(cfg: Perplexity = SMALL, languages: tuple[str, ...] = ("en",), at: Store = store) -> Artifact:
        step = Step(at, "language_models", 0, cfg.model_identity() | {"languages": languages}, {"wiki": wiki})
        return execute(step, language_model.plan(step, wiki, languages, cfg))

    return train


BINARY = b"mmap lm http://kheafield.com/code format version 5\n\0" * 40
NO_MODELS = {
    "binary": ("ngrams.arpa.zst", zstandard.compress(BINARY)),
    "no numbers": ("ngrams.arpa.zst", zstandard.compress(b"\\data\\\nngram 1=many\n")),
    "not packed": ("ngrams.arpa.zst", b"not packed"),
    "no pieces": ("pieces.model", b"no model"),
}


@pytest.mark.parametrize("case", NO_MODELS)
def test_a_model_that_is_none_is_named(models: Callable[..., Artifact], store: Store, case: str) -> None:
    (name, data), trained = NO_MODELS[case], models()
    step = Step(store, "language_models", 0, {"case": case})
    with step.shard("en") as shard:
        for entry in trained.shard("en").objects:
            own = entry.name.endswith(name)
            shard.publish_bytes(f"en/{entry.name.rsplit('/', 1)[1]}", data if own else trained.read(entry))
    with pytest.raises(LlamaError, match=re.escape(name)):
        language_model.scorer(step.commit(["en"]), "en")


def test_text_is_normalised_as_by_ccnet() -> None:
    text = "  Café «Zürich» — 1984…\n\n\tÅ１２ ，ok\x07 \n\x00"
    assert normalized_lines(text) == ['cafe "zurich"  -  0000...', "a00 ,ok"]


@given(st.text(st.sampled_from("aÉßİ1٣«—…\t\x85 \u0301"), max_size=20))
def test_a_line_is_normalised_as_by_the_rules_one_after_another(line: str) -> None:
    slow = unicodedata.normalize("NFD", line.strip().lower())
    slow = re.sub(r"\d", "0", "".join(c for c in slow if unicodedata.category(c) != "Mn"))
    slow = slow.replace("«", '"').replace("—", " - ").replace("…", "...")
    slow = "".join(c for c in slow if not (ord(c) < 32 or 127 <= ord(c) < 160))
    assert normalized_lines(line) == ([slow] if slow else [])


def test_the_perplexity_is_that_of_kenlm_over_pieces(
    models: Callable[..., Artifact], tmp_path: object
) -> None:
    trained = models()
    text = "The king rules the old town.\nThe zebra, however, drinks 12 coffees."
    shard = trained.shard("en")
    pieces = spm.SentencePieceProcessor(model_proto=trained.read(shard.object("pieces.model")))
    import zstandard

    arpa = f"{tmp_path}/en.arpa"
    packed = trained.read(shard.object("ngrams.arpa.zst"))
    with open(arpa, "wb") as file:
        file.write(zstandard.ZstdDecompressor().decompressobj().decompress(packed))
    model = kenlm.Model(arpa)
    score = length = 0
    for line in ("the king rules the old town.", "the zebra, however, drinks 00 coffees."):
        tokens = pieces.encode(line, out_type=str)
        score += model.score(" ".join(tokens))
        length += len(tokens) + 1
    found = language_model.scorer(trained, "en").perplexity(text)
    assert found == pytest.approx(10 ** (-score / length))
    assert model.order == 3


def test_prose_like_the_articles_is_less_perplexing_than_noise(models: Callable[..., Artifact]) -> None:
    scorer = language_model.scorer(models(), "en")
    like = scorer.perplexity("The bridge follows the old road.")
    assert 3 * like < scorer.perplexity("Buy cheap watches online now!!!")
    assert scorer.perplexity("\n \n") == float("inf")


def test_equal_articles_give_equal_models(models: Callable[..., Artifact], tmp_path: object) -> None:
    one, two = models(), models(at=Store(f"{tmp_path}/other"))
    assert one.digest == two.digest
    assert models(SMALL.model_copy(update={"seed": 2, "articles": 60})).digest != one.digest


def test_the_articles_are_as_many_as_the_budget_allows_whatever_their_shards(
    models: Callable[..., Artifact], wiki: Documents
) -> None:
    assert models(SMALL.model_copy(update={"articles": 7})).counts["articles"] == 7
    small = models(SMALL.model_copy(update={"train_bytes": 5000})).counts
    assert 4500 < small["bytes"] <= 5000


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), unique_by=lambda t: t[0]), st.integers(0, 30)
)
def test_texts_are_drawn_by_priority_until_the_first_that_does_not_fit(
    texts: list[tuple[int, int]], budget: int
) -> None:
    drawn = language_model.Drawn(100, budget)
    for priority, size in texts:
        drawn.add(priority, "x" * size)
    expected, total = [], 0
    for priority, size in sorted(texts):
        total += size
        if total > budget:
            break
        expected.append((priority, "x" * size))
    assert drawn.in_order() == expected


def test_a_language_without_articles_is_an_error_that_says_what_to_do(
    models: Callable[..., Artifact],
) -> None:
    with pytest.raises(InputError, match=r"no text in 'de'.*language\.keep"):
        models(languages=("de", "en"))


def test_documents_are_divided_at_the_percentiles_of_their_language(
    documents: Callable[..., Documents], decide: Callable[..., Artifact], models: Callable[..., Artifact]
) -> None:
    rng = random.Random(2)
    noise = ["".join(rng.choices("qzxjkvw", k=40)) for _ in range(4)]
    half = [f"{article(rng)}\n" + "".join(rng.choices("qzxjkvw", k=30)) for _ in range(3)]
    prose = [article(rng) for _ in range(3)]
    texts = noise + half + prose
    web = documents({"a": texts[::2], "b": texts[1::2]}, fields={t: {"language": "en"} for t in texts})
    decided = decide(web, partial(perplexity.plan, models=models(), cfg=SMALL))
    assert sorted(texts_of(web.after(decided))) == sorted(half + prose)
    assert decided.counts["bucket.head"] == decided.counts["bucket.middle"] == 3
    assert decided.counts["dropped.perplexity_tail"] == decided.counts["bucket.tail"] == 4
    evidence = [d.evidence for shard in ("a", "b") for d in read_decisions(decided, shard)]
    head, middle = decided.facts["cutoffs"]["en"]
    for e in evidence:
        value = e["perplexity"]
        assert e["bucket"] == ("head" if value <= head else "middle" if value <= middle else "tail")

    def backwards(phase: Phase, todo: list[str]) -> Iterable[str]:
        return in_turn(phase, todo[::-1])

    other = Store(f"{decided.store.url}-again")
    again = decide(web, partial(perplexity.plan, models=models(), cfg=SMALL), backwards, other)
    assert again.digest == decided.digest


def test_each_language_has_its_own_model_and_percentiles(
    documents: Callable[..., Documents], decide: Callable[..., Artifact], store: Store
) -> None:
    rng = random.Random(4)
    english = [f"{article(rng)} {i}" for i in range(40)]
    other = [text.translate(str.maketrans("aeiou", "eioua")) for text in english]
    fields = {t: {"language": "en"} for t in english} | {t: {"language": "xx"} for t in other}
    wiki = documents({"dump": english + other}, name="wiki", fields=fields)
    step = Step(store, "language_models", 0, {}, {"wiki": wiki})
    models = execute(step, language_model.plan(step, wiki, ["en", "xx"], SMALL))
    pages = {f"{text} {'qzxj ' * i}": fields[text] for i, text in enumerate([*english[:10], *other[:20]])}
    web = documents({"a": list(pages), "b": []}, fields=pages)
    decided = decide(web, partial(perplexity.plan, models=models, cfg=SMALL))
    assert set(decided.facts["cutoffs"]) == {"en", "xx"}
    kept = Counter(d.language for d in web.after(decided).read("a"))
    assert 6 <= kept["en"] <= 7 and 12 <= kept["xx"] <= 14  # equals of the last one stay with it
    own = language_model.scorer(models, "xx").perplexity(other[0])
    assert language_model.scorer(models, "en").perplexity(other[0]) > 3 * own


@given(
    st.lists(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 3000), max_size=30), min_size=1, max_size=4)
)
@settings(max_examples=25, deadline=None)
def test_a_percentile_from_runs_is_the_percentile(shards: list[list[int]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        step = Step(Store(folder), "percentiles", 0, {})
        names = [f"s{i}" for i in range(len(shards))]
        for name, values in zip(names, shards, strict=True):
            with step.shard(name) as out:
                rows = np.array(values, np.uint32)
                publish_runs(out, "en", rows, perplexity._partition_of(rows), perplexity.PARTITIONS)
        runs = KeyRuns.of(step, step.committed_shards(names), "en", np.uint32)
        found = perplexity._percentiles(runs, (0.3, 0.6))
    values = sorted(v for shard in shards for v in shard)
    for share, cut in zip((0.3, 0.6), found):
        assert Counter(v <= cut for v in values)[True] >= share * len(values)
        assert Counter(v < cut for v in values)[True] < share * len(values)
    assert bool(found) == bool(values)
