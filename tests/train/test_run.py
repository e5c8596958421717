"""A start of a training waits for its store."""

import socket
import threading

import pytest
from moto.server import ThreadedMotoServer

from llama_core import file_system
from llama_core.errors import StoreError
from llama_core.job import Job
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store
from llama_core.train import run


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A port on which nobody listens yet, as that of the store."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(file_system, "S3_RETRIES", 1)
    monkeypatch.setattr(run, "REST", 0.2)
    return port


def test_a_start_waits_for_a_store_that_is_away(port: int, caplog: pytest.LogCaptureFixture) -> None:
    step = Step(Store(f"s3://waits-{port}/store"), "train", 1, {})
    job = Job(step, load_recipe("micro"))
    before, again = (ThreadedMotoServer(ip_address="127.0.0.1", port=port) for _ in range(2))
    before.start()  # both have the same buckets
    step.root.fs.mkdir(f"waits-{port}")
    url = job.publish()
    before.stop()
    timer = threading.Timer(1.0, again.start)
    timer.start()
    try:
        assert run._load(url, job.sha256).sha256 == job.sha256
    finally:
        timer.join()
        again.stop()
    assert "the store is away (" in caplog.text and "it is asked again in" in caplog.text


def test_it_does_not_wait_for_what_only_a_person_can_mend_nor_for_ever(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "PATIENCE", 0.0)
    with pytest.raises(StoreError):
        run._load(f"s3://away-{port}/store/a-1/job.json", None)
    monkeypatch.setattr(run, "PATIENCE", 3600.0)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port)
    server.start()
    try:
        with pytest.raises((StoreError, FileNotFoundError)):
            run._load(f"s3://nobody-has-made-{port}/store/a-1/job.json", None)
    finally:
        server.stop()
    assert "is away" not in caplog.text
