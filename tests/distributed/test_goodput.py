"""The share of its time that a training spends on steps that count, over attempts that are killed."""

import signal
import time

import programs
import pytest

from llama_core.train.metrics.goodput import MARK, goodput, seconds_of

KILLED = """
import os, signal, sys
from llama_core.train import loop
step = loop.Metrics.step
def killed(self, n, *of):
    if n == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, n, *of)
loop.Metrics.step = killed
from llama_core.train.run import main
sys.exit(main({url!r}))
"""


@pytest.mark.slow
def test_it_counts_from_the_first_step_of_the_first_attempt(training) -> None:
    """One attempt is killed before it has saved anything, two after a save; nothing trains for a while."""
    run = training(**{"run.save_every": 4, "train.tokens": 12 * 1024})
    for at in (3, 7, 8):
        killed = programs.run("-c", KILLED.format(at=at, url=run.publish()))
        assert killed.returncode == -signal.SIGKILL, killed.stdout
        time.sleep(1.0)
    began = run.step.folder.read_json(MARK)
    run.run()
    records = run.records()
    assert not run.step.folder.exists(MARK), "a finished step has only what it counts"
    effective = sum(seconds_of(record) for record in records)
    found = goodput(records)
    assert found.wall == pytest.approx(records[-1]["time"] - began, abs=0.01)
    assert found.effective == pytest.approx(effective) and found.share == effective / found.wall
    assert [(pause.step, pause.cause) for pause in found.interruptions] == [
        (1, "started again"),
        (5, "started again; then started again"),
    ]
    first, second = (pause.seconds for pause in found.interruptions)
    assert first == pytest.approx(records[0]["time"] - seconds_of(records[0]) - began, abs=0.01) and first > 1
    assert second == pytest.approx(records[4]["time"] - seconds_of(records[4]) - records[3]["time"], abs=0.01)
    assert found.wall >= first + second + found.effective - 0.01
