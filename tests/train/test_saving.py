"""A training goes on while its checkpoint is uploaded, and what is uploaded is what it was then."""

import pickle
import resource
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llama_core.errors import StoreError
from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.recipes.load import load_recipe
from llama_core.step import OpenShard, Step
from llama_core.store import Store
from llama_core.train import checkpoint, saving
from llama_core.train.checkpoint import TrainState
from llama_core.train.checkpoints.share import Share, bytes_of, share_of
from llama_core.train.distributed import World
from llama_core.train.metrics.record import Record
from llama_core.train.optimizer import make_optimizer
from llama_core.train.saving import Saver

ALONE = World(0, 1, torch.device("cpu"))
BATCH = 1024  # tokens


class Session:
    """A training of one process, whose steps are drawn."""

    def __init__(self, store: Store, **overrides: Any):
        small = {"model.dim": 32, "model.n_layers": 1, "model.n_heads": 2, "train.tokens": 20 * BATCH}
        self.recipe = load_recipe("micro", small | overrides)
        self.model = Llama(self.recipe.model, 300)
        init_weights(self.model, self.recipe.model, 0.1, 1)
        self.optimizer = make_optimizer(self.model, self.recipe.train)
        self.step = Step(store, "train", 1, {})
        self.record = Record(self.step)
        watchdog: Any = self
        self.saver = Saver(
            self.step, self.recipe, self.model, self.optimizer, ALONE, watchdog, TrainState(0, 0, "")
        )

    def beat(self, n: int) -> None:
        """As the watchdog is told."""

    def add_to_next(self, values: dict[str, Any]) -> None:
        """As the metrics are told."""

    def seal(self) -> Callable[[], Any]:
        """As of the metrics."""
        self.record.seal()
        return self.record.publish

    def go_on(self, n: int) -> None:
        for parameter in self.model.parameters():
            parameter.data += n
            for value in self.optimizer.state[parameter].values():
                value += n
        self.record.add({"step": n})

    def save(self, n: int, stopping: bool = False) -> TrainState | None:
        metrics: Any = self
        return self.saver.save(TrainState(n, n * BATCH, ""), metrics, stopping)

    def run(self, steps: int) -> None:
        """Save when it is due, without waiting."""
        for n in range(1, steps + 1):
            self.go_on(n)
            self.saver.hear(self.saver.ended, n)
            if self.saver.due(n):
                self.save(n)

    def committed(self) -> list[int]:
        return [int(name.removeprefix("step-")) for name in checkpoint.committed(self.step)]

    def files(self, n: int) -> dict[str, bytes]:
        shard = self.step.committed(checkpoint.name_of(n))
        assert shard
        return {o.name.rpartition("/")[2]: self.step.folder.read(o.name, expect=o) for o in shard.objects}


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No upload begins before this is set."""
    event, upload = threading.Event(), Share.upload

    def wait(share: Share, shard: Any) -> Any:
        assert event.wait(30)
        return upload(share, shard)

    monkeypatch.setattr(Share, "upload", wait)
    yield event
    event.set()


def test_what_is_uploaded_beside_the_training_is_bit_for_bit_what_is_waited_for(
    tmp_path: Any, held: threading.Event
) -> None:
    beside, waited = (Session(Store(str(tmp_path / name))) for name in "ab")
    for n in (1, 2):  # the second uses the memory of the first again
        held.clear()
        beside.go_on(n)
        waited.go_on(n)
        assert beside.save(n) is not None
        before = [p.clone() for p in beside.model.parameters()]
        for m in range(3, 6):
            beside.go_on(m)
            assert not beside.saver.hear(beside.saver.ended, m)
        assert n not in beside.committed(), "it is not there, and the training has gone on"
        assert not any(map(torch.equal, before, beside.model.parameters()))
        held.set()
        assert not beside.saver.settle(n)
        waited.save(n, stopping=True)
        theirs, ours = waited.files(n), beside.files(n)
        assert theirs.keys() == ours.keys() == {"00000.data", "00000.table", "layout.json", "state.json"}
        assert all(theirs[name] == ours[name] for name in ("00000.data", "00000.table", "layout.json"))
        checkpoint.load(beside.step, beside.model, beside.optimizer, ALONE)


def test_where_memory_has_no_room_for_a_copy_a_save_is_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(saving, "memory_left", lambda: 100_000)
    session = Session(store, **{"run.save_every": 2})
    [warning] = caplog.messages
    assert "the machine of rank 0 has 0.0 GB of memory left" in warning
    for n in (1, 2):
        session.go_on(n)
        assert session.save(n) is not None
        assert n in session.committed() and len(session.saver._host._memory) == 0
    monkeypatch.setattr(checkpoint, "commit", _away)
    session.go_on(3)
    assert session.save(3) is not None, "the training goes on where one has failed"
    assert session.saver.failed and session.committed() == [1, 2]


def _away(*_: Any) -> None:
    raise StoreError("the store is away")


def test_the_room_for_a_copy_of_a_gpus_share_is_what_torch_takes_for_it() -> None:
    tensors = [SimpleNamespace(nbytes=size, is_cuda=True) for size in (5 << 30, 100)]
    share: Any = SimpleNamespace(tensors=dict(enumerate(tensors)))
    assert bytes_of(share) == 8 << 30


def test_permanent_checkpoints_stay_and_of_the_others_the_last_ones(store: Store) -> None:
    session = Session(store, **{"run.save_every": 2, "run.keep": 1, "run.keep_every": 5 * BATCH})
    session.run(20)
    assert session.save(20, stopping=True)
    assert session.committed() == [5, 10, 15, 18, 20]
    permanent = [s.facts["permanent"] for s in checkpoint.saved_in(session.step.folder)]
    assert permanent == [True, True, True, False, True]
    lying = {name.split("/")[1] for name in session.step.folder.list() if name.startswith("a-")}
    assert lying - {"metrics"} == {checkpoint.name_of(n) for n in session.committed()}
    checkpoint.finish(session.step, TrainState(20, 20 * BATCH, ""), 1, "digest", {})
    assert session.committed() == [5, 10, 15, 18, 20]


def test_a_checkpoint_that_is_permanent_after_a_return_stays_though_it_was_not_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(store, **{"run.keep": 1, "run.keep_every": 3 * BATCH})

    def save(*steps: int) -> None:
        for n in steps:
            session.save(n)
            session.saver.settle(n)

    save(2, 3, 4)
    assert [s.facts["permanent"] for s in checkpoint.saved_in(session.step.folder)] == [False, True, False]
    back = checkpoint.go_back(session.step, 3, 0, session.model, session.optimizer, ALONE)
    assert back and session.committed() == [2]
    session.saver.go_on_after(back)
    with monkeypatch.context() as patch:
        patch.setattr(Share, "upload", away)
        save(3)
    save(4, 5, 6, 7, 8)
    assert session.committed() == [4, 6, 7, 8]


def test_a_temporary_save_that_is_due_while_another_is_uploaded_comes_later_and_a_permanent_one_waits(
    store: Store, held: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(saving, "SHORT_WAIT", 0.05)
    session = Session(store, **{"run.save_every": 2, "run.keep": 9, "run.keep_every": 7 * BATCH})
    session.run(5)
    assert caplog.text.count("the save that is due after step 4 comes later: that after step 2 ") == 1
    assert not session.committed() and "due after step 5" not in caplog.text
    held.set()
    session.saver.settle(5)
    assert session.saver.due(6) and session.saver.due(5), "at once, whatever step it is"
    held.clear()
    session.save(6)
    threading.Timer(0.3, held.set).start()
    assert session.saver.due(7)
    session.save(7)
    assert session.committed() == [2, 6], "it has waited"
    session.saver.settle(7)
    assert [s.facts["permanent"] for s in checkpoint.saved_in(session.step.folder)] == [False, False, True]


def test_what_comes_broken_from_the_store_once_is_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, broken = Session(store), set[str]()
    session.go_on(1)
    session.save(1, stopping=True)
    weights = [p.clone() for p in session.model.parameters()]
    session.go_on(2)
    read = Store.read_range

    def broken_once(self: Store, name: str, start: int, end: int) -> bytes:
        data = read(self, name, start, end)
        if name in broken:
            return data
        broken.add(name)
        return data[:-1] + bytes([data[-1] ^ 1])

    monkeypatch.setattr(Store, "read_range", broken_once)
    assert checkpoint.load(session.step, session.model, session.optimizer, ALONE)
    assert broken and all(map(torch.equal, weights, session.model.parameters()))


def away(*_: Any) -> Any:
    raise StoreError("the bucket is away")


def test_a_save_is_due_after_so_many_minutes(store: Store) -> None:
    session = Session(store, **{"run.save_every": 1000, "run.save_minutes": 1e-9})
    assert session.saver.wants and session.saver.due(3, wanted=True) and not session.saver.due(3)
    assert not Session(store, **{"run.save_minutes": 60}).saver.wants


def fails(session: Session, caplog: pytest.LogCaptureFixture, says: str) -> None:
    """Step 5 cannot be saved; the training goes on and says so, and is saved at the end."""
    session.run(5)
    while session.saver._failed == 0:
        session.saver.hear(session.saver.ended, 6)
    assert "the save after step 5 has failed" in caplog.text and says in caplog.text
    assert not session.saver.wants and not session.saver.due(10), "nor again and again"
    time.sleep(saving.REST)
    assert session.saver.wants and session.saver.due(7, wanted=True), "sooner than usual"


def test_a_full_disk_is_told_and_the_training_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(saving, "REST", 1.0)
    session = Session(store, **{"run.save_every": 5})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))  # bytes, as a full disk would
    try:
        fails(session, caplog, "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [name for name in store.list() if name.endswith(".data")], "no part of it is there"
    session.go_on(7)
    session.save(7, stopping=True)
    assert session.committed() == [7]
    assert [b"step" in line for line in session.files(7)["state.json"].splitlines()].count(True) == 1


@pytest.mark.slow
def test_a_bucket_that_is_deleted_is_told_and_one_that_is_back_is_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.get_host_and_port()[1]}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    try:
        monkeypatch.setattr(saving, "REST", 1.0)
        session = Session(Store("s3://checkpoints/store"), **{"run.save_every": 5})
        fails(session, caplog, "the bucket does not exist: create it first")
        s3fs.S3FileSystem(endpoint_url=session.step.root.fs.endpoint_url).mkdir("checkpoints")
        session.go_on(7)
        session.save(7, stopping=True)
        assert session.committed() == [7]
    finally:
        server.stop()


def test_saves_that_fail_for_hours_end_the_run_and_many_within_a_short_time_do_not(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Share, "upload", away)
    monkeypatch.setattr(saving, "REST", 0.01)
    fast = Session(store)
    for n in range(1, 19):
        fast.save(n)
        fast.saver.settle(n)
    assert "failure 18 in a row, for 0.00 h, and up to 12 h (run.unsaved_hours)" in caplog.text
    session = Session(store, **{"run.unsaved_hours": 0.3 / 3600})
    with pytest.raises(StoreError, match="the bucket is away"):
        session.save(5, stopping=True)
    assert 2 <= session.saver._failed <= 10, "the rests between them grow"


def test_a_step_that_another_attempt_has_finished_is_left_to_it(store: Store) -> None:
    session, other = Session(store), Session(store)
    other.go_on(1)
    saved = other.save(1, stopping=True)
    assert saved
    checkpoint.finish(other.step, saved, 1, "digest", {})
    before = store.list()
    assert session.save(5) is not None
    assert session.saver.settle(5), "it is finished"
    assert store.list() == before


def test_a_step_that_the_same_attempt_has_finished_keeps_its_objects(store: Store) -> None:
    """As where a job that was taken for dead comes back."""
    session, other = Session(store), Session(store)
    session.step.attempt = other.step.attempt
    other.go_on(1)
    saved = other.save(1, stopping=True)
    assert saved
    checkpoint.finish(other.step, saved, 1, "digest", {})
    session.go_on(1)
    session.save(1)
    assert session.saver.settle(1)
    assert session.step.finished() and session.files(1)


def test_a_long_upload_that_is_waited_for_is_no_hang(
    store: Store, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, beats = Session(store), list[int]()
    monkeypatch.setattr(session, "beat", beats.append)
    monkeypatch.setattr(saving, "LOOK_EVERY", 0.01)
    session.save(1)
    timer = threading.Timer(0.5, held.set)
    timer.start()
    assert not session.saver.settle(1)
    assert session.committed() == [1] and len(beats) > 3 and set(beats) == {1}
    monkeypatch.setattr(saving, "LONGEST_SAVE", 0.0)
    beats.clear()
    session.save(2)
    session.saver.settle(2)
    assert not beats, "one that takes for ever is one"


def test_what_a_process_tells_of_its_share_does_not_grow_with_the_model(store: Store) -> None:
    """It is gathered from thousands of processes, in room for the largest."""
    session = Session(store, **{"model.n_layers": 20})
    share = share_of(session.model, session.optimizer, ALONE)
    assert len(share.layout.parameters) > 100
    assert len(pickle.dumps(share.upload(OpenShard(session.step, "step-00000001")))) < 1000


def test_what_saves_have_left_that_failed_is_deleted_before_the_next_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(store, **{"run.save_every": 2})
    killed = Session(store).step.folder
    killed.publish_bytes("a-killed/step-00000001/00001.data", b"half of a save")
    killed.publish_bytes("a-killed/step-00000009/00001.data", b"of a save that may go on")
    killed.publish_bytes("a-killed/metrics/00000001-00000001.jsonl", b"")
    upload = Share.upload

    def away(share: Share, shard: OpenShard) -> Any:
        upload(share, shard)
        raise StoreError("the bucket is away, for another process")

    def lying() -> list[str]:
        return sorted({name.split("/")[1] for name in session.step.folder.list() if name.startswith("a-")})

    session.save(2)
    session.saver.settle(2)
    assert lying() == ["metrics", "step-00000002", "step-00000009"]
    with monkeypatch.context() as patch:
        patch.setattr(Share, "upload", away)
        session.save(4)
        session.saver.settle(4)
    assert "step-00000004" in lying() and session.committed() == [2]
    session.save(6)
    session.saver.settle(6)
    assert lying() == ["metrics", "step-00000002", "step-00000006", "step-00000009"]
    assert session.committed() == [2, 6] and session.files(2) and session.files(6)
