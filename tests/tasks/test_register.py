"""The registry: what it would refuse, and runs that register the same model at the same moment."""

import logging
import threading
from pathlib import Path

import pytest
from mlflow import MlflowClient

from llama_core.recipes.load import load_recipe
from llama_core.store import Store
from tasks.register import VERSION_TAG, _point, _version, check_registry
from tasks.run import Run


def test_runs_at_the_same_moment_leave_one_version_and_its_alias(tmp_path: Path) -> None:
    api = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db", f"sqlite:///{tmp_path}/mlflow.db")
    api.search_registered_models()  # makes the database
    failed: list[BaseException] = []
    source = tmp_path.as_uri()

    def register(name: str, barrier: threading.Barrier) -> None:
        try:
            barrier.wait()
            version, _ = _version(api, name, source, "", {VERSION_TAG: "s"}, True)
            barrier.wait()
            _point(api, name, "candidate", version)
        except BaseException as error:
            failed.append(error)
            barrier.abort()

    for number in range(6):
        barrier = threading.Barrier(3)
        runs = [threading.Thread(target=register, args=(f"llama-{number}", barrier)) for _ in range(3)]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
        assert not failed, failed[0]
        [version] = api.search_model_versions(f"name = 'llama-{number}'")
        assert api.get_model_version_by_alias(f"llama-{number}", "candidate").version == version.version


def test_a_server_that_refuses_local_folders_is_said_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("prefect"), "propagate", True)  # to where pytest listens
    run = Run(load_recipe("micro"), Store(str(tmp_path)))
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "sqlite:///mlflow.db")
    check_registry(run)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://mlflow:5000")
    check_registry(Run(run.recipe, Store("s3://bucket/prefix")))
    assert caplog.messages == []
    check_registry(run)
    assert len(caplog.messages) == 1 and "MLFLOW_REGISTRY_URI" in caplog.messages[0]
