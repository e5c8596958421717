"""The engines: every shard is worked on, a lost worker's shards again, and only those."""

import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from llama_core.errors import LaunchError
from llama_core.phases import Phase
from llama_core.recipes.running import RunSection
from tasks import fanout
from tasks.fanout import engine_of, on_processes

ENGINES = [
    "processes",
    pytest.param("dask", marks=pytest.mark.slow),
    pytest.param("ray", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", autouse=True)
def clusters() -> Iterator[None]:
    """End the clusters that were started here: at the end of the process they would log to a closed file."""
    yield
    if fanout._dask_client.cache_info().currsize:
        fanout._dask_client(None, RunSection().workers).close()
        fanout._dask_client.cache_clear()
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


def note(folder: Path, number: int, lost: int | None = None, seconds: float = 0.02) -> None:
    """Leave a mark for each time that a shard is begun; the `lost` one takes its worker with it, once."""
    began = folder / f"{number}.began"
    first = not began.exists()
    with began.open("a") as file:
        file.write("x")
    if number == lost and first:
        os._exit(9)
    time.sleep(seconds)
    (folder / f"{number}.done").touch()


def refuse(number: int) -> None:
    if number == 5:
        raise ValueError("shard 5 has no text")


def commit_and_die(folder: Path, number: int) -> None:
    with (folder / f"s{number:02}").open("a") as file:
        file.write("x")
    if number == 2:
        os._exit(9)


def die_at_5(number: int) -> None:
    if number == 5:
        os._exit(9)


def wait_for_the_others(folder: Path, number: int) -> None:
    until = time.monotonic() + 20
    while number == 0 and len(list(folder.iterdir())) < 2:
        assert time.monotonic() < until, "a shard waits behind this one, and a process has nothing to do"
        time.sleep(0.01)
    (folder / str(number)).touch()


def phase(work: object, committed: Callable[[], set[str]] = set) -> Phase:
    return Phase("shards", {f"s{i:02}": i for i in range(24)}, work, committed)  # type: ignore[arg-type]


def test_the_last_shards_do_not_wait_behind_a_slow_one(tmp_path: Path) -> None:
    todo = ["s00", "s01", "s02"]
    assert sorted(on_processes(phase(partial(wait_for_the_others, tmp_path)), todo, workers=2)) == todo


@pytest.mark.parametrize("engine", ENGINES)
def test_a_lost_workers_shards_are_worked_on_again_and_no_finished_one_is(
    engine: str, tmp_path: Path
) -> None:
    work = partial(note, tmp_path, lost=7)
    todo = [f"s{i:02}" for i in range(1, 24)]

    def committed() -> set[str]:
        return {f"s{int(p.stem):02}" for p in tmp_path.glob("*.done")}

    done = list(engine_of(RunSection(engine=engine))(phase(work, committed), todo))  # type: ignore[arg-type]
    assert sorted(done) == todo, "each once, and nothing that was not asked for"
    began = {int(p.stem): len(p.read_text()) for p in tmp_path.glob("*.began")}
    assert set(began) == set(range(1, 24)) and began[7] == 2
    assert sum(began.values()) <= 23 + 2, "the lost one, and one that a cluster had not heard the end of"


@pytest.mark.slow
def test_a_lost_process_costs_its_own_shard_and_none_that_others_work_on(tmp_path: Path) -> None:
    def committed() -> set[str]:
        return {f"s{int(p.stem):02}" for p in tmp_path.glob("*.done")}

    some = phase(partial(note, tmp_path, lost=3, seconds=0.3), committed)
    done = list(on_processes(some, list(some.shards)[:12], workers=4))
    assert sorted(done) == list(some.shards)[:12]
    assert [p.stem for p in tmp_path.glob("*.began") if len(p.read_text()) > 1] == ["3"]


@pytest.mark.slow
def test_a_shard_that_was_committed_before_its_process_was_lost_is_done(tmp_path: Path) -> None:
    some = phase(partial(commit_and_die, tmp_path), lambda: {p.name for p in tmp_path.iterdir()})
    assert sorted(on_processes(some, ["s01", "s02", "s03"], workers=2)) == ["s01", "s02", "s03"]
    assert {p.read_text() for p in tmp_path.iterdir()} == {"x"}, "none was worked on twice"


def test_a_shard_that_takes_its_process_with_it_each_time_ends_the_phase_by_its_name() -> None:
    with pytest.raises(LaunchError, match="lost 4 times while it worked on s05 of shards"):
        list(on_processes(phase(die_at_5), [f"s{i:02}" for i in range(4, 8)], workers=2))


def test_processes_that_are_lost_between_two_phases_are_started_again() -> None:
    some = phase(abs)
    assert len(list(on_processes(some, list(some.shards), workers=2))) == 24
    workers = [p for p in psutil.Process().children() if "popen_loky" in " ".join(p.cmdline())]
    assert workers
    for worker in workers:
        worker.kill()
    psutil.wait_procs(workers, timeout=5)
    time.sleep(0.5)  # until loky knows, and refuses more work
    assert len(list(on_processes(some, list(some.shards), workers=2))) == 24


def test_shards_are_handed_to_processes_as_they_are_worked_on() -> None:
    """10^5 shards at once would be as many waiting calls, and each of them holds what it was called with."""
    asked: list[str] = []

    class Shards(dict[str, int]):
        def __getitem__(self, name: str) -> int:
            asked.append(name)
            return int(name)

    names = [str(i) for i in range(200)]
    some = Phase("shards", Shards.fromkeys(names, 0), abs)  # type: ignore[arg-type]
    for done, _ in enumerate(on_processes(some, names, workers=2), 1):
        assert len(asked) <= done + 2 * 2


WORKERS = """
from llama_core.phases import Phase
from tasks.fanout import on_processes

def sleep(number):
    import os, time
    print(os.getpid(), flush=True)
    time.sleep(600)

list(on_processes(Phase("shards", {"a": 1, "b": 2}, sleep), ["a", "b"], workers=2))
"""


@pytest.mark.slow
def test_worker_processes_end_with_a_parent_that_was_killed() -> None:
    root = Path(__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", WORKERS], stdout=subprocess.PIPE, text=True, cwd=root)
    assert parent.stdout
    workers = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert all(p.status() == psutil.STATUS_ZOMBIE for p in alive)


class Noted:
    """Work that leaves a mark for each time that it is unpacked."""

    def __init__(self, marks: Path):
        self.marks = marks

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__dict__ |= state
        with self.marks.open("a") as file:
            file.write(f"{os.getpid()}\n")

    def __call__(self, number: int) -> None:
        time.sleep(0.02)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_work_is_unpacked_once_in_each_worker(engine: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.touch()
    some = phase(Noted(marks))
    assert len(list(engine_of(RunSection(engine=engine))(some, list(some.shards)))) == 24  # type: ignore[arg-type]
    unpacked = marks.read_text().split()
    assert 1 <= len(unpacked) == len(set(unpacked))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_in_a_shard_ends_the_phase_and_is_the_shards_own(engine: str) -> None:
    with pytest.raises(ValueError, match="shard 5 has no text"):
        list(engine_of(RunSection(engine=engine))(phase(refuse), list(phase(refuse).shards)))  # type: ignore[arg-type]


LISTENING = """
import os, sys
sys.path[:0] = {paths!r}
from listening import listening
from llama_core.phases import Phase
from llama_core.recipes.running import RunSection
from tasks.fanout import engine_of
some = Phase("shards", {{"a": 1, "b": 2}}, abs)
assert sorted(engine_of(RunSection(engine={engine!r}))(some, ["a", "b"])) == ["a", "b"]
print("sockets:", listening(os.getpid()))
"""  # in a process of its own: the clusters of the tests above live as long as this one


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_a_cluster_on_this_machine_listens_on_loopback_only(engine: str) -> None:
    """It executes what it is sent."""
    from listening import beyond_loopback  # here: the clusters' workers import this module

    root = Path(__file__).parents[2]
    script = LISTENING.format(paths=[str(root), str(root / "tests")], engine=engine)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root)
    [said] = re.findall("^sockets: (.*)$", run.stdout, re.M) or [run.stderr]
    sockets = ast.literal_eval(said)
    assert sockets and beyond_loopback(sockets) == []


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "address"), [("dask", "tcp://127.0.0.1:9"), ("ray", "127.0.0.1:9")])
def test_a_cluster_that_does_not_answer_is_one_clear_error(engine: str, address: str) -> None:
    script = f"""
from llama_core.errors import LaunchError
from llama_core.phases import Phase
from llama_core.recipes.running import RunSection
from tasks.fanout import engine_of
section = RunSection(engine={engine!r}, address={address!r})
try:
    list(engine_of(section)(Phase("shards", {{"a": 1}}, print), ["a"]))
except LaunchError as error:
    print("said:", error)
"""  # in a process of its own: Ray is one for a whole process
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root)
    assert f"answers at run.address {address}" in run.stdout, run.stderr
