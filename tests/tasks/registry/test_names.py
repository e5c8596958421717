"""Names of the registry: what they stand for, and what is not believed."""

import shutil
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from registered import Model, rewrite

from llama_core.artifact import Artifact
from llama_core.errors import DamagedError, InputError, ServiceError
from llama_core.resolve import resolve
from llama_core.store import Store
from tasks.registry import names
from tasks.registry.names import find
from tasks.run import Run


def test_alias_version_and_latest_stand_for_the_url_of_the_export_step(model: Model) -> None:
    made = model.register()
    for name in ("@candidate", f"/{made.version}", "/latest", "@candidate/"):
        assert resolve(f"models:/llama-micro{name}") == model.exported.url
    assert find("models:/llama-micro@candidate").version.version == made.version


def test_a_name_of_a_model_on_s3_stands_for_its_url_there(model: Model, bucket: Store) -> None:
    model.run = Run(model.run.recipe, bucket)
    model.exported = Artifact.load(bucket, model.exported.name)
    model.register()
    assert resolve("models:/llama-micro@candidate") == f"{bucket.url}/{model.exported.name}"


def test_what_is_not_there_is_answered_with_what_is(model: Model) -> None:
    with pytest.raises(InputError, match="has no model llama-micro: nothing is registered there"):
        names.resolve("models:/llama-micro@candidate")
    model.register()
    there = r"there are models:/llama-micro@candidate \(version 1\), models:/llama-micro/1"
    for name in ("@champion", "/7", "", "/0", "@v1"):
        with pytest.raises(InputError, match=there):
            names.resolve(f"models:/llama-micro{name}")
    with pytest.raises(InputError, match="has no model other: there are llama-micro"):
        names.resolve("models:/other/1")
    for wrong in ("models:llama-micro", "models:/", "models://a/1", "models:/a/b/c", "models:/a/Production"):
        with pytest.raises(InputError, match="models:/NAME@ALIAS"):
            names.resolve(wrong)


def test_a_version_of_somebody_else_is_not_believed(model: Model) -> None:
    model.register()
    api = MlflowClient()
    theirs = api.create_model_version("llama-micro", model.folder.as_uri()).version
    with pytest.raises(InputError, match="was not registered by this project"):
        names.resolve(f"models:/llama-micro/{theirs}")
    tags = api.get_model_version("llama-micro", "1").tags
    elsewhere = api.create_model_version("llama-micro", "s3://elsewhere/model", tags=tags).version
    with pytest.raises(DamagedError, match="does not point at the export in its tags"):
        names.resolve(f"models:/llama-micro/{elsewhere}")


def test_an_export_that_is_not_what_was_registered_is_not_believed(model: Model) -> None:
    model.register()
    exported, kept = model.exported, model.exported.store.path() + ".kept"
    shutil.copytree(model.exported.store.path(), kept)
    rewrite(model, "generation_config.json", b'{"eos_token_id": 3}')
    with pytest.raises(DamagedError, match="has other files than models:/llama-micro/1"):
        names.resolve("models:/llama-micro/1")
    shutil.rmtree(model.exported.store.path())
    with pytest.raises(InputError, match="the export of models:/llama-micro/1 is gone"):
        names.resolve("models:/llama-micro/1")
    shutil.copytree(kept, model.exported.store.path())
    model.exported = exported
    assert names.resolve("models:/llama-micro/1") == model.exported.url
    model.change("SHA256SUMS")
    with pytest.raises(DamagedError, match="SHA256SUMS"):
        names.resolve("models:/llama-micro/1")


def test_the_house_has_a_database_of_its_own_where_no_server_runs(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.register()
    home = tmp_path / "home"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setenv("LLAMA_HOME", str(home))
    with pytest.raises(ServiceError, match="no run has registered a model here"):
        names.resolve("models:/llama-micro@candidate")
    assert not home.exists(), "a look-up makes nothing"
    (home / "mlflow").mkdir(parents=True)
    shutil.copy(tmp_path / "mlflow.db", home / "mlflow")
    assert names.resolve("models:/llama-micro@candidate") == model.exported.url


def test_a_server_that_is_away_is_one_error_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(ServiceError, match="MLFLOW_TRACKING_URI") as error:
        names.resolve("models:/llama-micro@candidate")
    assert time.monotonic() - started < 20 and "secret" not in str(error.value)
