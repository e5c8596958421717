"""A corpus to a SentencePiece tokenizer."""

from typing import Any

from prefect import flow

from flows.pretrain import until
from tasks.run import open_run


@flow(name="tokenizer", persist_result=False)
def tokenizer(
    recipe: str = "tiny",
    overrides: dict[str, Any] | None = None,
    store: str | None = None,
    refresh: bool = False,
) -> str:
    """Train the recipe's tokenizer. Stages that are not made yet are made first."""
    return until("tokenizer", open_run(recipe, overrides, store, refresh=refresh, trains=False)).url
