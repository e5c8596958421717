"""Register: a version in the MLflow registry that points at an export on the store."""

import contextlib
import hashlib
import secrets
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient

from infra.checked_models import SUMS_TAG, CheckedModels, is_read_as_it_is
from infra.environment import variables
from llama_core.artifact import Artifact
from llama_core.errors import DamagedError, ServiceError
from llama_core.export.pyfunc_model import SUMS
from llama_core.objects import Object
from llama_core.step import Step
from llama_core.store import CHUNK, Store
from llama_core.url import without_secrets
from tasks import tracking
from tasks.export import attempt_of, check_code
from tasks.lineage import started_from, step_tags
from tasks.observe import Progress, say, show_link, warn
from tasks.registry.details import Shown, show
from tasks.registry.gate import judge
from tasks.registry.names import EXPORT_TAG, VERSION_TAG, quoted, source_of
from tasks.registry.refusals import INSTEAD, reason, refusals
from tasks.run import Run
from tasks.step import stage

REVISION = 1
SMALL = 1 << 30  # bytes of a file that is checked whenever it is registered: that takes seconds
STREAMS = 8  # files that are read side by side


@dataclass(frozen=True)
class Version:
    """A version in the MLflow registry."""

    model: str
    """The name of the registered model."""
    version: int
    alias: str
    """The alias that points at the version."""
    source: str
    """The URL of the export, as MLflow writes it: that of a local folder is quoted."""
    run_id: str
    """The MLflow run of the training."""


@without_secrets
def check_registry(run: Run) -> None:
    """Check at the start of a run that MLflow takes its metrics and its model, and can load from its store.

    All of it is really done once. A small object goes to the store, and MLflow reads it. A model named
    NAME-check-..., with a version that points at the store, is registered and deleted again. The run's own
    model, where it is there already, gets a tag that is deleted again. Raises ServiceError, and InputError
    for a name that cannot be looked for.
    """
    tracking.check_tracking(run)
    quoted(run.recipe.model_name)
    source = source_of(run.store)
    if run.store.is_local and not is_read_as_it_is(run.store.path()):
        warn(
            f"MLflow takes the % in {run.store.path()} for an escape: where this project is not installed, "
            "it loads the model only as a copy, with mlflow.pyfunc.load_model(..., dst_path=FOLDER)"
        )
    name, data = f".check-{secrets.token_hex(6)}", secrets.token_bytes(16)
    run.store.publish_bytes(name, data)
    try:
        _check_reads(run.store, source, name, data)
        with variables(**tracking.IMPATIENT), _refusals():
            tracking.check_opens(mlflow.get_registry_uri())
            _rehearse(run, source, name, data)
    finally:
        run.store.delete([name])


@stage("register")
def register(run: Run, lineage: dict[str, Artifact], evaluation: Artifact, exported: Artifact) -> Version:
    """Register the exported model, and return its version.

    There is one version for one export and evaluation, however often this runs: the registry itself is asked
    for it. The export's bytes are read and checked first: files of more than SMALL only if a version is made
    or the alias is moved to it, since that takes minutes for hundreds of gigabytes. A new version is loaded
    through MLflow before the alias points at it. `lineage`: the artifacts that went into the model, by name.
    Raises DamagedError where bytes differ from the manifest, and ServiceError where MLflow refuses the model.
    """
    name, alias = run.recipe.model_name, run.recipe.register_.alias
    inputs = {"export": exported, "evaluate": evaluation}
    step = Step(run.store, "register", REVISION, {"model": name}, inputs)
    with _refusals():
        run_id = tracking.training_run(run, lineage["train"].name, {})
    made = lineage | {"evaluate": evaluation, "export": exported}
    tags = {"llama.recipe": run.recipe.name} | step_tags(made) | started_from(run.recipe)
    tags |= {EXPORT_TAG: exported.url, VERSION_TAG: step.id, "llama.digest": lineage["train"].digest}
    tags |= {SUMS_TAG: exported.shard("model").object(f"/{SUMS}").sha256}
    source = source_of(exported.store.at(attempt_of(exported)))
    api = MlflowClient()
    with _refusals():
        known = _versions(api, name, step.id, source)
        announced = bool(known) and _pointed_at(api, name, alias) == known[0]
        check_code(exported)
        for version in known:
            _check_same(api, name, version, exported, tags[SUMS_TAG])
        check_bytes(exported, up_to=SMALL if announced else None)
        version, found = _version(api, name, source, run_id, tags, run.store.is_local)
        if not announced:
            _check_loads(api, name, version, exported, delete=not found)
            _point(api, name, alias, version)
        tracking.set_tags(run_id, tags)
        shown = Shown(run, made, name, version, run_id)
        show(shown)
        judged = judge(shown)
    say(f"  {'register':<20} {'reused' if found else 'made':>8}  models:/{name}@{alias}, version {version}")
    if judged:
        say(f"      {judged}")
    show_link("registered-model", source, f"models:/{name}@{alias}, version {version}")
    return Version(name, version, alias, source, run_id)


def _refusals() -> AbstractContextManager[None]:
    return refusals("the model", mlflow.get_registry_uri(), "MLFLOW_REGISTRY_URI")


def _check_same(api: MlflowClient, name: str, version: int, exported: Artifact, digest: str) -> None:
    """Check that a version was registered with the files that the export has now. Raises DamagedError."""
    if api.get_model_version(name, str(version)).tags.get(SUMS_TAG, digest) != digest:
        raise DamagedError(
            f"{exported.url} has other files than version {version} of {name} was registered with: somebody "
            f"has changed both and the manifest. Delete {exported.url} to make the export again."
        )


