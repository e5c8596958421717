"""Fixtures that every test may use. What takes long to make is made once, for all workers of pytest-xdist."""

import fcntl
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from pipeline import Pipeline

from infra.imports import lasting
from llama_core.store import Store

if TYPE_CHECKING:
    from trained import Trained  # with it comes torch, which most tests of the corpus do without

T = TypeVar("T")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # files of tests run at once, and torch asks when imported
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

# They begin first, so that workers who share the files end at about the same time.
LONGEST = (
    "system/test_deployments.py",
    "chaos/test_every_point.py",
    "system/test_s3.py",
    "system/test_s3_training.py",
    "chaos/test_kill.py",
    "system/test_engines.py",
    "system/test_observers.py",
    "system/test_slurm_away.py",
    "system/test_slurm_faults.py",
    "system/test_slurm.py",
    "system/test_login.py",
    "system/test_named_servers.py",
    "system/test_home.py",
    "chaos/test_interrupt.py",
    "system/test_secrets.py",
    "system/test_odd_names.py",
    "system/test_errors.py",
    "system/test_reuse.py",
    "system/test_memory.py",
    "tasks/test_fanout.py",
    "infra/test_services.py",
    "test_whole_run.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    with lasting():  # each worker collects all tests
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    rank = {here / name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store on the local disk."""
    return Store(str(tmp_path / "store"))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers have in common."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # it holds those of all workers
    return folder / "shared"


@pytest.fixture(scope="session")
def once(shared: Path) -> Callable[[str, Callable[[Path], T]], T]:
    """`once("name", make)`: what `make(folder)` returns, made by the first worker that asks for it."""

    def get(name: str, make: Callable[[Path], T]) -> T:
        folder = shared / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = folder / "made"
            if not made.exists():
                made.write_bytes(pickle.dumps(make(folder)))
            return pickle.loads(made.read_bytes())

    return get


@pytest.fixture
def database(tmp_path: Path, once: Callable[[str, Callable[[Path], Path]], Path]) -> str:
    """An empty database of MLflow's, named by nothing yet: its tables take seconds to make."""
    from mlflow import MlflowClient

    def make(folder: Path) -> Path:
        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
        return folder / "mlflow.db"

    copy = tmp_path / "mlflow.db"
    copy.write_bytes(once("mlflow", make).read_bytes())
    return f"sqlite:///{copy}"


@pytest.fixture(scope="session")
def prefect_url(shared: Path) -> Iterator[str]:
    """The API of a real Prefect server that all whole runs share: it goes with the last worker."""
    from infra.services import PrefectServer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLAMA_HOME", str(shared / "home"))
        with PrefectServer() as server:
            yield server.wait()


@pytest.fixture(scope="session")
def micro(prefect_url: str, once: Callable[..., Pipeline]) -> Pipeline:
    """One whole run of the recipe `micro`, finished: to look at, or to begin with (`Pipeline.begin_with`)."""

    def make(folder: Path) -> Pipeline:
        pipeline = Pipeline(folder / "home", f"file://{folder}/store", {"PREFECT_API_URL": prefect_url})
        pipeline.ok()
        return pipeline

    return once("micro", make)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> "Trained":
    """A small model with all that it was made from: to look at, not to change."""
    from trained import make_trained

    return make_trained(Store(str(tmp_path_factory.mktemp("trained"))))


@pytest.fixture
def pipeline(prefect_url: str, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline on an empty home and an empty store; what it leaves running is killed."""
    fresh = Pipeline(tmp_path / "home", f"file://{tmp_path}/store", {"PREFECT_API_URL": prefect_url})
    yield fresh
    fresh.kill()
