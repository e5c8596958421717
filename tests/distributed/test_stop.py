"""A training that is asked to end stops before the next micro-batch, and goes on as if it had not."""

import random
import signal
import time

import programs
import pytest
import ranks
from trainings import end_of

from llama_core.program import STOPPED
from llama_core.train.stability.stop import Stop

MANY_MICRO_BATCHES = {"layout.micro_batch": 1, "run.save_every": 100, "train.tokens": 5 * 2048}
MANY_MICRO_BATCHES |= {"train.global_batch_tokens": 2048}


def stopped(training, rng: random.Random, numbers: tuple[int, ...]) -> float:
    """Run on two processes, ask them to end after some step, and return how many seconds they needed.

    `numbers`: the signal of each process that gets one.
    """
    url = training.publish(2)
    environment = programs.environment()
    running = [
        programs.Program("-m", "llama_core.train", url, env=environment | place)
        for place in programs.group(2)
    ]
    step = f'"step": {rng.randint(1, 3)},'
    next(line for line in running[0].output if line.startswith("@metrics") and step in line)
    time.sleep(rng.uniform(0, 0.2))
    began = time.monotonic()
    for process, number in zip(running, numbers):
        process.send_signal(number)
    codes = [process.wait() for process in running]
    seconds = time.monotonic() - began
    said = [process.output.read() for process in running]
    assert codes == [STOPPED, STOPPED], said
    return seconds


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_asked_to_end_inside_a_step_it_is_gone_soon_and_goes_on_to_the_same_bits(training, times) -> None:
    whole = training(**MANY_MICRO_BATCHES)
    whole.run(2)
    rng = random.Random(times)
    both, one = (signal.SIGTERM, signal.SIGTERM), (signal.SIGUSR1,)
    for n in range(times):
        run = training(**MANY_MICRO_BATCHES)
        assert stopped(run, rng, one if n % 2 else both) < 5
        [saved] = run.committed()
        run.run(2)
        assert end_of(run) == end_of(whole), saved
        told = [(r["step"], r["interruption"]) for r in run.records() if "interruption" in r]
        assert told == [(int(saved.removeprefix("step-")) + 1, "started again")]


def work(world, asked: int) -> list[int]:
    """Be one process of several, each at its own pace, of which process `asked` is asked to end."""
    done = []
    with Stop(world) as stop:
        while not stop.now():
            done.append(len(done))
            time.sleep(0.01 * (world.rank + 1))
            if world.rank == asked and len(done) == 5:
                signal.raise_signal(signal.SIGTERM)
    return done


def test_processes_that_are_far_apart_stop_at_the_same_place() -> None:
    for asked in (0, 2):
        first, *others = ranks.call(3, work, asked)
        assert len(first) >= 5 and others == [first, first]