def check_bytes(exported: Artifact, up_to: int | None = None) -> None:
    """Read the files of an export, and compare them with the manifest. Raises DamagedError, StoreError.

    `up_to`: leave out files of more bytes.
    """
    entries = [e for e in exported.shard("model").objects if up_to is None or e.size <= up_to]
    total = sum(entry.size for entry in entries)
    if total > SMALL:
        say(f"      reading {total / 1e9:,.0f} GB, to compare what is registered with its manifest")
    progress = Progress("register-check", total // 1_000_000, "MB")
    done = 0
    with ThreadPoolExecutor(STREAMS) as pool:
        try:
            for entry in pool.map(lambda entry: _check_object(exported.store, entry), entries):
                done += entry.size
                progress.update(done // 1_000_000)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _check_object(store: Store, entry: Object) -> Object:
    """Compare an object with the manifest, and return it. A piece at a time is in memory."""
    digest = hashlib.sha256()
    with contextlib.suppress(FileNotFoundError):
        for start in range(0, entry.size, CHUNK):
            digest.update(store.read_range(entry.name, start, min(start + CHUNK, entry.size)))
    if digest.hexdigest() != entry.sha256:
        raise DamagedError(
            f"{store.url_of(entry.name)} is damaged or gone: its bytes are not those of its manifest, and "
            f"nothing was registered. Delete {store.url} to make the export again."
        )
    return entry


def _check_reads(store: Store, source: str, name: str, data: bytes) -> None:
    """Let MLflow read a small object of the store: it has its own clients and its own way to read URLs."""
    try:
        with _read_into() as folder:
            found = Path(get_artifact_repository(source).download_artifacts(name, folder)).read_bytes()
    except Exception as error:
        raise ServiceError(
            f"MLflow cannot load models from {store.url} ({reason(error)}): use a store that it can "
            "read, and give it the address of that store and the credentials, as for this run"
        ) from error
    if found != data:
        raise ServiceError(
            f"MLflow reads other bytes from {source} than {store.url} holds: use another store"
        )


@contextlib.contextmanager
def _read_into() -> Iterator[str]:
    """Yield a folder for what MLflow reads, which it does in the block without bars in the terminal."""
    bars = variables(MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false")
    with bars, tempfile.TemporaryDirectory(prefix="llama-check-") as folder:
        yield folder


def _rehearse(run: Run, source: str, name: str, data: bytes) -> None:
    """Do with a model of another name what will be done with the run's own, and delete it again."""
    api, model, alias = MlflowClient(), run.recipe.model_name, run.recipe.register_.alias
    _check_edits(api, model)
    probe = f"{model[:200]}-check-{secrets.token_hex(4)}"  # databases hold 256 characters
    api.create_registered_model(probe, description="A check before a run. It can be deleted.")
    try:
        version = api.create_model_version(probe, source).version
        api.set_registered_model_alias(probe, alias, version)
        try:
            with _read_into() as folder:
                found = CheckedModels(f"models:/{probe}@{alias}").download_artifacts(name, folder)
                same = Path(found).read_bytes() == data
        except mlflow.MlflowException as error:
            raise ServiceError(
                f"MLflow does not find models:/{model}@{alias} again ({reason(error)}): choose "
                "another register.model_name"
            ) from error
    finally:
        api.delete_registered_model(probe)
    if not same:
        raise ServiceError(f"MLflow finds something else at models:/{model}@{alias}: choose another name")


def _check_edits(api: MlflowClient, name: str) -> None:
    """Write a tag to the registered model and delete it, if the model is there."""
    tag = tracking.check_tag()
    try:
        api.set_registered_model_tag(name, tag, "now")
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return
    api.delete_registered_model_tag(name, tag)


def _check_loads(api: MlflowClient, name: str, version: int, exported: Artifact, delete: bool) -> None:
    """Load the version through MLflow, but for its weights, before it is announced.

    `delete`: delete the version where that fails. Raises ServiceError.
    """
    start = f"{attempt_of(exported)}/"
    inside = {e.name.removeprefix(start): e for e in exported.shard("model").objects}
    try:
        files = CheckedModels(f"models:/{name}/{version}")
        seen = {file.path: file.file_size for file in files.list_artifacts("")}
        for path, entry in inside.items():
            if "/" not in path and seen.get(path) != entry.size:
                raise DamagedError(f"it finds no {path} of {entry.size:,} bytes")
        with _read_into() as folder:
            for path in ("MLmodel", "config.json", SUMS):
                data = Path(files.download_artifacts(path, folder)).read_bytes()
                if hashlib.sha256(data).hexdigest() != inside[path].sha256:
                    raise DamagedError(f"it reads another {path}")
    except Exception as error:
        if delete:
            with contextlib.suppress(mlflow.MlflowException):
                api.delete_model_version(name, str(version))
        raise ServiceError(
            f"MLflow cannot load version {version} of {name} from {exported.url} ({reason(error)}): "
            f"it was {'deleted again' if delete else 'left as it is'}, and no alias points at it"
        ) from error


def _version(
    api: MlflowClient, name: str, source: str, run_id: str, tags: dict[str, str], local: bool
) -> tuple[int, bool]:
    """Return the version for this step, and whether it was there before: another run may have made it."""
    try:
        api.create_registered_model(name)
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


def _pointed_at(api: MlflowClient, name: str, alias: str) -> int | None:
    """Return the version that an alias points at, or None."""
    try:
        return int(api.get_model_version_by_alias(name, alias).version)
    except mlflow.MlflowException:
        return None


def _versions(api: MlflowClient, name: str, step_id: str, source: str) -> list[int]:
    """Return the versions that were made for this step and whose weights are still at `source`.

    A store that was made anew has another source.
    """
    found = api.search_model_versions(f"name = {quoted(name)}")
    return sorted(int(v.version) for v in found if v.tags.get(VERSION_TAG) == step_id and v.source == source)
