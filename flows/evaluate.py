"""A trained model to its scores."""

from typing import Any

from prefect import flow

from flows.pretrain import until
from tasks.run import open_run


@flow(name="evaluate", persist_result=False)
def evaluate(
    recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None
) -> dict[str, Any]:
    """Evaluate the recipe's model; what it needs and is not there yet is made first."""
    return until("evaluate", open_run(recipe, overrides, store)).facts
