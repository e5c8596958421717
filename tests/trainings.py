"""A small corpus as tokens, training jobs on it as real processes, and what tests do with them."""

import random
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import programs
import pytest

from llama_core.artifact import Artifact
from llama_core.corpus.document import Document, document_id, write_documents
from llama_core.corpus.training_text import TrainingText
from llama_core.job import Job
from llama_core.phases import execute
from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.step import Implied, Step
from llama_core.store import Store
from llama_core.tokenizer.train import train_tokenizer
from llama_core.tokens import shards
from llama_core.train import REVISION, checkpoint
from llama_core.train.metrics.record import records

SMALL = {
    "tokenizer.vocab_size": 400,
    "tokenizer.sample_bytes": 100_000,
    "train.tokens": 20 * 1024,
    "train.init_std": 0.1,
    "train.grad_clip": 0.3,
    "layout.micro_batch": 4,
    "run.save_every": 100,
}


WATCHED = """
from llama_core.train.stability.watchdog import Watchdog
made, beat = Watchdog.__init__, Watchdog.beat
def patient(self, step, rank, seconds):
    made(self, step, rank, 300.0)
def strict(self, n):
    if n > 3:
        self._seconds = {seconds}
    beat(self, n)
Watchdog.__init__, Watchdog.beat = patient, strict
"""


def watched(seconds: float) -> str:
    """A script by which a process hangs where a step takes longer, from the fourth on.

    On a busy machine the start takes longer than that.
    """
    return WATCHED.format(seconds=seconds)


@dataclass
class Training:
    """One train step, run by as many processes as one likes."""

    job: Job

    @property
    def step(self) -> Step:
        return self.job.step

    def publish(self, processes: int = 1, device: str = "cpu", **layout: Any) -> str:
        """The URL of the job in an attempt of its own."""
        recipe = self.job.recipe.model_dump(mode="json", by_alias=True)
        recipe["layout"] |= layout
        recipe["launch"] |= {"procs_per_node": processes, "device": device}
        old = self.step
        step = Step.from_dict(old.as_dict() | {"attempt": None, "execution": {}})
        return Job(step, Recipe.model_validate(recipe)).publish()

    def run(self, processes: int = 1, expect: int = 0, **layout: Any) -> str:
        """Run to the end; what it printed."""
        url = self.publish(processes, **layout)
        done = programs.run("-m", "llama_core.train", url, ranks=processes)
        assert done.returncode == expect, done.stdout
        return done.stdout

    def run_afresh(self, device: str = "cpu", **layout: Any) -> str:
        """Run one process on an interpreter of its own, as a GPU needs it."""
        command = [sys.executable, "-m", "llama_core.train", self.publish(1, device, **layout)]
        done = subprocess.run(
            command, env=programs.environment(), capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def committed(self) -> list[str]:
        return checkpoint.committed(self.step)

    def records(self) -> list[dict[str, Any]]:
        """One record a step, as the finished artifact holds them."""
        return list(records(self.artifact()))

    def artifact(self) -> Artifact:
        artifact = self.step.finished()
        assert artifact is not None
        return artifact


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Artifact, Artifact]:
    """A store with the tokenizer and the tokens of a corpus of made-up sentences."""
    return made_tokens(Store(str(tmp_path_factory.mktemp("tokens"))), load_recipe("micro", SMALL), 300)


def made_tokens(store: Store, recipe: Recipe, n_words: int) -> tuple[Store, Artifact, Artifact]:
    """Make a corpus of sentences of so many words, its tokenizer and its tokens."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(2, 6))) for _ in range(n_words)]
    corpus = Step(store, "corpus", 1, {})
    for source in ("code", "docs"):
        with corpus.shard(f"{source}.one") as shard:
            texts = [" ".join(rng.choices(words, k=rng.randint(20, 200))) for _ in range(200)]
            rows = [
                Document(document_id(source, str(i)), text, source, "", "", "", "", "{}")
                for i, text in enumerate(texts)
            ]
            with shard.publish(f"{source}.one/train.parquet") as file:
                write_documents(file, rows)
            shard.counts |= {"documents.train": len(texts), "bytes.train": sum(map(len, texts))}
            shard.facts = {"source": source, "group": "one"}
    corpus_artifact = corpus.commit(["code.one", "docs.one"])
    tokenizer = Step(store, "tokenizer", 1, {})
    train_tokenizer(tokenizer, TrainingText(corpus_artifact), recipe.tokenizer, recipe.mixture)
    tokenizer_artifact = tokenizer.commit(["tokenizer"])
    step = Step(store, "tokens", 1, {}, {"tokenizer": tokenizer_artifact})
    plan = shards.plan(step, TrainingText(corpus_artifact), tokenizer_artifact, corpus_artifact.shards)
    return store, tokenizer_artifact, execute(step, plan)


@pytest.fixture(scope="session")
def training(tokens: tuple[Store, Artifact, Artifact]) -> Callable[..., Training]:
    """`training(**{"train.lr": 1e-2})`: a train step at an address of its own."""
    return lambda **overrides: training_of(load_recipe("micro", SMALL | overrides), *tokens)


def training_of(recipe: Recipe, store: Store, tokenizer: Artifact, data: Artifact) -> Training:
    """A train step at an address of its own."""
    identity = {"test": secrets.token_hex(8), "train": recipe.train.identity()}
    identity |= {"model": recipe.model.identity()}
    inputs = {"tokens": data, "tokenizer": Implied(tokenizer)}
    return Training(Job(Step(store, "train", REVISION, identity, inputs), recipe))


# The held-out text of each source: short documents, and one that is longer than a sequence.
HELD_OUT = ["a short text", "one two three four five six seven " * 40, "abc def " * 25, "the last one"]


def end_of(training):
    """What two runs that ended alike have in common, bit for bit."""
    return training.artifact().digest, [(r["step"], r["loss"], r["grad_norm"]) for r in training.records()]


def run_and_die(training, at, processes=1):
    """Run until an object whose name ends in `at` is half published, and die there of SIGKILL."""
    script = f"""
import os, signal, sys
from llama_core import store
write = store.Writer.write
def write_half(self, data):
    if self._name.endswith({at!r}):
        write(self, memoryview(data).cast("B")[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(self, data)
store.Writer.write = write_half
create = store.Store.create
def create_or_die(self, name, data):
    if name.endswith({at!r}):
        os.kill(os.getpid(), signal.SIGKILL)
    return create(self, name, data)
store.Store.create = create_or_die
from llama_core.train.run import main
sys.exit(main({training.publish(processes)!r}))
"""
    done = programs.run("-c", script, ranks=processes)
    assert done.returncode == -signal.SIGKILL, done.stdout
