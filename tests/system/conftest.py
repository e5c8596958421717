"""Fixtures of the system tests: a real S3 server, and small tokens (see `trainings.py`)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from system import ceph
from system.fault_proxy import FaultProxy
from trainings import tokens

__all__ = ["s3", "through", "tokens"]


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
