"""kill -9 at every point of every stage, then the same command again; workers killed; two runs at once.

Real processes on a real store: the command as it is, but forked from one process and without Prefect, since
it is started a hundred times (`zygote.py`). `test_kill.py` kills whole flows.
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import seven_sources
from chaos.forks import ForkedPipeline, Zygote
from chaos.kills import begun, commits, kill_all_at, kill_at, uncounted, versions
from mlflow.tracking import MlflowClient

from llama_core.recipes.load import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

STAGES = (
    "ingest",
    "lines",
    "quality",
    "language_models",
    "perplexity",
    "references",
    "dedup",
    "corpus",
    "decontaminate",
    "corpus_page",
    "tokenizer",
    "tokens",
    "train",
    "evaluate",
    "export",
    "register",
    "report",
)
POINTS = ("before", "inside", "objects", "shards", "after")
OTHER_POINTS = {
    "dedup": ("before", "inside", "before@6", "inside@9", "objects", "shards", "after"),  # in later phases
    # 14 token shards, then the sums of their histograms: 7 batches, a source each, and one shard over them.
    # Up to three shards were made beside those that were killed, so how many are left is not certain.
    "tokens": ("before", "inside", "objects", "before@16", "before@4", "inside", "shards", "after"),
    "register": ("before", "inside", "after"),
}
EVERY_POINT = [f"{stage}:{point}" for stage in STAGES for point in OTHER_POINTS.get(stage, POINTS)]
WRITTEN_AGAIN = "/shards/metrics.json"  # a few lines, at the end of a training
MODEL = "llama-seven"
# The benchmarks' libraries take seconds to import.
SMALL = ("evaluate.tasks=[]", "evaluate.heldout_bytes=2000", "train.tokens=20480")
WORKERS = {"inside": 2, "objects": 2}  # by point: a shard is killed in a worker, with another one beside it
WORKERS_LOST = 3  # fewer than the tries that a shard has
BETWEEN = 0.5  # seconds between two losses


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    started = Zygote(tmp_path_factory.mktemp("zygote"))
    yield started
    started.end()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(seven_sources.write_recipe(tmp_path_factory.mktemp("seven")))


@pytest.fixture(scope="module")
def undisturbed(zygote: Zygote, recipe: str, tmp_path_factory: pytest.TempPathFactory) -> ForkedPipeline:
    pipeline = ForkedPipeline(tmp_path_factory.mktemp("undisturbed"), zygote)
    pipeline.ok(*SMALL, recipe=recipe)
    return pipeline


@pytest.fixture
def forked(zygote: Zygote, tmp_path: Path) -> Iterator[ForkedPipeline]:
    pipeline = ForkedPipeline(tmp_path, zygote)
    yield pipeline
    pipeline.kill()


def test_killed_at_every_point_of_every_stage_it_ends_with_the_same_model(
    undisturbed: ForkedPipeline, forked: ForkedPipeline, recipe: str, tmp_path: Path
) -> None:
    """One run, killed at each point in turn and started again: each start goes on where the last one was."""
    reached = tmp_path / "reached"
    committed: dict[str, bytes] = {}
    for point in EVERY_POINT:
        workers = WORKERS.get(point.partition(":")[2].partition("@")[0], 1)
        kill_at(forked, point, reached, *SMALL, f"run.workers={workers}", recipe=recipe)
        again = [name for name in begun(reached) & committed.keys() if not name.endswith(WRITTEN_AGAIN)]
        assert again == [], f"on the way to {point} they were made again, although they were committed"
        now = commits(forked)
        changed = [name for name, data in now.items() if committed.get(name, data) != data]
        assert changed == [], f"on the way to {point} they were committed once more"
        committed |= now
    started = time.monotonic()
    forked.ok(*SMALL, recipe=recipe)
    assert time.monotonic() - started < 60, "a restart must not wait for a lease"
    assert forked.ends(within=10) == []
    assert forked.digests() == undisturbed.digests()
    assert len(versions(forked, MODEL)) == 1
    assert uncounted(forked) == set(), "half-published objects are left"


def test_an_unfinished_training_goes_on_with_other_execution_fields(
    undisturbed: ForkedPipeline, forked: ForkedPipeline, recipe: str, tmp_path: Path
) -> None:
    forked.begin_with(undisturbed, *STAGES[: STAGES.index("train")])
    kill_all_at(forked, "train:before@2", tmp_path / "reached", *SMALL, recipe=recipe)
    others = ("launch.procs_per_node=1", "layout.micro_batch=4")
    output = forked.ok("--flow", "train", *SMALL, *others, recipe=recipe)
    assert f"resuming after step {load_recipe(recipe).run.save_every} of" in output, output
    trained, reference = forked.artifact("train"), undisturbed.artifact("train")
    assert trained.id == reference.id, "an execution field changes no address"
    assert trained.facts["loss"] == pytest.approx(reference.facts["loss"], abs=1e-4)


def test_two_runs_started_at_once_do_not_mix(
    undisturbed: ForkedPipeline, forked: ForkedPipeline, recipe: str
) -> None:
    both = [forked.start(*SMALL, recipe=recipe) for _ in range(2)]
    outputs = [run.communicate()[0] for run in both]
    assert [run.returncode for run in both] == [0, 0], "\n".join(outputs)
    assert forked.digests() == undisturbed.digests()
    assert len(versions(forked, MODEL)) == 1
    client = MlflowClient(f"sqlite:///{forked.home}/mlflow/mlflow.db")
    experiments = [e.experiment_id for e in client.search_experiments()]
    assert len(client.search_runs(experiments)) == 1


def test_workers_that_are_killed_at_random_cost_nothing_but_time(
    undisturbed: ForkedPipeline, forked: ForkedPipeline, recipe: str
) -> None:
    rng, lost = random.Random(11), 0
    run = forked.start("--flow", "corpus", recipe=recipe)
    while run.poll() is None:
        time.sleep(rng.uniform(0.1, 1.0))
        workers = [p for p in forked.processes() if "popen_loky" in " ".join(_command(p))]
        if workers and lost < WORKERS_LOST:
            rng.choice(workers).kill()
            lost += 1
            time.sleep(BETWEEN)
    output = run.communicate()[0]
    assert run.returncode == 0, output
    assert lost >= 2, "the run was over before a worker could be killed"
    made, whole = forked.digests(), undisturbed.digests()
    assert "corpus_page" in made and made == {stage: whole[stage] for stage in made}


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
