"""Cases of a process group: one that fails says so soon, and leaves the others alone."""

import os
import signal
import time

import pytest
import ranks
from busy import patience


def add(world, value):
    return world.sum(value * world.rank)


def misbehave(world, how):
    if world.rank == 1:
        if how == "raises":
            raise ValueError("an odd value")
        if how == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)
    world.sum(1.0)


def test_every_process_of_a_case_returns_its_result():
    assert ranks.call(2, add, 2.0) == [[2.0]] * 2
    assert ranks.call(1, add, 2.0) == [[0.0]]


@pytest.mark.parametrize(
    "how,said", [("raises", "an odd value"), ("dies", "exit code -9"), ("hangs", "in misbehave")]
)
def test_a_case_that_fails_says_so_soon(how, said):
    started = time.monotonic()
    with pytest.raises(ranks.CaseError, match=said):
        ranks.call(2, misbehave, how, timeout=4)
    assert time.monotonic() - started < patience(8)
    assert ranks.call(2, add, 2.0) == [[2.0]] * 2


def test_sequences_are_taken_once_whatever_the_layout_and_the_stop(training):
    whole, stopped = training(), training()
    taken = ranks.train(whole, 1)
    first = ranks.train(stopped, 2, stop=5)
    rest = ranks.train(stopped, 1)
    steps = whole.job.recipe.train.steps
    assert len(first) < len(taken)
    assert ranks.digest_of_rows(first | rest, steps) == ranks.digest_of_rows(taken, steps)
