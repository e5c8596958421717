"""A process that hangs, wherever it does, is found out: each of them writes where it is, and the job ends."""

import re

import programs
import pytest
from trainings import end_of, watched

from llama_core import program
from llama_core.train.stability import watchdog


@pytest.mark.slow
def test_a_process_that_stops_is_found_out_by_the_other_and_the_run_goes_on(training) -> None:
    """It is stopped by a signal, as a GPU that never answers would stop it: neither waits for ten minutes."""
    run, undisturbed = (training(**{"run.save_every": 5}) for _ in range(2))
    undisturbed.run(2)
    script = f"""
import os, signal, sys
{watched(8)}
from llama_core.train import loop
step = loop.Metrics.step
def stop_once(self, n, *more):
    if n == 12 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGSTOP)
    return step(self, n, *more)
loop.Metrics.step = stop_once
from llama_core.train.run import main
sys.exit(main({run.publish(2)!r}))
"""
    done = programs.run("-c", script, ranks=2)
    assert done.returncode == program.HUNG, done.stdout
    assert "rank 0 comes no further in step 1" in done.stdout
    stuck = watchdog.folder_of(run.step.root, run.step.name)
    names = sorted(stuck.list())
    written = [name.partition(".")[2] for name in names]
    assert written == ["rank0.gloo.json", "rank0.txt"], "the other one could not write"
    recorded = stuck.read_json(names[0])
    assert recorded["entries"][-1]["profiling_name"].startswith("gloo:"), "the message that it waits in"
    # The save after step 10 may still have been on its way.
    assert re.search(r"resuming after step (5|10) of 20", run.run(2))
    assert end_of(run) == end_of(undisturbed)


@pytest.mark.slow
def test_a_read_that_never_ends_is_in_the_stacks_of_its_rank_alone(training) -> None:
    run = training(**{"run.save_every": 5})
    script = f"""
import os, sys
{watched(8)}
from llama_core.tokens.loader import Loader
read = Loader._read
def blocked_read(self, n, *of):
    if n == 12 and os.environ["RANK"] == "1":
        os.read(os.pipe()[0], 1)  # as of a connection that nobody closes
    return read(self, n, *of)
Loader._read = blocked_read
from llama_core.train.run import main
sys.exit(main({run.publish(2)!r}))
"""
    done = programs.run("-c", script, ranks=2)
    assert done.returncode == program.HUNG, done.stdout
    stuck = watchdog.folder_of(run.step.root, run.step.name)
    texts = [name for name in stuck.list() if name.endswith(".txt")]
    of_rank = {name.split(".")[-2]: stuck.read(name).decode() for name in texts}
    assert of_rank.keys() == {"rank0", "rank1"}, done.stdout
    assert all(("blocked_read" in told) == (rank == "rank1") for rank, told in of_rank.items()), done.stdout
    assert re.search(r"resuming after step (5|10) of 20", run.run(2))


SLOW_UPLOAD = """
import os, sys, time
{watched}
from llama_core.train.checkpoints.share import Share
upload = Share.upload
def retried(self, shard):
    if os.environ["RANK"] == "1":
        time.sleep(11)  # as the store does between two tries
    return upload(self, shard)
Share.upload = retried
from llama_core.train.run import main
sys.exit(main({url!r}))
"""


@pytest.mark.slow
def test_an_upload_that_is_tried_again_for_long_is_no_hang(training) -> None:
    """Neither beside the training, where the next save waits for it, nor after the last step."""
    run = training(**{"run.save_every": 10, "run.hang_after": 8})
    done = programs.run("-c", SLOW_UPLOAD.format(watched=watched(8), url=run.publish(2)), ranks=2)
    assert done.returncode == 0, done.stdout
    assert "comes no further" not in done.stdout
    assert run.artifact().facts["steps"] == 20
