"""The engines: every shard is worked on, a lost worker's shards again, and only those."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from loky.process_executor import _ExecutorManagerThread

from llama_core.phases import Phase
from llama_core.recipe import Run
from tasks.fanout import engine_of, on_processes

ENGINES = [
    "processes",
    pytest.param("dask", marks=pytest.mark.slow),
    pytest.param("ray", marks=pytest.mark.slow),
]


def note(folder: Path, number: int, lost: int | None = None) -> None:
    """Leave a mark for each time that a shard is begun; the `lost` one takes its worker with it, once."""
    began = folder / f"{number}.began"
    first = not began.exists()
    with began.open("a") as file:
        file.write("x")
    if number == lost and first:
        os._exit(9)
    time.sleep(0.02)
    (folder / f"{number}.done").touch()


def refuse(number: int) -> None:
    if number == 5:
        raise ValueError("shard 5 has no text")


def phase(work: object, committed: Callable[[], set[str]] = set) -> Phase:
    return Phase("shards", {f"s{i:02}": i for i in range(24)}, work, committed)  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_lost_workers_shards_are_worked_on_again_and_no_finished_one_is(
    engine: str, tmp_path: Path
) -> None:
    work = partial(note, tmp_path, lost=7)
    todo = [f"s{i:02}" for i in range(1, 24)]

    def committed() -> set[str]:
        return {f"s{int(p.stem):02}" for p in tmp_path.glob("*.done")}

    done = list(engine_of(Run(engine=engine))(phase(work, committed), todo))  # type: ignore[arg-type]
    assert sorted(done) == todo, "each once, and nothing that was not asked for"
    began = {int(p.stem): len(p.read_text()) for p in tmp_path.glob("*.began")}
    assert set(began) == set(range(1, 24)) and began[7] == 2
    assert sum(began.values()) <= 23 + 2, "those that the lost pool was working on, and no others"


def test_what_a_lost_pool_commits_at_its_end_is_not_worked_on_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """loky says that a worker was lost first, and kills the others then."""
    kill = _ExecutorManagerThread.kill_workers

    def late(*args: object, **options: object) -> None:
        time.sleep(0.3)
        kill(*args, **options)

    monkeypatch.setattr(_ExecutorManagerThread, "kill_workers", late)

    def committed() -> set[str]:
        return {f"s{int(p.stem):02}" for p in tmp_path.glob("*.done")}

    some = phase(partial(note, tmp_path, lost=3), committed)
    list(on_processes(some, list(some.shards), workers=2))
    again = [p.stem for p in tmp_path.glob("*.began") if len(p.read_text()) > 1]
    assert "3" in again and len(again) <= 2, "the lost one, and what the other worker was working on"


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
    assert len(list(engine_of(Run(engine=engine))(some, list(some.shards)))) == 24  # type: ignore[arg-type]
    unpacked = marks.read_text().split()
    assert 1 <= len(unpacked) == len(set(unpacked))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_in_a_shard_ends_the_phase_and_is_the_shards_own(engine: str) -> None:
    with pytest.raises(ValueError, match="shard 5 has no text"):
        list(engine_of(Run(engine=engine))(phase(refuse), list(phase(refuse).shards)))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "address"), [("dask", "tcp://127.0.0.1:9"), ("ray", "127.0.0.1:9")])
def test_a_cluster_that_does_not_answer_is_one_clear_error(engine: str, address: str) -> None:
    script = f"""
from llama_core.errors import LaunchError
from llama_core.phases import Phase
from llama_core.recipe import Run
from tasks.fanout import engine_of
try:
    list(engine_of(Run(engine={engine!r}, address={address!r}))(Phase("shards", {{"a": 1}}, print), ["a"]))
except LaunchError as error:
    print("said:", error)
"""  # in a process of its own: Ray is one for a whole process
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root)
    assert f"answers at run.address {address}" in run.stdout, run.stderr
