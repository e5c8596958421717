"""Faults at random moments of a training: it goes on by itself, to the same bits.

Each seed is a few faults: a rank, the agent or the flow is killed with signal 9, a rank is stopped, or the
agent is asked to end. Each comes at a moment of its own: at the start, in a step, while a save is uploaded
beside the training, between its upload and its commit, or while old checkpoints are deleted. The faults of
all seeds are dealt from one pack, which has each fault at each moment. `LLAMA_FAULT_SEEDS=40` takes more
seeds than the ten; with `-s` the faults that were met are counted by kind.
"""

import contextlib
import fcntl
import itertools
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import programs
import psutil
import pytest
from busy import patience
from trainings import end_of

pytestmark = pytest.mark.slow
SEEDS = int(os.environ.get("LLAMA_FAULT_SEEDS", 10))
RANKS, EVERY, STEPS = 4, 3, 16
RECIPE = {
    "run.save_every": EVERY,
    "run.keep": 1,
    "train.tokens": STEPS * 1024,
    "layout.micro_batch": 1,
}
WHO = ("rank", "agent", "flow", "stopped rank", "asked agent")
WHEN = ("start", "step", "upload", "commit", "pruning")
MOST, LONGEST = 150.0, 500.0  # seconds for one seed; and on a busy machine


class Flow:
    """A flow that runs the training, and what it has printed."""

    def __init__(self, training, folder: Path) -> None:
        self.job = training.job
        self.lines: list[str] = []
        url = training.publish(RANKS, dp_replicate=2)
        script = f"import runpy; runpy.run_path({FLOW!r}, run_name='__main__')"
        env = programs.environment() | {"LLAMA_HOME": str(folder), "OMP_NUM_THREADS": "1"}
        self._program = programs.Program("-c", script, url, str(RANKS), str(folder), env=env)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._program.output:
            self.lines.append(line)

    @property
    def pid(self) -> int:
        assert self._program.process.pid
        return self._program.process.pid

    @property
    def alive(self) -> bool:
        return self._program.process.is_alive()

    def wait(self) -> int:
        code = self._program.wait()
        self._reader.join(5)
        return code

    def jobs(self) -> list[int]:
        """The process groups of its jobs, each an agent and its ranks."""
        return [p.pid for p in _children(psutil.Process(self.pid))] if self.alive else []

    def agent(self) -> psutil.Process | None:
        with_ranks = [p for p in _children(psutil.Process(self.pid)) if _children(p)]
        return with_ranks[-1] if with_ranks else None

    def step(self) -> int:
        """The step that was told last."""
        told = [int(n) for line in self.lines for n in re.findall(r'^@metrics {"step": (\d+)', line)]
        return told[-1] if told else 0


FLOW = str(Path(__file__).with_name("flow.py"))


Fault = tuple[str, str, int]  # who meets it, when, and the step from which on


def dealt(seeds: int) -> list[list[Fault]]:
    """The faults of each seed, one to three, in the order in which they come."""
    rng = random.Random(16)
    kinds: list[tuple[str, str]] = []
    hands = []
    for _ in range(seeds):
        hand = []
        for _ in range(rng.randint(1, 3)):
            if not kinds:
                kinds = list(itertools.product(WHO, WHEN))
                rng.shuffle(kinds)
            hand.append((*kinds.pop(), rng.randint(1, STEPS - 4)))
        hands.append(sorted(hand, key=lambda fault: (fault[1] != "start", fault[2])))
    return hands


@pytest.fixture(scope="module")
def undisturbed(training):
    run = training(**RECIPE)
    run.run(RANKS, dp_replicate=2)
    return end_of(run)


@pytest.fixture(scope="module")
def met() -> Iterator[Counter[tuple[str, str]]]:
    """How often each fault was met at each moment."""
    counts: Counter[tuple[str, str]] = Counter()
    yield counts
    print(f"\n{'faults met':14}" + "".join(f"{when:>9}" for when in WHEN))
    for who in WHO:
        print(f"{who:14}" + "".join(f"{counts[who, when]:9}" for when in WHEN))


