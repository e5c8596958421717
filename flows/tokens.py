"""A corpus to token shards."""

from typing import Any

from flows.entry import entry
from flows.pretrain import until
from tasks.run import open_run


@entry("tokens")
def tokens(recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None) -> str:
    """Encode the recipe's training text. Stages that are not made yet are made first."""
    return until("tokens", open_run(recipe, overrides, store, trains=False)).url
