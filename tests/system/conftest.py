"""Fixtures of the system tests: a real S3 server, and small tokens (see `trainings.py`)."""

from collections.abc import Iterator

import pytest
from system import ceph
from trainings import tokens

__all__ = ["s3", "tokens"]


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ceph.Ceph]:
    """A server that all tests of one worker share. Who kills its gateway starts it again."""
    server = ceph.Ceph(tmp_path_factory.mktemp("ceph"))
    try:
        server.start()
        yield server
    finally:
        server.stop()
