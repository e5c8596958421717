"""A scored model to a version in the MLflow registry."""

from typing import Any

from prefect import flow

from flows.pretrain import until
from tasks.register import check_registry
from tasks.run import open_run


@flow(name="register", persist_result=False)
def register(
    recipe: str = "tiny",
    overrides: dict[str, Any] | None = None,
    store: str | None = None,
    refresh: bool = False,
) -> str:
    """Register the recipe's model. Stages that are not made yet are made first."""
    run = open_run(recipe, overrides, store, refresh=refresh)
    check_registry(run)
    version = until("register", run)
    return f"models:/{version.model}/{version.version}"
