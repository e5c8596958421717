"""Register: a version in the MLflow registry that points at an export on the store."""

from dataclasses import dataclass

import mlflow
from mlflow.tracking import MlflowClient

from llama_core.artifact import Artifact
from llama_core.errors import ServiceError
from llama_core.step import Step
from llama_core.url import without_secrets
from tasks import tracking
from tasks.evaluate import scores
from tasks.export import model_url
from tasks.observe import say, show_link, warn
from tasks.run import Run
from tasks.step import stage

REVISION = 1
INSTEAD = (
    "use a store that it can reach (store=s3://...), or set MLFLOW_REGISTRY_URI to the server's database"
)
VERSION_TAG = "llama.register"  # the tag of a version that holds the id of the step that made it


@dataclass(frozen=True)
class Version:
    """A version in the MLflow registry."""

    model: str
    """The name of the registered model."""
    version: int
    alias: str
    """The alias that points at the version."""
    source: str
    """The URL of the export."""
    run_id: str
    """The MLflow run of the training."""


@without_secrets
def check_registry(run: Run) -> None:
    """Warn at the start of a run of what would be an error after the training."""
    registry = mlflow.get_registry_uri()
    if run.store.is_local and registry.startswith(("http://", "https://")):
        warn(
            f"MLflow at {registry} refuses models from a local folder, unless it is told to take them, and "
            f"the last step of this run may fail: {INSTEAD}"
        )


@stage("register")
def register(run: Run, lineage: dict[str, Artifact], evaluation: Artifact, exported: Artifact) -> Version:
    """Register the exported model, and return its version. Raises ServiceError where MLflow refuses it.

    There is one version for one export and evaluation, however often this runs: the registry itself is asked
    for it. `lineage`: the artifacts that went into the model, by name.
    """
    name, alias = run.recipe.model_name, run.recipe.register_.alias
    inputs = {"export": exported, "evaluate": evaluation}
    step = Step(run.store, "register", REVISION, {"model": name}, inputs)
    run_id = tracking.training_run(run, lineage["train"].name, {})
    tags = {f"llama.{stage}": artifact.url for stage, artifact in lineage.items()}
    tags |= {"llama.evaluate": evaluation.url, "llama.export": exported.url, VERSION_TAG: step.id}
    tags |= {"llama.recipe": run.recipe.name, "llama.digest": lineage["train"].digest}
    source = model_url(exported)
    version, found = _version(MlflowClient(), name, source, run_id, tags, run.store.is_local)
    _point(MlflowClient(), name, alias, version)
    tracking.log_results(run_id, scores(evaluation), tags)
    say(f"  {'register':<20} {'reused' if found else 'made':>8}  models:/{name}@{alias}, version {version}")
    show_link("registered-model", source, f"models:/{name}@{alias}, version {version}")
    return Version(name, version, alias, source, run_id)


def _version(
    api: MlflowClient, name: str, source: str, run_id: str, tags: dict[str, str], local: bool
) -> tuple[int, bool]:
    """Return the version for this step, and whether it was there before: another run may have made it."""
    try:
        api.create_registered_model(name, description="LLaMA, pretrained by this pipeline.")
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    there = _versions(api, name, tags[VERSION_TAG], source)
    if not there:
        try:
            api.create_model_version(name, source, run_id=run_id, tags=tags)
        except mlflow.MlflowException as error:
            if local and "Invalid model version source" in str(error):
                raise ServiceError(
                    f"this MLflow server does not take models from a local folder: {INSTEAD}"
                ) from error
            raise
    found = _versions(api, name, tags[VERSION_TAG], source)
    for late in found[1:]:  # two runs have made one at the same moment: both keep the first
        try:
            api.delete_model_version(name, str(late))
        except mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # the other run was first
                raise
    return found[0], bool(there)


def _point(api: MlflowClient, name: str, alias: str, version: int) -> None:
    """Let the alias point at the version."""
    try:
        api.set_registered_model_alias(name, alias, str(version))
    except mlflow.MlflowException:
        # The database refuses one of two runs that make an alias at the same moment. Now the alias is there.
        api.set_registered_model_alias(name, alias, str(version))


def _versions(api: MlflowClient, name: str, step_id: str, source: str) -> list[int]:
    """Return the versions that were made for this step and whose weights are still at `source`.

    A store that was made anew has another source.
    """
    found = api.search_model_versions(f"name = '{name}'")
    return sorted(int(v.version) for v in found if v.tags.get(VERSION_TAG) == step_id and v.source == source)
