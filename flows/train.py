"""A corpus to a trained model."""

from typing import Any

from prefect import flow

from flows.pretrain import until
from tasks.run import open_run
from tasks.tracking import check_tracking


@flow(name="train", persist_result=False)
def train(
    recipe: str = "tiny",
    overrides: dict[str, Any] | None = None,
    store: str | None = None,
    refresh: bool = False,
) -> str:
    """Pretrain the recipe's model. Stages that are not made yet are made first."""
    run = open_run(recipe, overrides, store, refresh=refresh)
    check_tracking(run)
    return until("train", run).url
