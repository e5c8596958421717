"""A corpus to a trained model."""

from typing import Any

from prefect import flow

from flows.tokens import build_tokens
from llama_core.step import Artifact
from tasks.run import Run, open_run
from tasks.train import train as pretrain_model


def build_model(run: Run) -> dict[str, Artifact]:
    """The stages from raw text to the trained model; their artifacts by name."""
    made = build_tokens(run)
    made["train"] = pretrain_model(run, made["tokenizer"], made["tokens"])
    return made


@flow(name="train", persist_result=False)
def train(recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None) -> str:
    """Pretrain the recipe's model; what it needs and is not there yet is made first."""
    run = open_run(recipe, overrides, store)
    return build_model(run)["train"].url
