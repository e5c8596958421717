"""A corpus to token shards."""

from typing import Any

from prefect import flow

from flows.pretrain import until
from tasks.run import open_run


@flow(name="tokens", persist_result=False)
def tokens(
    recipe: str = "tiny",
    overrides: dict[str, Any] | None = None,
    store: str | None = None,
    refresh: bool = False,
) -> str:
    """Encode the recipe's training text. Stages that are not made yet are made first."""
    return until("tokens", open_run(recipe, overrides, store, refresh=refresh, trains=False)).url
