"""A store that fails in a save costs that save, on every process alike, and not the training."""

import re
import signal

import programs
import pytest
from trainings import end_of

FAILS = """
import sys
from llama_core import store
from llama_core.errors import StoreError
from llama_core.train import saving
saving.REST = 0.01
failures = {failures!r}  # how often a write fails, by what its name ends in
def fails(name):
    for end in failures:
        if name.endswith(end) and failures[end]:
            failures[end] -= 1
            raise StoreError("the bucket is away")
def failing(what):
    def call(self, name, *more):
        fails(name)
        return what(self, name, *more)
    return call
store.Store.publish = failing(store.Store.publish)
store.Store.create = failing(store.Store.create)
store.Store.publish_bytes = failing(store.Store.publish_bytes)
from llama_core.train.run import main
sys.exit(main({url!r}))
"""


def run_with(training, failures: dict[str, int], processes: int = 2) -> programs.Done:
    script = FAILS.format(failures=failures, url=training.publish(processes))
    return programs.run("-c", script, ranks=processes)


@pytest.fixture(scope="module")
def undisturbed(training):
    run = training(**{"run.save_every": 5})
    run.run(2)
    return run


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param({"step-00000005/00001.data": 1}, marks=pytest.mark.slow),
        pytest.param({"step-00000005/state.json": 1}, marks=pytest.mark.slow),
        {"shards/step-00000005.json": 1},
        pytest.param({"metrics/00000001-00000005.jsonl": 1}, marks=pytest.mark.slow),
    ],
    ids=["a rank's file", "the state", "the commit", "the record"],
)
def test_a_save_that_fails_is_made_soon_after(training, undisturbed, failures) -> None:
    run = training(**{"run.save_every": 5, "run.keep": 100})
    done = run_with(run, failures)
    assert done.returncode == 0, done.stdout
    assert "the save after step 5 has failed (the bucket is away): failure 1 in a row" in done.stdout
    saved = run.committed()
    assert saved[-2:] == [f"step-{n:08d}" for n in (15, 20)]
    assert "step-00000006" <= saved[0] < "step-00000015", "by the clock"
    assert end_of(run) == end_of(undisturbed)


@pytest.mark.slow
def test_the_last_save_is_tried_until_it_succeeds(training, undisturbed) -> None:
    run = training(**{"run.save_every": 5})
    done = run_with(run, {"shards/step-00000020.json": 2, "step-00000020/00001.data": 2})
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("the save after step 20 has failed") == 4
    assert end_of(run) == end_of(undisturbed)


@pytest.mark.slow
def test_two_processes_save_by_the_clock_of_one_and_keep_by_tokens(training, undisturbed) -> None:
    run = training(**{"run.save_minutes": 1e-9, "run.keep": 1, "run.keep_every": 5 * 1024})
    run.run(2)
    steps = [int(name.removeprefix("step-")) for name in run.committed()]
    permanent = [n for n in steps if run.step.committed(f"step-{n:08d}").facts["permanent"]]
    assert permanent == [5, 10, 15, 20], "where they are due, whatever else is saved"
    assert len(steps) == 5, "and one that is temporary"
    assert {s.name for s in run.artifact().shards} == {*run.committed(), "metrics"}
    assert end_of(run) == end_of(undisturbed)


@pytest.mark.slow
def test_a_store_that_stays_away_ends_the_run_at_last(training) -> None:
    run = training(**{"run.save_every": 2, "run.unsaved_hours": 0.2 / 3600})
    done = run_with(run, dict.fromkeys([f"shards/step-{n:08d}.json" for n in range(8, 21)], 999))
    assert done.returncode == 1 and "StoreError: the bucket is away" in done.stdout
    assert '"step": 9,' in done.stdout, "the training goes on"
    assert re.search(r"failure \d+ in a row, for 0.00 h, and up to 5.*e-05 h", done.stdout)
    assert run.committed()[-1] == "step-00000006"


DIES = """
import os, signal, sys
from llama_core import store
create = store.Store.create
def create_or_die(self, name, data):
    if name == "shards/step-00000005.json":
        os.kill(os.getpid(), signal.SIGKILL)
    return create(self, name, data)
store.Store.create = create_or_die
from llama_core.train.run import main
sys.exit(main({url!r}))
"""


def test_a_start_of_a_job_writes_nothing_where_an_earlier_one_may_still_upload(training) -> None:
    run = training(**{"run.save_every": 5, "run.keep": 9, "train.tokens": 10 * 1024})
    url = run.publish()
    assert programs.run("-c", DIES.format(url=url)).returncode == -signal.SIGKILL
    before = {name: run.step.folder.read(name) for name in run.step.folder.list() if "/step-" in name}
    assert len(before) == 4 and not run.committed()
    done = programs.run("-m", "llama_core.train", url)
    assert done.returncode == 0, done.stdout
    [first, last] = [run.step.committed(name) for name in run.committed()]
    assert not before.keys() & {entry.name for entry in (*first.objects, *last.objects)}
    assert not before.keys() & set(run.step.folder.list()), "what was never committed is deleted"


FULL = """
import os, resource
from llama_core.train.checkpoints.share import Share
upload, tries = Share.upload, iter(range(100))
def onto_a_full_disk(self, shard):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if os.environ["RANK"] == "1" and next(tries) == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # bytes
    try:
        return upload(self, shard)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
Share.upload = onto_a_full_disk
from llama_core import program
program.run("llama_core.train")
"""


@pytest.mark.slow
def test_a_disk_that_is_full_for_one_of_two_processes_costs_both_that_save(training, undisturbed) -> None:
    run = training(**{"run.save_every": 5, "run.keep": 100})
    done = programs.run("-c", FULL, run.publish(2), ranks=2)
    assert done.returncode == 0, done.stdout
    assert re.search(r"WARNING the save after step 5 has failed \(cannot write .*File too large", done.stdout)
    assert "step-00000005" not in run.committed()
    kept = {entry.name for entry in run.artifact().objects()}
    assert all(name in kept for name in run.step.folder.list() if name.endswith((".data", ".table")))
    assert end_of(run) == end_of(undisturbed)
