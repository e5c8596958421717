"""Fixtures that every test may use. The tests that need a whole run share one, and one Prefect server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import Pipeline

from llama_core.store import Store

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

# They begin first, so that workers who share the files end at about the same time.
LONGEST = (
    "chaos/test_every_point.py",
    "infra/test_services.py",
    "test_whole_run.py",
    "tasks/test_tokenizer.py",
    "distributed/test_resume.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    rank = {here / name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store on the local disk."""
    return Store(str(tmp_path / "store"))


@pytest.fixture(scope="session")
def prefect_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of a real Prefect server that all whole runs share."""
    from infra.services import PrefectServer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLAMA_HOME", str(tmp_path_factory.mktemp("shared-home")))
        with PrefectServer() as server:
            yield server.wait()


@pytest.fixture(scope="session")
def micro(prefect_url: str, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """One whole run of the recipe `micro`, finished: to look at, not to change."""
    folder = tmp_path_factory.mktemp("micro")
    pipeline = Pipeline(folder / "home", f"file://{folder}/store", {"PREFECT_API_URL": prefect_url})
    pipeline.ok()
    return pipeline


@pytest.fixture
def pipeline(prefect_url: str, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline on an empty home and an empty store; what it leaves running is killed."""
    fresh = Pipeline(tmp_path / "home", f"file://{tmp_path}/store", {"PREFECT_API_URL": prefect_url})
    yield fresh
    fresh.kill()
