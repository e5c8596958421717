"""A small model with all that it was made from, for tests of what comes after training."""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from llama_core.artifact import Artifact
from llama_core.corpus.document import Document, document_id, write_documents
from llama_core.corpus.training_text import TrainingText
from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.phases import execute
from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokenizer.train import train_tokenizer
from llama_core.tokens import shards
from llama_core.train import REVISION, checkpoint
from llama_core.train.digest import model_digest
from llama_core.train.distributed import World, join
from llama_core.train.optimizer import make_optimizer

SMALL = {"tokenizer.vocab_size": 512, "tokenizer.sample_bytes": 200_000, "train.init_std": 0.2}


@dataclass(frozen=True)
class Trained:
    """Artifacts by role. The weights are drawn, not trained: spread enough that logits differ."""

    recipe: Recipe
    store: Store
    inputs: dict[str, Artifact]

    @property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self.inputs["tokenizer"])

    def model(self) -> Llama:
        train = self.inputs["train"]
        model = Llama(self.recipe.model, self.tokenizer.n_words)
        checkpoint.load_weights(train.store, train.shard(train.facts["final"]), model)
        return model.eval()


def make_trained(store: Store, **overrides: object) -> Trained:
    recipe = load_recipe("micro", SMALL | overrides)
    corpus = _corpus(store)
    step = Step(store, "tokenizer", 1, {}, {"corpus": corpus})
    train_tokenizer(step, TrainingText(corpus), recipe.tokenizer, recipe.mixture)
    tokenizer = step.commit(["tokenizer"])
    step = Step(store, "tokens", 1, {}, {"corpus": corpus, "tokenizer": tokenizer})
    tokens = execute(step, shards.plan(step, TrainingText(corpus), tokenizer, corpus.shards))
    identity = {"model": recipe.model.identity(), "train": recipe.train.identity()}
    step = Step(store, "train", REVISION, identity, {"tokens": tokens})
    train = _train(step, recipe, Tokenizer.load(tokenizer).n_words, join("cpu"))
    return Trained(
        recipe, store, {"corpus": corpus, "tokenizer": tokenizer, "tokens": tokens, "train": train}
    )


def package_texts(name: str) -> list[tuple[str, str]]:
    """(path, text) of an installed package's Python files."""
    files = [f for f in importlib.metadata.files(name) or [] if f.suffix == ".py"]
    return [(str(f), Path(str(f.locate())).read_text("utf-8")) for f in sorted(files, key=str)]


def _corpus(store: Store) -> Artifact:
    step = Step(store, "corpus", 1, {"made": "for tests"})
    for source, package in (("code", "click"), ("docs", "jinja2")):
        texts = [(path, text) for path, text in package_texts(package) if len(text) > 500]
        with step.shard(f"{source}.{package}") as shard:
            shard.facts = {"source": source, "group": package}
            for split, part in (("train", texts[3:]), ("heldout", texts[:3])):
                with shard.publish(f"{shard.name}/{split}.parquet") as file:
                    write_documents(
                        file,
                        [
                            Document(document_id(source, path), text, source, path, "BSD", "en", "", "{}")
                            for path, text in part
                        ],
                    )
                shard.counts[f"documents.{split}"] = len(part)
                shard.counts[f"bytes.{split}"] = sum(len(text.encode()) for _, text in part)
    return step.commit([f"{source}.{package}" for source, package in (("code", "click"), ("docs", "jinja2"))])


def _train(step: Step, recipe: Recipe, vocab_size: int, world: World) -> Artifact:
    model = Llama(recipe.model, vocab_size)
    init_weights(model, model.cfg, recipe.train.init_std, seed=1)
    optimizer = make_optimizer(model, recipe.train)
    progress = checkpoint.TrainState(1, 1024, "none")
    checkpoint.save(step, model, optimizer, progress, world)
    checkpoint.finish(step, progress, 1, model_digest(model), {})
    artifact = step.finished()
    assert artifact is not None
    return artifact
