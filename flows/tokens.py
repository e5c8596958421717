"""A corpus to token shards."""

from typing import Any

from prefect import flow

from flows.corpus import build_corpus
from llama_core.step import Artifact
from tasks.run import Run, open_run
from tasks.tokenizer import tokenizer
from tasks.tokens import tokens as encode


def build_tokens(run: Run) -> dict[str, Artifact]:
    """The stages from raw text to token shards; their artifacts by name."""
    made = build_corpus(run)
    corpus, decontaminated = made["corpus"], made.get("decontaminate")
    made["tokenizer"] = tokenizer(run, corpus, decontaminated)
    made["tokens"] = encode(run, corpus, made["tokenizer"], decontaminated)
    return made


@flow(name="tokens", persist_result=False)
def tokens(recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None) -> str:
    """Encode the recipe's training text; what it needs and is not there yet is made first."""
    run = open_run(recipe, overrides, store, trains=False)
    return build_tokens(run)["tokens"].url
