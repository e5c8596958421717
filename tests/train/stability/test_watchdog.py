"""A process that comes no further writes where it is, and ends."""

import threading
import time

from llama_core.step import Step
from llama_core.store import Store
from llama_core.train.stability.watchdog import Watchdog, folder_of

RANK = 3


def test_a_process_that_is_stuck_writes_its_stacks_and_ends(store: Store, caplog) -> None:
    step, ended = Step(store, "train", 1, {}), threading.Event()
    with Watchdog(step, RANK, 0.3, ended.set) as watchdog:
        for n in range(1, 6):
            watchdog.beat(n)
            time.sleep(0.1)
            assert not ended.is_set()
        assert ended.wait(10)
    [name] = folder_of(store, step.name).list()
    assert name == f"{step.attempt}/step-5.rank3.txt"
    told = folder_of(store, step.name).read(name).decode()
    assert "test_a_process_that_is_stuck_writes_its_stacks_and_ends" in told
    assert told in caplog.text and "rank 3 comes no further in step 5" in caplog.text


def test_a_store_that_hangs_does_not_keep_a_stuck_process(store: Store, monkeypatch) -> None:
    monkeypatch.setattr("llama_core.train.stability.watchdog.PATIENCE", 0.2)
    monkeypatch.setattr(Store, "publish_bytes", lambda *_: time.sleep(60))
    ended = threading.Event()
    with Watchdog(Step(store, "train", 1, {}), RANK, 0.1, ended.set):
        assert ended.wait(10)


def test_a_training_that_ends_is_left_alone(store: Store) -> None:
    ended = threading.Event()
    with Watchdog(Step(store, "train", 1, {}), RANK, 0.2, ended.set):
        pass
    assert not ended.wait(0.5) and folder_of(store, "train/x").list() == []
