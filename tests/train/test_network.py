"""What the processes of a training let in: no stranger's connection, and no stranger's code."""

import io
import os
import pickle
import socket
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import programs
import pytest
import torch
from listening import beyond_loopback, listening

from llama_core.artifact import Shard
from llama_core.errors import DamagedError, LaunchError
from llama_core.objects import Object
from llama_core.step import Step
from llama_core.store import Store
from llama_core.train.checkpoint import TrainState
from llama_core.train.checkpoints.share import Uploaded
from llama_core.train.network import Unpickler, open_store

SOON = timedelta(seconds=10)


class Runs:
    """Is pickled as a call."""

    def __init__(self, call: Callable[..., object], *args: object):
        self.call, self.args = call, args

    def __reduce__(self) -> Any:
        return self.call, self.args


def sent(value: object) -> Any:
    """What arrives at another process."""
    return Unpickler(io.BytesIO(pickle.dumps(value))).load()


def test_what_processes_tell_each_other_arrives() -> None:
    shard = Shard("step-00000001", "ab", (Object("a/b", 3, "cd"),), {"tokens": 3}, {"step": 1})
    state = TrainState(1, 3, "ef", 0.5, Object("a/b", 1, "0" * 64))
    uploaded = Uploaded([Object("a/b", 3, "cd")], {"output.weight": {"shape": [3, 2]}})
    for value in (None, True, [shard, {"of": state}, (1.5, b"bytes")], uploaded):
        assert sent(value) == value
    for error in (
        DamagedError("it is damaged"),
        FileNotFoundError(2, "gone", "a"),
        UnicodeDecodeError("a", b"b", 0, 1, "c"),
    ):
        assert (type(sent(error)), str(sent(error))) == (type(error), str(error))


@pytest.mark.parametrize(
    "hostile",
    [
        Runs(os.system, "touch ran"),
        Runs(eval, "open('ran', 'w')"),
        Runs(getattr, Shard, "from_dict"),
        Runs(partial(os.mkdir, "ran")),
        Runs(Path("ran").touch),
        Runs(Store, "file:///etc"),
        Runs(Step.from_dict, {}),
        Runs(Shard.from_dict, {}),
        Runs(torch.load, "ran"),
        {"deep": [DamagedError(Runs(os.system, "touch ran"))]},
    ],
    ids=["system", "eval", "getattr", "partial", "method", "class", "of step", "of shard", "load", "deep"],
)
def test_what_would_run_is_not_unpickled(
    hostile: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="which is not unpickled"):
        sent(hostile)
    assert not list(tmp_path.iterdir())


def test_a_process_does_not_run_what_another_sends(tmp_path: Path) -> None:
    """By our own messages, and by any other collective of torch's."""
    script = f"""
import os, pickle, sys
import torch.distributed as dist
from llama_core.train import distributed
world = distributed.join("cpu")
class Runs:
    def __reduce__(self):
        return os.mkdir, ({str(tmp_path / "ran")!r},)
values = [None] * 2
for send in (world.gather, lambda value: dist.all_gather_object(values, value)):
    try:
        send(Runs() if world.rank else None)
    except pickle.UnpicklingError as error:
        sys.stdout.write(f"{{world.rank}}: {{error}}\\n")
sys.stdout.flush()
os._exit(0)
"""
    done = programs.run("-c", script, ranks=2)
    assert done.returncode == 0, done.stdout
    refused = [line for line in done.stdout.splitlines() if "posix.mkdir, which is not unpickled" in line]
    assert sorted(refused) == sorted([refused[0]] * 2 + ["1" + refused[0][1:]])
    assert not (tmp_path / "ran").exists()


def test_a_store_listens_at_its_address_only() -> None:
    before = set(listening(os.getpid()))
    store = open_store("127.0.0.1", 0, 2, True, SOON)
    new = set(listening(os.getpid())) - before
    assert new == {("127.0.0.1", store.port, os.getpid())}
    open_store("127.0.0.1", store.port, 2, False, SOON).set("a", "b")
    assert store.get("a") == b"b"


def test_a_store_whose_port_is_taken_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LaunchError, match=f"127.0.0.1, port {port}: Address already in use"):
            open_store("127.0.0.1", port, 1, True, SOON)


def test_a_store_at_a_name_that_nobody_knows_says_so() -> None:
    with pytest.raises(LaunchError, match="no process can listen at no-such-node.invalid"):
        open_store("no-such-node.invalid", 0, 1, True, SOON)


def test_a_store_at_a_name_that_is_loopback_here_alone_can_be_reached_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As where /etc/hosts of a node has its own name at 127.0.1.1, by which no other node reaches it."""
    before = set(listening(os.getpid()))
    store = open_store("localhost", 0, 1, True, SOON)
    [new] = set(listening(os.getpid())) - before
    assert new[1] == store.port and beyond_loopback([new])
    assert "localhost is no address of a network of this node" in caplog.text


def test_thousands_of_processes_may_be_connected() -> None:
    """In a process of its own, since nobody may raise a hard limit again."""
    script = """
import resource
from llama_core.train.network import allow_connections
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 9000))
for size in (4, 2048, 4096):
    allow_connections(size)
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    done = programs.run("-c", script)
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.isdigit()] == ["272", "8448", "9000"]
    assert "4096 processes may need 16640 open files each, and this node allows 9000" in done.stdout
    assert "2048 processes" not in done.stdout
