"""The names that the page offers are those of this project's versions in a real registry."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from infra.services import prepare_mlflow
from llama_core import resolve
from llama_core.errors import ServiceError
from tasks.registry.names import VERSION_TAG
from tasks.registry.offered import offered


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """The registry of a new home."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LLAMA_HOME", str(tmp_path / "home"))
    with pytest.raises(ServiceError, match="no run has registered a model here"):
        offered()
    return MlflowClient(prepare_mlflow())


def test_aliases_come_before_versions_and_what_was_registered_last_before_all(api: MlflowClient) -> None:
    for name, versions, tags in (
        ("llama-old", 1, {VERSION_TAG: "x"}),
        ("somebodys", 2, {}),
        ("llama-tiny", 3, {VERSION_TAG: "x"}),
    ):
        api.create_registered_model(name)
        for _ in range(versions):
            api.create_model_version(name, "file:///nowhere", tags=tags)
    for alias, version in (("best", "1"), ("champion", "2"), ("candidate", "3")):
        api.set_registered_model_alias("llama-tiny", alias, version)
    api.set_registered_model_alias("somebodys", "candidate", "1")
    tiny = ["@candidate", "@champion", "@best", "/3", "/2", "/1"]
    assert offered() == [*(f"models:/llama-tiny{end}" for end in tiny), "models:/llama-old/1"]


def test_the_page_is_told_of_them_by_an_entry_point() -> None:
    [point] = resolve.entry_points(group=resolve.OFFERS)
    assert point.load() is offered
