"""A scored model to a version in the MLflow registry."""

from typing import Any

from prefect import flow

from flows.evaluate import build_scores
from llama_core.step import Artifact
from tasks.launch import meanwhile
from tasks.register import Version, check_registry, export, import_for_export
from tasks.register import register as register_version
from tasks.run import Run, open_run


def build_version(run: Run) -> tuple[dict[str, Artifact], Version]:
    """The whole pipeline: its artifacts by name, and the registered version."""
    check_registry(run)
    with meanwhile(import_for_export):
        made = build_scores(run)
    made["export"] = export(run, made["tokenizer"], made["train"])
    lineage = {k: v for k, v in made.items() if k not in ("evaluate", "export")}
    return made, register_version(run, lineage, made["evaluate"], made["export"])


@flow(name="register", persist_result=False)
def register(recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None) -> str:
    """Register the recipe's model; what it needs and is not there yet is made first."""
    _, version = build_version(open_run(recipe, overrides, store))
    return f"models:/{version.model}/{version.version}"
