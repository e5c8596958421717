"""A trained model to its scores."""

from typing import Any

from prefect import flow

from flows.train import build_model
from llama_core.step import Artifact
from tasks.evaluate import evaluate as score
from tasks.run import Run, open_run


def build_scores(run: Run) -> dict[str, Artifact]:
    """The stages from raw text to the model's scores; their artifacts by name."""
    made = build_model(run)
    made["evaluate"] = score(run, made["corpus"], made["tokenizer"], made["tokens"], made["train"])
    return made


@flow(name="evaluate", persist_result=False)
def evaluate(
    recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None
) -> dict[str, Any]:
    """Evaluate the recipe's model; what it needs and is not there yet is made first."""
    run = open_run(recipe, overrides, store)
    return build_scores(run)["evaluate"].facts
