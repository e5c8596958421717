"""The fixtures of trainings: see `trainings.py`; and of those with held-out text."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from trainings import HELD_OUT, tokens, training

from llama_core.artifact import Artifact
from llama_core.corpus.document import Document, document_id, write_documents
from llama_core.corpus.training_text import TrainingText
from llama_core.job import Job
from llama_core.phases import execute
from llama_core.step import Implied, Inputs, Step
from llama_core.store import Store
from llama_core.tokens import shards
from llama_core.train import REVISION

__all__ = ["prepared", "tokens", "training", "validated"]


@pytest.fixture(scope="session")
def prepared(tokens: tuple[Store, Artifact, Artifact]) -> Artifact:
    """Tokens with held-out text beside them: short documents, and one that is longer than a sequence."""
    store, tokenizer, _ = tokens
    step = Step(store, "corpus", 1, {"heldout": True})
    for source in ("code", "docs"):
        with step.shard(f"{source}.one") as shard:
            for split, texts in (("heldout", HELD_OUT), ("train", [f"{i} of them" * 20 for i in range(300)])):
                rows = [
                    Document(
                        document_id(source, f"{split} {i}"), f"{source} {t}", source, "", "", "", "", "{}"
                    )
                    for i, t in enumerate(texts)
                ]
                with shard.publish(f"{source}.one/{split}.parquet") as file:
                    write_documents(file, rows)
                shard.counts[f"documents.{split}"] = len(rows)
            shard.facts = {"source": source, "group": "one"}
    text = TrainingText(step.commit([f"{source}.one" for source in ("code", "docs")]))
    made = Step(store, "tokens", 1, {}, {"corpus": text})
    return execute(made, shards.plan(made, text, tokenizer, text.shards))


@pytest.fixture
def validated(training: Callable[..., Any], prepared: Artifact) -> Callable[..., Any]:
    """As `training`, with held-out text."""

    def make(**overrides: Any) -> Any:
        made = training(**overrides)
        old = made.step
        tokenizer = Implied(Artifact.load(old.root, old.parents["tokenizer"][0]))
        inputs: Inputs = {"tokens": prepared, "tokenizer": tokenizer}
        step = Step(old.root, "train", REVISION, {"test": secrets.token_hex(8)}, inputs)
        made.job = Job(step, made.job.recipe)
        return made

    return make
