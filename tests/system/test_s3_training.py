"""A training on a real S3 server ends alike whatever befalls the server, the network, the bucket or the keys."""

import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import programs
import pytest
from system import ceph
from system.fault_proxy import FaultProxy, Request
from trainings import SMALL, Training, end_of

from llama_core.artifact import MANIFEST, Artifact
from llama_core.job import Job
from llama_core.program import STOPPED
from llama_core.recipes.load import load_recipe
from llama_core.step import Implied, Step
from llama_core.store import Store
from llama_core.train import REVISION, checkpoint

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(ceph.missing_programs()), reason=f"not installed: {ceph.missing_programs()}"),
    pytest.mark.skipif(not ceph.is_root(), reason="Ceph is started as root"),
]

# A share of one of two processes is more than one part of an upload, which has 16 MiB.
LARGE = {
    "model.dim": 256, "model.n_layers": 4, "model.n_heads": 4, "train.global_batch_tokens": 512,
    "train.tokens": 10 * 512, "run.save_every": 2, "run.keep": 100,
}  # fmt: skip
FIRST = r"/step-00000002/00000\.data"


@dataclass
class Bucket:
    """A bucket with the tokens of `trainings.py`, and trainings on it."""

    url: str
    tokens: tuple[Store, Artifact, Artifact]

    def training(self, **overrides: Any) -> Training:
        store = Store(self.url)
        _, tokenizer, data = (self.tokens[0], *(Artifact.load(store, a.name) for a in self.tokens[1:]))
        recipe = load_recipe("micro", SMALL | LARGE | overrides)
        identity = {"test": secrets.token_hex(8), "train": recipe.train.identity()}
        identity |= {"model": recipe.model.identity()}
        inputs = {"tokens": data, "tokenizer": Implied(tokenizer)}
        return Training(Job(Step(store, "train", REVISION, identity, inputs), recipe))


def copy(source: Store, to: Store, without: Callable[[str], bool] = lambda name: False) -> None:
    for name in source.list():
        if not without(name):
            to.publish_bytes(name, source.read(name))


@pytest.fixture(scope="module")
def bucket(s3: ceph.Ceph, tokens: tuple[Store, Artifact, Artifact]) -> Iterator[Bucket]:
    s3.make_bucket("trainings")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in s3.environment.items():
            patch.setenv(key, value)
        found = Bucket("s3://trainings/store", tokens)
        copy(tokens[0], Store(found.url))
        yield found


@pytest.fixture(scope="module")
def undisturbed(tokens: tuple[Store, Artifact, Artifact]) -> Training:
    run = Bucket(tokens[0].url, tokens).training()
    run.run(2)
    return run


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


def run(training: Training, proxy: FaultProxy, script: str = "", **env: str) -> programs.Done:
    """Train on two processes, to which the server is at the proxy's address. `script` comes first."""
    main = f"{script}\nfrom llama_core import program\nprogram.run('llama_core.train')"
    env = {"AWS_ENDPOINT_URL": proxy.url} | env
    return programs.run("-c", main, training.publish(2), ranks=2, env=env)


def begun(training: Training, other: Training, after: int) -> None:
    """Let a training have come as far as another one had after a step."""

    shards = {f"shards/{checkpoint.name_of(n)}.json" for n in range(after + 1)}

    def later(name: str) -> bool:
        return name == MANIFEST or (name.startswith("shards/") and name not in shards)

    copy(other.step.folder, training.step.folder, later)


def check_whole(training: Training) -> None:
    """Every object that the training has left is one of its artifact's, and whole."""
    artifact = training.artifact()
    for shard in artifact.shards:
        for entry in shard.objects:
            training.step.folder.read(entry.name, expect=entry)
    assert len(training.committed()) == 5


class Held:
    """Watches a proxy, and holds the first request of a kind until it is let go."""

    def __init__(self, method: str, path: str):
        self._method, self._path = method, path
        self.here, self.let_go = threading.Event(), threading.Event()

    async def __call__(self, request: Request) -> None:
        import asyncio

        if not self.here.is_set() and request.asks(self._method, self._path):
            self.here.set()
            await asyncio.to_thread(self.let_go.wait, 60)


@pytest.mark.parametrize("away", [1, 12, 60])
def test_a_server_that_is_killed_inside_a_save_and_inside_a_load(
    s3: ceph.Ceph, bucket: Bucket, undisturbed: Training, through: Callable[..., FaultProxy], away: float
) -> None:
    saves, loads = bucket.training(), bucket.training()
    begun(loads, undisturbed, 4)
    in_save, in_load = Held("PUT", FIRST), Held("GET", r"/step-00000004/0000.\.data")
    with ThreadPoolExecutor() as pool:
        saving = pool.submit(run, saves, through(watch=in_save))
        loading = pool.submit(run, loads, through(watch=in_load))
        assert in_save.here.wait(60) and in_load.here.wait(60)
        assert not saves.committed()
        s3.kill_gateway()
        in_save.let_go.set()
        in_load.let_go.set()
        time.sleep(away)
        s3.start_gateway()
        for done in (saving.result(), loading.result()):
            assert done.returncode == 0, done.stdout
    assert "resuming after step 4" in loading.result().stdout
    assert "failed" not in saving.result().stdout
    for training in (saves, loads):
        assert end_of(training) == end_of(undisturbed)
        check_whole(training)
