"""A training on a real S3 server ends alike whatever befalls the server, network, bucket or keys."""

import asyncio
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import programs
import pytest
from busy import patience
from system import ceph
from system.canary import assert_store_clean, has_secret
from system.fault_proxy import FAULTS, FaultProxy, Request
from trainings import SMALL, Training, end_of, watched

from llama_core.artifact import MANIFEST, Artifact
from llama_core.job import Job
from llama_core.program import FAILED, HUNG, LEFT_ALONE
from llama_core.recipes.load import load_recipe
from llama_core.step import Implied, Step
from llama_core.store import Store
from llama_core.train import REVISION, checkpoint
from llama_core.train.stability.watchdog import folder_of

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
START = 240  # seconds that a training may need on a busy machine to come to a request


@dataclass
class Bucket:
    """A bucket with the tokens of `trainings.py`, and trainings on it."""

    url: str
    tokens: tuple[Store, Artifact, Artifact]

    def training(self, **overrides: Any) -> Training:
        store = Store(self.url)
        tokenizer, data = (Artifact.load(store, made.name) for made in self.tokens[1:])
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


def run(training: Training, proxy: FaultProxy, script: str = "", **env: str) -> programs.Done:
    """Train on two processes, to which the server is at the proxy's address. `script` comes first."""
    main = f"{script}\nfrom llama_core import program\nprogram.run('llama_core.train')"
    env = {"AWS_ENDPOINT_URL": proxy.url} | env
    done = programs.run("-c", main, training.publish(2), ranks=2, env=env)
    assert not has_secret(done.stdout.encode()), done.stdout
    return done


def begun(training: Training, other: Training, after: int) -> None:
    """Let a training have come as far as another one had after a step."""
    shards = {f"shards/{checkpoint.name_of(n)}.json" for n in range(after + 1)}

    def later(name: str) -> bool:
        return name == MANIFEST or (name.startswith("shards/") and name not in shards)

    copy(other.step.folder, training.step.folder, later)


def check_whole(training: Training) -> None:
    """Every object that the training has left is one of its artifact's, and whole."""
    artifact, folder = training.artifact(), training.step.folder
    objects = list(artifact.objects())
    for entry in objects:
        folder.read(entry.name, expect=entry)
    others = set(folder.list()) - {entry.name for entry in objects}
    assert not [name for name in others if "/" in name and not name.startswith("shards/")]
    assert training.committed()[-1] == "step-00000010"


class Held:
    """Watches a proxy, and holds the first request of a kind until it is let go."""

    def __init__(self, method: str, path: str):
        self._method, self._path = method, path
        self.here, self.let_go = threading.Event(), threading.Event()

    async def __call__(self, request: Request) -> None:
        if not self.here.is_set() and request.asks(self._method, self._path):
            self.here.set()
            await asyncio.to_thread(self.let_go.wait, START)


# A server that is away for a minute may need as long to start on a busy machine.
BUSY = """
from llama_core import file_system
file_system.S3_RETRIES = round({more} * file_system.S3_RETRIES)
file_system.S3_PATIENCE *= {more}
"""


@pytest.mark.parametrize("away", [1, 12, 60])
def test_a_server_that_is_killed_inside_a_save_and_inside_a_load(
    s3: ceph.Ceph, bucket: Bucket, undisturbed: Training, through: Callable[..., FaultProxy], away: float
) -> None:
    saves, loads = bucket.training(), bucket.training()
    begun(loads, undisturbed, 4)
    busy = BUSY.format(more=patience(1))
    in_save, in_load = Held("PUT", FIRST), Held("GET", r"/step-00000004/0000.\.data")
    with ThreadPoolExecutor() as pool:
        saving = pool.submit(run, saves, through(watch=in_save), busy)
        loading = pool.submit(run, loads, through(watch=in_load), busy)
        assert in_save.here.wait(START) and in_load.here.wait(START)
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


HANGS = (
    watched(20)
    + """
import os, time
from llama_core.train.metrics.metrics import Metrics
step = Metrics.step
def hang(self, n, *figures):
    step(self, n, *figures)
    if n == 5 and os.environ["RANK"] == "1":
        time.sleep(600)
Metrics.step = hang
"""
)


def test_a_network_that_fails_one_request_in_three(
    bucket: Bucket, undisturbed: Training, through: Callable[..., FaultProxy]
) -> None:
    training = bucket.training()
    proxy = through(rates=FAULTS, seed=1)
    hung = run(training, proxy, HANGS)
    assert hung.returncode in (HUNG, LEFT_ALONE) and "comes no further in step 5" in hung.stdout, hung.stdout
    done = run(training, proxy)
    assert done.returncode == 0 and re.search("resuming after step [24]", done.stdout), done.stdout
    assert "failed" not in done.stdout
    assert end_of(training) == end_of(undisturbed)
    check_whole(training)
    folder = folder_of(training.step.root, training.step.name)
    assert any(name.endswith(".rank1.txt") for name in folder.list())
    assert_store_clean(training.step.root)
    assert {f"{fault} {method}" for fault in FAULTS for method in ("GET", "PUT")} <= proxy.done.keys()


