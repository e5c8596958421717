"""A training on a real Slurm, while those who watch it are killed, come back, or ask for its end.

LLAMA_AWAY_SECONDS=120 keeps all of them away for two minutes, instead of twenty seconds.
"""

import hashlib
import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow.tracking import MlflowClient
from pipeline import Pipeline
from system.servers import Servers
from system.slurm_cluster import SlurmCluster, missing
from system.slurm_jobs import wait_for

AWAY = float(os.environ.get("LLAMA_AWAY_SECONDS", 20))
STEPS = int(500 + 2 * AWAY)  # while they are slow, they take four minutes longer than anybody is away
BATCH = 1024
SLOW = str(Path(__file__).with_name("slow"))
RECIPE = """
extends: micro
name: away
corpus:
  sources: {{text: {{kind: files, urls: ["list+{folder}/sums.txt"]}}}}
  holdout: []
mixture: {{text: 1}}
tokenizer: {{vocab_size: 300, sample_bytes: 100_000}}
model: {{dim: 32, n_layers: 1, n_heads: 2, multiple_of: 32}}
train: {{tokens: {tokens}}}
launch: {{launcher: slurm, nodes: 2, procs_per_node: 1}}
run: {{save_every: 100, log_every: 1, validate_every: 0}}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"Slurm is not installed: no {', '.join(missing())}"),
    pytest.mark.timeout(900 + 4 * AWAY),
]


class World:
    """A cluster, servers, and a recipe whose corpus comes from a published list."""

    def __init__(self, folder: Path, cluster: SlurmCluster):
        self.cluster, self.servers = cluster, Servers(folder)
        env = self.servers.env | cluster.environment | {"PYTHONPATH": SLOW, "OMP_NUM_THREADS": "1"}
        self.pipeline = Pipeline(folder / "home", f"file://{folder}/store", env)
        self.mlflow = MlflowClient(self.servers.database)
        self._texts = folder / "texts"
        self._texts.mkdir()
        self.recipe = folder / "away.yaml"
        self.recipe.write_text(RECIPE.format(folder=self._texts, tokens=STEPS * BATCH))
        self.publish("one")

    def publish(self, *names: str) -> None:
        """Publish texts, and the list of their checksums."""
        sums = []
        for name in names:
            rng = random.Random(name)
            words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(500)]
            rows = [{"text": " ".join(rng.choices(words, k=200))} for _ in range(300)]
            data = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
            (self._texts / f"{name}.jsonl").write_bytes(data)
            sums.append(f"{hashlib.md5(data).hexdigest()}  {name}.jsonl\n")
        (self._texts / "sums.txt").write_text("".join(sums))

    def jobs(self) -> list[tuple[str, str]]:
        """Number and state of each training's job that Slurm knows of."""
        told = self.cluster.command("scontrol", "show", "job", "--oneliner")
        return re.findall(r"JobId=(\d+) JobName=llama-train.* JobState=(\w+)", told)

    def runs(self) -> dict[str, str]:
        """The status of each run in MLflow, by its id."""
        experiments = [
            e.experiment_id for e in self.mlflow.search_experiments() if e.name == "llama-pretrain"
        ]
        return {run.info.run_id: run.info.status for run in self.mlflow.search_runs(experiments)}

    def flow_runs(self) -> list[dict[str, Any]]:
        """The runs of flows in Prefect, the newest first."""
        url = f"{self.servers.env['PREFECT_API_URL']}/flow_runs/filter"
        asked = {"sort": "EXPECTED_START_TIME_DESC"}
        return httpx.post(url, json=asked, timeout=60).raise_for_status().json()


class Flow:
    """`python -m flows`, and what it has shown."""

    def __init__(self, world: World, finish: Path, *options: str):
        self.shown: list[str] = []
        self._process = world.pipeline.start(
            "--flow=train", *options, recipe=str(world.recipe), LLAMA_SLOW_UNTIL=str(finish)
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.shown.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.shown)

    def steps(self) -> list[int]:
        """The steps that it has shown, in the order of the lines."""
        return [int(n) for n in re.findall(r"^ +step (\d+)/", self.output, re.MULTILINE)]

    def until(self, *texts: str) -> None:
        """Wait until it has shown all of these."""
        deadline = time.monotonic() + 300
        while not all(text in self.output for text in texts):
            assert self._process.poll() is None and time.monotonic() < deadline, self.output[-5000:]
            time.sleep(0.1)

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        code = self._process.wait(600)
        self._reader.join(10)
        return code


@pytest.fixture(scope="module")
def world(cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("away"), cluster)
    try:
        world.servers.start()
        yield world
    finally:
        world.pipeline.kill()
        world.servers.kill()
        cluster.end_jobs()


