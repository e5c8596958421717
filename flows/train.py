"""A corpus to a trained model."""

from typing import Any

from prefect import flow

from flows.pretrain import until
from tasks.run import open_run


@flow(name="train", persist_result=False)
def train(recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None) -> str:
    """Pretrain the recipe's model; what it needs and is not there yet is made first."""
    return until("train", open_run(recipe, overrides, store)).url
