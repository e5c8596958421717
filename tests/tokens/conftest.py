"""A small corpus with its tokenizer and token shards, made by the stages themselves."""

import random
from collections.abc import Callable

import pytest

from llama_core import recipe
from llama_core.artifact import Artifact
from llama_core.corpus.document import Document, document_id, write_documents
from llama_core.corpus.training_text import TrainingText
from llama_core.phases import execute
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokenizer.train import REVISION, train_tokenizer
from llama_core.tokens import shards

MIXTURE = {"code": 0.6, "docs": 0.4}
WORDS = ["hello", "world", "the", "loss", "of", "model", "def", "return", "import", "self", "value"]


def make_corpus(store: Store, sizes: dict[str, int]) -> Artifact:
    """`sizes`: documents of each shard, named `<source>.<part>`; the same names give the same text."""
    step = Step(store, "corpus", 1, {"sizes": sizes})
    for name, count in sizes.items():
        source, rng = name.split(".")[0], random.Random(name)
        texts = [" ".join(rng.choices(WORDS, k=rng.randrange(1, 80))) + "\n" for _ in range(count)]
        with step.shard(name) as shard:
            if texts:
                with shard.publish(f"{name}/train.parquet") as file:
                    ids = [document_id(source, f"{name} {i}") for i in range(count)]
                    rows = zip(ids, texts, strict=True)
                    write_documents(file, (Document(i, t, source, "", "", "", "", "{}") for i, t in rows))
            shard.counts.update({"documents.train": count, "bytes.train": sum(map(len, texts))})
            shard.facts = {"source": source, "group": name}
    return step.commit(list(sizes))


@pytest.fixture(scope="session")
def tokenizer_artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    store = Store(str(tmp_path_factory.mktemp("tokenizer")))
    corpus = make_corpus(store, {"code.a": 100, "docs.a": 100})
    step = Step(store, "tokenizer", REVISION, {})
    cfg = recipe.TokenizerSection(vocab_size=300, sample_bytes=50_000)
    train_tokenizer(step, TrainingText(corpus), cfg, MIXTURE)
    return step.commit(["tokenizer"])


@pytest.fixture
def make_tokens(store: Store, tokenizer_artifact: Artifact) -> Callable[..., Artifact]:
    """Token shards of a corpus with these numbers of documents: make_tokens({"code.a": 100, ...})."""

    def make(sizes: dict[str, int]) -> Artifact:
        corpus = make_corpus(store, sizes)
        step = Step(store, "tokens", shards.REVISION, {}, {"corpus": corpus})
        plan = shards.plan(step, TrainingText(corpus), tokenizer_artifact, corpus.shards)
        return execute(step, plan)

    return make
