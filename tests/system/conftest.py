"""Fixtures of the system tests: real servers, started once for each worker of pytest-xdist; small tokens."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from system import ceph
from system.fault_proxy import FaultProxy
from system.slurm_cluster import SlurmCluster
from system.slurm_jobs import LOGS, SURROUNDINGS, spec
from trainings import tokens

from infra.launch.launcher import JobSpec
from infra.launch.slurm import SlurmLauncher

__all__ = ["cluster", "job", "s3", "slurm", "through", "tokens"]


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ceph.Ceph]:
    """A server that all tests of one worker share. Who kills its gateway starts it again."""
    server = ceph.Ceph(tmp_path_factory.mktemp("ceph"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def through(s3: ceph.Ceph) -> Iterator[Callable[..., FaultProxy]]:
    """`through(**settings)`: a proxy to the server."""
    started: list[FaultProxy] = []

    def start(**settings: Any) -> FaultProxy:
        started.append(FaultProxy(s3.port, **settings))
        started[-1].start()
        return started[-1]

    yield start
    for proxy in started:
        proxy.stop()


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
