"""What a run is given instead of making it: a corpus or tokens on the store, and what they were made from."""

from dataclasses import dataclass

from llama_core.artifact import Artifact
from llama_core.corpus.documents import Documents
from llama_core.corpus.training_text import TrainingText
from llama_core.errors import InputError
from llama_core.recipe import Recipe
from llama_core.store import Store


@dataclass(frozen=True)
class Given:
    """What a run uses instead of making it: everything up to the step that `run.use` names."""

    documents: dict[str, Documents] | None = None
    corpus: Artifact | None = None
    text: TrainingText | None = None
    tokenizer: Artifact | None = None
    tokens: Artifact | None = None


def given(recipe: Recipe, store: Store) -> Given:
    """Return what a run is given. Raises InputError where it does not fit the recipe, and DamagedError."""
    named = recipe.run.use
    if named is None:
        return Given()
    step = _finished(store, named)
    if step.stage == "corpus":
        return Given(_documents(store, step, recipe), step)
    parents = {role: _finished(store, folders[0]) for role, folders in step.parents.items()}
    tokenizer = parents["tokenizer"]
    if (taken := recipe.tokenizer.imported) not in (None, tokenizer.name):
        raise InputError(
            f"run.use: {named} was made with {tokenizer.name}, and tokenizer.imported is {taken}"
        )
    if (vocab := tokenizer.shard("tokenizer").fact("vocab")) != recipe.tokenizer.vocab_size:
        raise InputError(
            f"run.use: the tokenizer of {named} has {vocab} pieces: set tokenizer.vocab_size to it"
        )
    text = TrainingText(parents["corpus"], parents.get("decontaminate"))
    return Given(_documents(store, text.corpus, recipe), text.corpus, text, tokenizer, step)


def _documents(store: Store, corpus: Artifact, recipe: Recipe) -> dict[str, Documents]:
    """Return the documents that a corpus was made of, by source."""
    if set(corpus.parents) != set(recipe.mixture):
        raise InputError(
            f"run.use: {corpus.name} has the sources {', '.join(sorted(corpus.parents))}, and mixture names "
            f"{', '.join(sorted(recipe.mixture))}"
        )
    documents = {}
    for source in recipe.corpus.sources:
        ingested, *decided = (_finished(store, folder) for folder in corpus.parents[source])
        documents[source] = Documents(source, ingested, tuple(decided))
    return documents


def _finished(store: Store, folder: str) -> Artifact:
    try:
        return Artifact.load(store, folder)
    except FileNotFoundError:
        raise InputError(f"run.use: there is no finished step at {store.url_of(folder)}") from None
