"""A corpus to a trained model."""

from typing import Any

from flows.entry import entry
from flows.pretrain import until
from tasks.run import open_run


@entry("train")
def train(recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None) -> str:
    """Pretrain the recipe's model. Stages that are not made yet are made first."""
    return until("train", open_run(recipe, overrides, store)).url
