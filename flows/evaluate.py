"""A trained model to its scores."""

from typing import Any

from prefect import flow

from flows.pretrain import until
from tasks.run import open_run
from tasks.tracking import check_tracking


@flow(name="evaluate", persist_result=False)
def evaluate(
    recipe: str = "tiny",
    overrides: dict[str, Any] | None = None,
    store: str | None = None,
    refresh: bool = False,
) -> dict[str, Any]:
    """Evaluate the recipe's model. Stages that are not made yet are made first."""
    run = open_run(recipe, overrides, store, refresh=refresh)
    check_tracking(run)
    return until("evaluate", run).facts
