"""kill -9 of the flow alone, two runs at once, a training that goes on elsewhere: nothing is mixed up."""

from pathlib import Path

import pytest
from chaos.kills import run_to, run_until, versions
from mlflow.tracking import MlflowClient
from pipeline import Pipeline

from llama_core.recipe import load_recipe


@pytest.mark.slow
@pytest.mark.parametrize("point", ["ingest:inside", "tokens:inside", "train:objects", "evaluate:before"])
def test_when_only_the_flow_is_killed_everything_it_started_ends(
    pipeline: Pipeline, tmp_path: Path, point: str
) -> None:
    process = run_to(pipeline, point, tmp_path / "reached")
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
