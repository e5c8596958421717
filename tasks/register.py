"""Register: an export that transformers loads, and a version in the MLflow registry that points at it."""

import tempfile
from dataclasses import dataclass

import mlflow
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from llama_core.errors import ServiceError
from llama_core.export import REVISION as EXPORT_REVISION
from llama_core.phases import one_phase
from llama_core.step import Artifact, Step
from tasks import tracking
from tasks.evaluate import scores
from tasks.observe import say, show_link, warn
from tasks.run import Run
from tasks.step import make, stage

REVISION = 1
INSTEAD = (
    "use a store that it can reach (store=s3://...), or set MLFLOW_REGISTRY_URI to the server's database"
)
VERSION_TAG = "llama.register"


@dataclass(frozen=True)
class Version:
    """A version in the MLflow registry."""

    model: str
    version: int
    alias: str
    source: str
    run_id: str


def check_registry(run: Run) -> None:
    """Say at the start what would be an error after the training."""
    registry = mlflow.get_registry_uri()
    if run.store.is_local and registry.startswith(("http://", "https://")):
        warn(
            f"MLflow at {registry} refuses models from a local folder, unless it is told to take them, and "
            f"the last step of this run may fail: {INSTEAD}"
        )


def import_for_export() -> None:
    """torch and transformers take seconds, and most runs reuse the export: not before they are needed."""
    from llama_core.export import huggingface, pyfunc_model  # noqa: F401


@stage("export")
def export(run: Run, tokenizer: Artifact, trained: Artifact) -> Artifact:
    inputs = {"train": trained.digest, "tokenizer": tokenizer.digest}
    parents = {"train": [trained.name], "tokenizer": [tokenizer.name]}
    step = Step(run.store, "export", EXPORT_REVISION, {}, inputs, parents=parents)

    def write(_: None) -> None:
        from llama_core.export import huggingface

        huggingface.export(step, run.recipe, trained, tokenizer, extra={"MLmodel": _mlmodel()})

    return make(run, step, one_phase({"model": None}, write))


@stage("register")
def register(run: Run, lineage: dict[str, Artifact], evaluation: Artifact, exported: Artifact) -> Version:
    """One version for one export and evaluation, however often this runs. The registry is the authority.

    `lineage`: the artifacts that went into the model, by stage.
    """
    name, alias = run.recipe.model_name, run.recipe.register_.alias
    inputs = {"export": exported.digest, "evaluate": evaluation.digest}
    step = Step(run.store, "register", REVISION, {"model": name}, inputs)
    run_id = tracking.open_run(run, lineage["train"].name, {})
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


def model_url(exported: Artifact) -> str:
    """The folder that transformers and MLflow load."""
    attempt = exported.shard("model").object("/config.json").name.split("/", 1)[0]
    return exported.store.url_of(attempt)


def _version(
    api: MlflowClient, name: str, source: str, run_id: str, tags: dict[str, str], local: bool
) -> tuple[int, bool]:
    """The version made for this step, and whether it was there: from a killed run, say, or a second one."""
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
    for late in found[1:]:  # two runs came at the same moment: both keep the first
        try:
            api.delete_model_version(name, str(late))
        except mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # the other run was first
                raise
    return found[0], bool(there)


def _point(api: MlflowClient, name: str, alias: str, version: int) -> None:
    try:
        api.set_registered_model_alias(name, alias, str(version))
    except mlflow.MlflowException:
        # Of two runs that make an alias at the same moment, the database refuses one. Now it is there.
        api.set_registered_model_alias(name, alias, str(version))


def _versions(api: MlflowClient, name: str, step_id: str, source: str) -> list[int]:
    """Of this step, and still where its weights are: a store that was made anew has another source."""
    found = api.search_model_versions(f"name = '{name}'")
    return sorted(int(v.version) for v in found if v.tags.get(VERSION_TAG) == step_id and v.source == source)


def _mlmodel() -> bytes:
    """The MLmodel file: how `mlflow.pyfunc.load_model` loads the export."""
    from llama_core.export.pyfunc_model import DEFAULTS  # late: it imports transformers

    kinds = {int: DataType.long, float: DataType.double}
    params = [ParamSpec(name, kinds[type(value)], value) for name, value in DEFAULTS.items()]
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string)]),
        outputs=Schema([ColSpec(DataType.string)]),
        params=ParamSchema(params),
    )
    # A fixed time and id: equal exports are equal in their bytes.
    made = "2023-02-27 00:00:00.000000"
    model = Model(signature=signature, utc_time_created=made, model_uuid="0" * 32)
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.add_to_model(model, loader_module="llama_pyfunc", data=".", code="code")
        path = f"{folder}/MLmodel"
        model.save(path)
        with open(path, "rb") as file:
            return file.read()
