"""kill -9 at any point of any stage, then the same command again: the same model, and nothing left behind."""

import time
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from pipeline import Pipeline

from llama_core.recipe import load_recipe

INJECT = str(Path(__file__).parent / "inject")
STAGES = (
    "ingest",
    "dedup",
    "corpus",
    "corpus_page",
    "tokenizer",
    "tokens",
    "train",
    "evaluate",
    "export",
    "report",
)
POINTS = ("before", "inside", "objects", "shards", "after")
EVERY_POINT = [f"{stage}:{point}" for stage in STAGES[:-1] for point in POINTS]
EVERY_POINT += [f"register:{point}" for point in ("before", "inside", "after")]
EVERY_POINT += [f"report:{point}" for point in POINTS]


def run_until(pipeline: Pipeline, point: str, reached: Path, *args: str, recipe: str = "micro") -> None:
    """Run, and kill the whole tree with signal 9 when some process stands at `point`."""
    reached.unlink(missing_ok=True)
    chaos = {"PYTHONPATH": INJECT, "LLAMA_CHAOS": point, "LLAMA_CHAOS_REACHED": str(reached)}
    process = pipeline.start(*args, recipe=recipe, **chaos)
    deadline = time.monotonic() + 120
    while not reached.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            pipeline.kill()
            output, _ = process.communicate()
            raise AssertionError(f"{point} was never reached:\n{output}")
        time.sleep(0.05)
    pipeline.kill()
    process.communicate()


def versions(pipeline: Pipeline) -> list[str]:
    client = MlflowClient(f"sqlite:///{pipeline.home}/mlflow/mlflow.db")
    return [v.version for v in client.search_model_versions("name = 'llama-micro'")]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_killed_at_every_point_of_every_stage_it_ends_with_the_same_model(
    micro: Pipeline, pipeline: Pipeline, tmp_path: Path
) -> None:
    """One run, killed at each point in turn and started again: each start goes on where the last one was."""
    for point in EVERY_POINT:
        run_until(pipeline, point, tmp_path / "reached")
    started = time.monotonic()
    pipeline.ok()
    assert time.monotonic() - started < 60, "a restart must not wait for a lease"
    assert pipeline.ends(within=10) == []
    assert pipeline.digests() == micro.digests()
    assert len(versions(pipeline)) == 1
    objects = set(pipeline.store.list())
    for artifacts in pipeline.artifacts().values():
        for artifact in artifacts:
            attempts = {o.name for o in artifact.objects()}
            prefix = artifact.url.removeprefix(pipeline.store.url + "/")
            below = {n.removeprefix(prefix + "/") for n in objects if n.startswith(prefix)}
            half = {n for n in below if "/" in n and not n.startswith("shards/")} - attempts
            assert not half, f"half-published objects are left in {prefix}: {half}"


@pytest.mark.slow
@pytest.mark.parametrize("point", ["ingest:inside", "tokens:inside", "train:objects", "evaluate:before"])
def test_when_only_the_flow_is_killed_everything_it_started_ends(
    pipeline: Pipeline, tmp_path: Path, point: str
) -> None:
    reached = tmp_path / "reached"
    process = pipeline.start(PYTHONPATH=INJECT, LLAMA_CHAOS=point, LLAMA_CHAOS_REACHED=str(reached))
    deadline = time.monotonic() + 120
    while not reached.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    left = pipeline.ends(within=15)
    assert left == [], [p.cmdline() for p in left]


@pytest.mark.slow
def test_two_runs_started_at_once_do_not_mix(micro: Pipeline, pipeline: Pipeline) -> None:
    both = [pipeline.start(), pipeline.start()]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(outputs)
    assert pipeline.digests() == micro.digests()
    assert len(versions(pipeline)) == 1
    client = MlflowClient(f"sqlite:///{pipeline.home}/mlflow/mlflow.db")
    experiments = [e.experiment_id for e in client.search_experiments()]
    assert len(client.search_runs(experiments)) == 1


@pytest.mark.slow
def test_an_unfinished_training_goes_on_with_other_execution_fields(
    micro: Pipeline, pipeline: Pipeline, tmp_path: Path
) -> None:
    run_until(pipeline, "train:before@2", tmp_path / "reached")
    every = load_recipe("micro").run.save_every
    [checkpoint] = [n for n in pipeline.store.list("train") if "/shards/" in n]
    output = pipeline.ok("launch.procs_per_node=1", "layout.micro_batch=4")
    assert f"resuming after step {every} of" in output, output
    assert checkpoint.endswith(f"step-{every:08d}.json")
    trained, reference = pipeline.artifact("train"), micro.artifact("train")
    assert trained.id == reference.id, "an execution field changes no address"
    assert trained.facts["loss"] == pytest.approx(reference.facts["loss"], abs=1e-4)
    assert pipeline.ends(within=10) == []
