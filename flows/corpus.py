"""Public text to a deduplicated corpus."""

from typing import Any

from prefect import flow
from prefect.events import emit_event

from flows.pretrain import until
from tasks.run import open_run


@flow(name="corpus", persist_result=False)
def corpus(
    recipe: str = "tiny",
    overrides: dict[str, Any] | None = None,
    store: str | None = None,
    refresh: bool = False,
) -> str:
    """Ingest, clean and deduplicate the recipe's sources, and announce the corpus by an event."""
    run = open_run(recipe, overrides, store, refresh=refresh, trains=False)
    artifact = until("corpus", run)
    resource = {"prefect.resource.id": f"llama.corpus.{artifact.id[:16]}", "llama.recipe": run.recipe.name}
    asked = {"recipe": recipe, "overrides": overrides, "store": store}  # what a training on it needs, too
    emit_event("llama.corpus.ready", resource=resource, payload=asked)
    return artifact.url