SOON_GIVEN_UP = {"run.unsaved_hours": 1e-5}
IMPATIENT = """
import os, pathlib
from llama_core import file_system
from llama_core.train import saving
file_system.S3_RETRIES = 3
saving.REST, saving.SHORT_WAIT = 0.1, 100.0  # the failure is told before the last step
note = saving.Saver._note_failure
def noted(self, *failure):
    pathlib.Path(os.environ["FAILED"]).touch()
    note(self, *failure)
saving.Saver._note_failure = noted
"""


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that an IMPATIENT training makes once a save has failed."""
    file = tmp_path / "failed"
    monkeypatch.setenv("FAILED", str(file))
    return file


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + START
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


class Away:
    """Takes the server away from a training for a while, once a request of a kind is done.

    Its answer comes after `while_away`, and so does the server, unless it `stays` away.
    """

    def __init__(self, method: str, path: str, while_away: Callable[[], object], stays: bool = False):
        self._method, self._path, self._while_away, self._stays = method, path, while_away, stays
        self.begun = False
        self.proxy: FaultProxy

    async def __call__(self, request: Request) -> None:
        if not self.begun and request.asks(self._method, self._path):
            self.begun = self.proxy.away = True
            await asyncio.to_thread(self._while_away)
            self.proxy.away = self._stays


def test_a_save_that_cannot_be_made_is_given_up_and_told_and_the_next_one_is_whole(
    bucket: Bucket, undisturbed: Training, through: Callable[..., FaultProxy], failed: Path
) -> None:
    training = bucket.training()

    def come_back() -> None:
        wait_for(failed)
        watch.proxy.away = False

    watch = Away("PUT", FIRST, threading.Thread(target=come_back).start, stays=True)
    watch.proxy = through(watch=watch)
    done = run(training, watch.proxy, IMPATIENT)
    assert done.returncode == 0, done.stdout
    assert "WARNING the save after step 2 has failed (cannot " in done.stdout
    told = [r["interruption"] for r in training.records() if "interruption" in r]
    assert told and told[0].startswith("the save after step 2 has failed: cannot "), "for MLflow"
    assert "step-00000002" not in training.committed()
    assert end_of(training) == end_of(undisturbed)
    check_whole(training)


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_bucket_that_is_deleted(
    s3: ceph.Ceph,
    bucket: Bucket,
    undisturbed: Training,
    through: Callable[..., FaultProxy],
    comes_back: bool,
    failed: Path,
) -> None:
    name = f"deleted-{int(comes_back)}"
    s3.make_bucket(name)
    theirs = Bucket(f"s3://{name}/store", bucket.tokens)
    copy(bucket.tokens[0], Store(theirs.url))
    training = theirs.training(**({} if comes_back else SOON_GIVEN_UP))

    def delete() -> None:
        s3.delete_bucket(name)
        if comes_back:
            threading.Thread(target=lambda: (wait_for(failed), s3.make_bucket(name))).start()

    watch = Away("PUT", FIRST, delete)
    watch.proxy = through(watch=watch)
    done = run(training, watch.proxy, IMPATIENT)
    hint = "the bucket does not exist: create it first"
    assert hint in done.stdout
    if comes_back:
        assert done.returncode == 0, done.stdout
        assert end_of(training)[0] == end_of(undisturbed)[0]
        check_whole(training)
    else:
        assert done.returncode == FAILED, done.stdout
        assert re.search(rf"@error cannot .*: {hint}", done.stdout)
        assert "(run.unsaved_hours) end nothing" in done.stdout


def test_keys_that_are_renewed_while_it_trains(
    s3: ceph.Ceph, bucket: Bucket, undisturbed: Training, through: Callable[..., FaultProxy], tmp_path: Path
) -> None:
    training = bucket.training()
    file = tmp_path / "credentials"
    old, new = (ceph.Keys(f"AKIAC4N4RY{n}", f"c4n4ry-secret-{n}") for n in ("old", "new"))
    for keys in (old, new):
        s3.create(keys)
    file.write_text(old.profile)

    def renew() -> None:
        s3.revoke(old)
        threading.Timer(3, file.write_text, [new.profile]).start()

    watch = Away("PUT", FIRST, renew)
    watch.proxy = through(watch=watch)
    done = run(training, watch.proxy, AWS_SHARED_CREDENTIALS_FILE=str(file), AWS_ACCESS_KEY_ID="")
    assert done.returncode == 0, done.stdout
    assert "WARNING the credentials of the store have changed" in done.stdout
    assert "has failed" not in done.stdout, "they are waited for"
    assert end_of(training) == end_of(undisturbed)


def test_keys_of_the_environment_that_are_revoked_are_told_with_what_to_do(
    s3: ceph.Ceph, bucket: Bucket, through: Callable[..., FaultProxy], failed: Path
) -> None:
    training = bucket.training(**SOON_GIVEN_UP)
    keys = ceph.Keys("AKIAC4N4RYenv", "c4n4ry-secret-env")
    s3.create(keys)
    watch = Away("PUT", FIRST, lambda: s3.revoke(keys))
    watch.proxy = through(watch=watch)
    own = {"AWS_ACCESS_KEY_ID": keys.access, "AWS_SECRET_ACCESS_KEY": keys.secret}
    done = run(training, watch.proxy, IMPATIENT, **own)
    assert done.returncode == FAILED, done.stdout
    assert re.search("@error .*the server refuses the credentials: .*AWS credentials file", done.stdout)
    assert '@metrics {"step": 3,' in done.stdout, "it has gone on for as long as it may"