@pytest.mark.timeout(LONGEST + 100)
@pytest.mark.parametrize("faults", dealt(SEEDS), ids=map(str, range(SEEDS)))
def test_a_training_meets_faults_and_ends_with_the_same_bits(
    faults: list[Fault], training, undisturbed, met, tmp_path: Path, request
) -> None:
    rng = random.Random(request.node.callspec.id)
    run = training(**RECIPE | {"run.hang_after": patience(8.0)})
    flow, logs, struck = Flow(run, tmp_path), [], 0
    deadline = time.monotonic() + min(patience(MOST), LONGEST)
    try:
        for who, when, at in faults:
            come = _come(flow, tmp_path, when, at, deadline)
            if come and when in ("start", "step"):
                time.sleep(rng.uniform(0, 1.0 if when == "start" else 0.1))
            jobs = flow.jobs()
            if come and flow.alive and _strike(flow, who, rng):
                struck += 1
                met[who, when] += 1
                if who == "flow":
                    flow.wait()
                    logs.append(flow.lines)
                    _wait_until_gone(jobs)
                    flow = Flow(run, tmp_path)  # as the automation for crashed flows does
            (tmp_path / when).unlink(missing_ok=True)
        while flow.alive and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not flow.alive, f"{faults}: it does not end\n" + "".join(flow.lines[-60:])
        assert flow.wait() == 0, f"{faults}\n" + "".join(flow.lines[-60:])
    finally:
        if flow.alive:
            os.kill(flow.pid, signal.SIGKILL)
            flow.wait()
    logs.append(flow.lines)
    assert not (tmp_path / "two-jobs-at-once").exists(), faults
    assert end_of(run) == undisturbed, faults
    # The steps beside a save that never came to its end are lost with it.
    beside = any(when in ("upload", "commit") for _, when, _ in faults)
    assert _lost([line for lines in logs for line in lines]) <= EVERY * (1 + beside), faults
    assert struck, f"{faults}: none of them was met"


def _strike(flow: Flow, who: str, rng: random.Random) -> bool:
    """Make a fault; False where there is nobody to meet it any more."""
    try:
        agent = flow.agent()
        victim = psutil.Process(flow.pid) if who == "flow" else agent
        if agent and "rank" in who:
            victim = rng.choice(_children(agent)[-RANKS:])
        if victim is None:
            return False
        number = {"asked agent": signal.SIGTERM, "stopped rank": signal.SIGSTOP}.get(who, signal.SIGKILL)
        victim.send_signal(number)
    except (psutil.NoSuchProcess, IndexError):
        return False
    return True


def _come(flow: Flow, folder: Path, when: str, at: int, deadline: float) -> bool:
    """Wait for a moment; False where the training has ended before it.

    In `upload`, `commit` and `pruning` the ranks stay for a while once a file of that name is there, and hold
    a lock on it (see `flow.py`).
    """
    while flow.alive and time.monotonic() < deadline:
        if when == "start":
            come = flow.agent() is not None
        elif flow.step() >= at:
            if when == "step":
                return True
            with (folder / when).open("a") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    come = False
                except BlockingIOError:
                    come = True
        else:
            come = False
        if come:
            return True
        time.sleep(0.002)
    return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.NoSuchProcess:
        return []


def _wait_until_gone(jobs: list[int]) -> None:
    """Wait until what a killed flow has left behind has ended by itself."""
    # A stopped rank is killed by the agent, some time after it was asked.
    deadline = time.monotonic() + patience(45)
    for group in jobs:
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(group, 0)
                time.sleep(0.02)
            raise AssertionError(f"{group} outlives its flow")


def _lost(lines: list[str]) -> int:
    """The most steps that were done again after a fault."""
    most, furthest = 0, 0
    for line in lines:
        if found := re.match(r'@metrics {"step": (\d+)', line):
            furthest = max(furthest, int(found[1]))
        elif found := re.search(r"resuming after step (\d+)", line):
            most = max(most, furthest - int(found[1]))
    return most
