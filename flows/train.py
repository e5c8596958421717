"""A corpus to a trained model."""

from typing import Any

from prefect import flow

from flows.pretrain import until
from tasks.run import open_run


@flow(name="train", persist_result=False)
def train(recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None) -> str:
    """Pretrain the recipe's model. Stages that are not made yet are made first."""
    return until("train", open_run(recipe, overrides, store)).url
