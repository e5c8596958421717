"""A Slurm for the tests that need one: it is started once for each worker of pytest-xdist."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from system.slurm_cluster import SlurmCluster
from system.slurm_jobs import LOGS, SURROUNDINGS, spec

from infra.launch.launcher import JobSpec
from infra.launch.slurm import SlurmLauncher


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with SlurmCluster(tmp_path_factory.mktemp("slurm") / "s") as cluster:
        yield cluster


@pytest.fixture
def slurm(cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SlurmLauncher]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    for name, value in SURROUNDINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LLAMA_LOGS", str(tmp_path / LOGS))
    monkeypatch.chdir(tmp_path)
    yield SlurmLauncher(every=0.3)
    cluster.end_jobs()


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., JobSpec]:
    """job(program, *args, **launch): `spec` in the folder of the test."""
    return partial(spec, tmp_path)
