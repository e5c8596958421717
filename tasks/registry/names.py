"""The names of MLflow's registry, `models:/NAME@ALIAS` and `models:/NAME/VERSION`: what lies behind them.

This is the entry point `models` of `llama_core.names`. A version is believed if this project has registered
it and the export that it points at is still what was registered: its list of digests has the digest that
the registry holds, and its manifest has the digests of that list. Prefect is not imported here.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from infra.checked_models import SUMS_TAG
from infra.environment import variables
from infra.health import ONCE
from infra.services import mlflow_to_read
from llama_core.artifact import Artifact
from llama_core.errors import DamagedError, InputError, LlamaError, ServiceError
from llama_core.export.pyfunc_model import SUMS
from llama_core.parse import shown
from llama_core.store import Store
from tasks.registry.refusals import reason

VERSION_TAG = "llama.register"  # the tag of a version that holds the id of the step that made it
EXPORT_TAG = "llama.export"  # the tag of a version that holds the URL of its export
SHOWN = 10  # names that an error lists at most

_NAME = re.compile(
    r"models:/(?P<name>[^/]+?) (@(?P<alias>[^/@]+) | /(?P<version>\d+|latest))? /?",
    re.IGNORECASE | re.VERBOSE,
)


class Registered(NamedTuple):
    """A version of the registry, and the export that it points at."""

    version: ModelVersion
    export: Artifact


def resolve(name: str) -> str:
    """Return the URL of the export step that a name of the registry stands for, once it is checked.

    Raises InputError where there is no such model, ServiceError where MLflow cannot be asked, and
    DamagedError where the export is not what was registered.
    """
    return find(name).export.url


def find(name: str) -> Registered:
    """Return the version that a name of the registry stands for, and its export. Raises as `resolve` does."""
    with registry() as api:
        version = _version(api, name)
    return Registered(version, checked_export(version))


@contextlib.contextmanager
def registry() -> Iterator[MlflowClient]:
    """Yield a client of this house's MLflow, to read from. What it raises in the block is a ServiceError."""
    with mlflow_to_read(), variables(**ONCE):
        try:
            yield MlflowClient()
        except LlamaError:
            raise
        except Exception as error:
            raise ServiceError(
                f"MLflow's registry at {mlflow.get_registry_uri()} cannot be read ({reason(error)}): see "
                "MLFLOW_TRACKING_URI and MLFLOW_REGISTRY_URI"
            ) from error


def _version(api: MlflowClient, name: str) -> ModelVersion:
    """Return the version of this name. Raises InputError, which lists what there is."""
    parsed = _NAME.fullmatch(name)
    if not parsed:
        raise InputError(f"{shown(name)} is no model: write models:/NAME@ALIAS or models:/NAME/VERSION")
    model, alias, number = parsed["name"], parsed["alias"], parsed["version"]
    try:
        found = api.get_registered_model(model)
    except mlflow.MlflowException as error:
        _raise_unless_missing(error)
        there = [other.name for other in api.search_registered_models(max_results=SHOWN)]
        raise InputError(
            f"MLflow at {mlflow.get_registry_uri()} has no model {shown(model)}"
            + (f": there are {', '.join(there)}" if there else ": nothing is registered there")
        ) from None
    try:
        if alias:
            return api.get_model_version_by_alias(model, alias)
        if number and number.isdigit():
            return api.get_model_version(model, number)
    except mlflow.MlflowException as error:
        _raise_unless_missing(error)
    newest = api.search_model_versions(
        f"name = {quoted(model)}", max_results=SHOWN, order_by=["version_number DESC"]
    )
    if number and not number.isdigit() and newest:
        return newest[0]
    there = [f"models:/{model}@{name} (version {of})" for name, of in sorted(found.aliases.items())]
    there += [f"models:/{model}/{version.version}" for version in newest]
    raise InputError(f"{shown(name)} is no version: there are {', '.join(there[:SHOWN]) or 'none'}")


def _raise_unless_missing(error: mlflow.MlflowException) -> None:
    """Raise an error of MLflow's again that does not say that something is not there."""
    if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        raise error


def quoted(name: str) -> str:
    """Return a name between quotes for MLflow's filters, which know no escapes. Raises InputError."""
    if "'" in name and '"' in name:
        raise InputError(f"{name!r} holds both kinds of quotes: MLflow cannot look for it")
    quote = '"' if "'" in name else "'"
    return f"{quote}{name}{quote}"


def checked_export(version: ModelVersion) -> Artifact:
    """Return the export that a version points at.

    Raises InputError where another has registered the version or the export is gone, DamagedError where it is
    not what was registered, and StoreError.
    """
    called, tags = f"models:/{version.name}/{version.version}", version.tags
    if not {VERSION_TAG, EXPORT_TAG, SUMS_TAG} <= tags.keys():
        raise InputError(f"{called} was not registered by this project: it has not its tags")
    store = Store(tags[EXPORT_TAG])
    try:
        export = Artifact.open(store)
    except FileNotFoundError:
        raise InputError(f"the export of {called} is gone: nothing is finished at {store.url}") from None
    files = {entry.name: entry for entry in export.shard("model").objects} if export.stage == "export" else {}
    attempt = next((name.removesuffix(f"/{SUMS}") for name in files if name.endswith(f"/{SUMS}")), "")
    if not attempt or source_of(store.at(attempt)) != version.source:
        raise DamagedError(f"{called} does not point at the export in its tags, {store.url}")
    sums = files[f"{attempt}/{SUMS}"]
    if sums.sha256 != tags[SUMS_TAG]:
        raise DamagedError(f"{store.url} has other files than {called} was registered with")
    lines = export.read(sums).decode(errors="replace").splitlines()
    listed = {f"{attempt}/{name}": digest for digest, _, name in (line.partition("  ") for line in lines)}
    if listed | {sums.name: sums.sha256} != {name: entry.sha256 for name, entry in files.items()}:
        raise DamagedError(f"the manifest of {store.url} has other files than {called} was registered with")
    return export


def source_of(folder: Store) -> str:
    """Return the URL by which MLflow finds a folder of ours. Raises ServiceError where it has none.

    MLflow unquotes the URL of a local folder, so ours is quoted. It takes that of an object store as it is,
    and there a `#` or a `?` would end the path.
    """
    if folder.is_local:
        return Path(folder.path()).as_uri()
    try:
        parsed = urlsplit(folder.url)
        whole = f"{parsed.netloc}{parsed.path}" == folder.url.partition("://")[2]
    except ValueError:
        whole = False
    if not whole:
        raise ServiceError(
            f"MLflow cannot load a model from {folder.url}: it leaves out what follows a # or a ?, "
            "and tabs. Choose a store whose URL has none of them"
        )
    return folder.url