def test_what_watches_a_job_is_killed_and_comes_back_and_the_job_never_knows(
    world: World, tmp_path: Path
) -> None:
    """The flow, Slurm's controller, Prefect and MLflow; meanwhile the list of its sources changes."""
    finish = tmp_path / "finish"
    first = Flow(world, finish)
    first.until("step 5/")
    [(number, _)] = world.jobs()
    [log] = (world.pipeline.home / "logs").glob("llama-train-*.log")
    with world.cluster.without_controller():
        world.servers.kill()
        began = time.monotonic()
        first.until("[launcher] unknown", "MLflow cannot be reached", "Prefect missed an update")
        first.send(signal.SIGKILL)
        first.wait()
        world.publish("one", "two")
        at = told(log)[-1]
        wait_for(lambda: told(log)[-1] > at + 10 and time.monotonic() > began + AWAY, seconds=120 + AWAY)
        world.servers.start()
        second = Flow(world, finish)
        second.until("Unable to contact slurm controller", "it is asked again in")
    second.until(f"step {max(told(log)) + 1}/")
    assert "sources of the outside world as they were on" in second.output
    assert world.jobs() == [(number, "RUNNING")], "it is the same job, and the only one"
    finish.touch()
    assert second.wait() == 0, second.output[-5000:]
    assert world.jobs() == [(number, "COMPLETED")]
    assert told(log) == list(range(1, STEPS + 1)), "it has trained on without a break"

    assert world.flow_runs()[0]["state_type"] == "COMPLETED"
    [(run, status)] = world.runs().items()
    assert status == "FINISHED"
    for name in world.mlflow.get_run(run).data.metrics.keys() & {"loss", "lr", "tokens", "grad_norm"}:
        steps = Counter(metric.step for metric in world.mlflow.get_metric_history(run, name))
        assert steps == dict.fromkeys(range(1, STEPS + 1), 1), name


def test_only_who_asks_for_its_end_ends_a_job_and_it_saves_first(world: World, tmp_path: Path) -> None:
    """By Ctrl-C twice and by Prefect's Cancel; a flow that is terminated otherwise leaves its job."""
    known, runs = set(world.jobs()), world.runs()
    another, finish = "train.lr=0.005", tmp_path / "finish"

    def job() -> tuple[str, str]:
        return (set(world.jobs()) - known).pop()

    def status() -> str:
        [status] = [status for run, status in world.runs().items() if run not in runs]
        return status

    flow = Flow(world, finish, another)
    flow.until("step 5/")
    flow.send(signal.SIGTERM)
    flow.wait()
    (number, state), at = job(), flow.steps()[-1]
    assert (state, status()) == ("RUNNING", "RUNNING")

    flow = Flow(world, finish, another)
    flow.until(f"step {at + 10}/")
    flow.send(signal.SIGINT)
    flow.until("goes on without this flow: press Ctrl-C again to cancel it as well")
    flow.send(signal.SIGINT)
    assert flow.wait() == 130, flow.output[-5000:]
    assert (job(), status()) == ((number, "CANCELLED"), "KILLED")
    known.add((number, "CANCELLED"))
    [log] = (world.pipeline.home / "logs").glob(f"llama-{training(world)}-*.log")
    assert saved(world)[-1] == told(log)[-1], "its last step, though Slurm kills what it cancels after 5 s"

    flow = Flow(world, finish, another)
    flow.until(f"resuming after step {saved(world)[-1]}", f"step {saved(world)[-1] + 5}/")
    run = world.flow_runs()[0]["id"]
    url = f"{world.servers.env['PREFECT_API_URL']}/flow_runs/{run}/set_state"
    httpx.post(url, json={"state": {"type": "CANCELLING"}, "force": True}, timeout=60).raise_for_status()
    flow.send(signal.SIGTERM)  # as a worker of Prefect does then
    flow.wait()
    assert (job()[1], status()) == ("CANCELLED", "KILLED")


def told(log: Path) -> list[int]:
    """The steps that a job has told of."""
    return [int(n) for n in re.findall(r'^@metrics {"step": (\d+)', log.read_text(), re.MULTILINE)]


def training(world: World) -> str:
    """The name of the newest training's step, as jobs have it."""
    folders = (Path(world.pipeline.store_url.removeprefix("file://")) / "train").iterdir()
    return "train-" + max(folders, key=lambda folder: folder.stat().st_ctime_ns).name


def saved(world: World) -> list[int]:
    """The steps that the newest training has saved."""
    folder = world.pipeline.store.at(training(world).replace("-", "/", 1))
    return [int(name[-13:-5]) for name in sorted(folder.list("shards")) if "/step-" in name]
