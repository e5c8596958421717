"""A corpus to a SentencePiece tokenizer."""

from typing import Any

from prefect import flow

from flows.corpus import build_corpus
from tasks.run import open_run
from tasks.tokenizer import tokenizer as train_tokenizer


@flow(name="tokenizer", persist_result=False)
def tokenizer(recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None) -> str:
    """Train the recipe's tokenizer, on the corpus that is there or is made now."""
    run = open_run(recipe, overrides, store, trains=False)
    made = build_corpus(run)
    return train_tokenizer(run, made["corpus"], made.get("decontaminate")).url
