"""A training that is asked to end stops before the next micro-batch, and goes on as if it had not.

It is the recipe `tiny`, with more micro-batches. `LLAMA_STOPS=20` stops it more often than the two times;
with `-s` the seconds that each took are printed.
"""

import os
import random
import signal
import time
from collections.abc import Callable

import programs
import pytest
import ranks
from busy import patience
from trainings import Training, end_of, made_tokens, training_of

from llama_core.program import STOPPED
from llama_core.recipes.load import load_recipe
from llama_core.store import Store
from llama_core.train.stability.stop import Stop

TIMES = int(os.environ.get("LLAMA_STOPS", 2))
STEPS = 6


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Training]:
    """The training of the recipe `tiny`, of a few steps, each of eight micro-batches on each of two ranks."""
    few = {"train.tokens": STEPS * 4096, "layout.micro_batch": 1, "tokenizer.sample_bytes": 300_000}
    recipe = load_recipe("tiny", few)
    assert recipe.train.global_batch_tokens == 4096 and recipe.run.save_every > STEPS
    made = made_tokens(Store(str(tmp_path_factory.mktemp("tiny"))), recipe, 4000)
    return lambda: training_of(recipe, *made)


def stopped(run: Training, rng: random.Random, numbers: tuple[int, ...]) -> float:
    """Run on two processes, ask them to end after some step, and return how many seconds they needed.

    `numbers`: the signal of each process that gets one.
    """
    url = run.publish(2)
    environment = programs.environment()
    running = [
        programs.Program("-m", "llama_core.train", url, env=environment | place)
        for place in programs.group(2)
    ]
    step = f'"step": {rng.randint(1, STEPS - 3)},'
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


@pytest.mark.slow
@pytest.mark.timeout(120 + 120 * TIMES)
def test_asked_to_end_inside_a_step_it_is_gone_soon_and_goes_on_to_the_same_bits(tiny) -> None:
    whole = tiny()
    whole.run(2)
    rng = random.Random(TIMES)
    both, one = (signal.SIGTERM, signal.SIGTERM), (signal.SIGUSR1,)
    took = []
    for n in range(TIMES):
        run = tiny()
        took.append(stopped(run, rng, one if n % 2 else both))
        print(f"gone {took[-1]:.2f} s after the signal, at a load of {os.getloadavg()[0]:.1f}")
        [saved] = run.committed()
        run.run(2)
        assert end_of(run) == end_of(whole), saved
        told = [(r["step"], r["interruption"]) for r in run.records() if "interruption" in r]
        assert told == [(int(saved.removeprefix("step-")) + 1, "started again")]
    assert max(took) < patience(5), took


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
