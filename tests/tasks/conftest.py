"""A model that can be registered, and an MLflow to register it in."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from registered import Model, made_steps
from trained import Trained
from unorchestrated import leave_prefect_out

from llama_core.artifact import Artifact
from llama_core.export import REVISION, huggingface
from llama_core.step import Step
from llama_core.store import Store
from tasks.export import mlflow_files
from tasks.run import Run


@pytest.fixture(scope="module")
def made(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the scores and the export of a model."""
    store = Store(str(tmp_path_factory.mktemp("made")))
    Step(store, "evaluate", 1, {}).commit([], facts={"heldout": {}, "tasks": {}})
    step = Step(store, "export", REVISION, {})
    train, tokenizer = trained.inputs["train"], trained.inputs["tokenizer"]
    huggingface.export(step, trained.recipe, train, tokenizer, extra=mlflow_files())
    step.commit([huggingface.SHARD])
    return store


@pytest.fixture
def model(
    made: Store, trained: Trained, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> Model:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    leave_prefect_out(monkeypatch)
    store = Store(str(tmp_path / "a #b?c;d 'e\" é&+"))
    shutil.copytree(made.path(), store.path())
    scored, exported = (Artifact.load(store, name) for name in sorted(made_steps(store)))
    return Model(Run(trained.recipe, store), {"train": trained.inputs["train"]}, scored, exported)


@pytest.fixture
def bucket(model: Model, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store on S3 with the model, at a key that has to be quoted in most places."""
    from mlflow.store.artifact.s3_artifact_repo import _cached_get_s3_client
    from moto.server import ThreadedMotoServer

    _cached_get_s3_client.cache_clear()  # MLflow would ask the server of the test before
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "for-the-test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = f"bucket-{uuid.uuid4().hex[:8]}"  # the servers of a process share their buckets
    store = Store(f"s3://{name}/a b%20c%2Fd;e'é+&")
    store.fs.mkdir(name)
    for name in model.run.store.list():
        store.publish_bytes(name, model.run.store.read(name))
    yield store
    server.stop()
