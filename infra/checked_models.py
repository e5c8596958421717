"""MLflow's `models:/...`, checked: what a version of ours points at is still what was registered.

MLflow executes code that it finds beside the weights. The registry holds the digest of the list of the
export's files, so whoever can write to the store cannot have it execute something else where this project is
installed: its entry point `mlflow.artifact_repository` puts this class into MLflow's own functions and
commands, such as `mlflow.pyfunc.load_model` and `mlflow models serve`. It imports little, since MLflow
imports it with itself. Models that are not ours are left to MLflow.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import PurePosixPath
from typing import Any
from urllib.request import url2pathname

import mlflow
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

from llama_core.errors import DamagedError
from llama_core.export.pyfunc_model import check_files

SUMS_TAG = "llama.sha256sums"  # the tag of a version that holds the sha256 of its SHA256SUMS


class CheckedModels(ModelsArtifactRepository):
    """The files of a registered model, which are checked once they are on this machine."""

    def download_artifacts(
        self, artifact_path: str, dst_path: str | None = None, lineage_header_info: Any = None
    ) -> str:
        """Return the local path of a file or folder of the model.

        Raises DamagedError where the whole model is asked for and is not what was registered. The weights
        are left to the model's own loader, which is checked here and reads them anyway.
        """
        path = os.fspath(super().download_artifacts(artifact_path, dst_path, lineage_header_info))
        digest = self._digest() if PurePosixPath(artifact_path or ".") == PurePosixPath(".") else None
        if digest is None:
            return path
        try:
            check_files(path, digest, weights=False)
        except ValueError as error:
            name = f"models:/{self.model_name}/{self.model_version}"
            raise DamagedError(f"{name} is not what was registered: {error}") from error
        return path if is_read_as_it_is(path) else _linked(path)

    def _digest(self) -> str | None:
        """Return the registered digest, or None for a model of somebody else's."""
        if not self.model_name or not self.model_version:
            return None
        version = mlflow.MlflowClient().get_model_version(self.model_name, str(self.model_version))
        return version.tags.get(SUMS_TAG)


def is_read_as_it_is(path: str) -> bool:
    """Tell whether MLflow finds a model at a path of this machine: it takes a `%20` there for a space."""
    return url2pathname(path) == path


def _linked(path: str) -> str:
    """Return another path of a folder, for as long as this process lives.

    The link is to the folder above: MLflow refuses a folder that lies elsewhere than the one above it says.
    """
    folder = tempfile.mkdtemp(prefix="llama-model-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    above, name = os.path.split(path.rstrip("/"))
    link = os.path.join(folder, "models")
    os.symlink(above, link)
    return os.path.join(link, name)
