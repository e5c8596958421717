"""Checkpoints are evaluated beside the training, each once, however often the run is killed."""

import time

import pytest
from mlflow.tracking import MlflowClient
from pipeline import Pipeline

pytestmark = pytest.mark.slow

BEFORE = ("ingest", "dedup", "corpus", "corpus_page", "tokenizer", "tokens")
BATCH = 1024
ALONE = ("launch.procs_per_node=1", "layout.micro_batch=16", "run.validate_every=0", "run.log_every=500")
LONG = (f"train.tokens={1500 * BATCH}", f"evaluate.at.every={500 * BATCH}", "run.save_every=250", *ALONE)


def committed(pipeline: Pipeline) -> dict[str, bytes]:
    """The commits of the shards of all evaluations."""
    names = [name for name in pipeline.store.list("evaluate") if "/shards/" in name]
    return {name: pipeline.store.read(name) for name in names}


def test_a_run_that_is_killed_evaluates_what_is_missing_and_that_once(
    micro: Pipeline, pipeline: Pipeline
) -> None:
    pipeline.begin_with(micro, *BEFORE)
    process = pipeline.start(*LONG)
    while not (before := committed(pipeline)):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    assert not any(n.endswith("/manifest.json") for n in pipeline.store.list("train")), "it trains still"
    pipeline.kill()
    process.communicate()

    output = pipeline.ok(*LONG)
    assert "resuming after step" in output
    found = {a.facts["tokens"] // BATCH: a for a in pipeline.artifacts()["evaluate"]}
    assert sorted(found) == [500, 1000, 1500] and len(pipeline.artifacts()["evaluate"]) == 3
    assert before.items() <= committed(pipeline).items(), "what was done is not done again"
    assert found[500].manifest["identity"]["checkpoint"] == {"step": 500, "tokens": 500 * BATCH}
    train = pipeline.artifact("train")
    assert {a.parents["train"][0] for a in found.values()} == {train.name}
    assert {"step-00000500", "step-00001000"} < {shard.name for shard in train.shards}

    client = MlflowClient(f"sqlite:///{pipeline.home}/mlflow/mlflow.db")
    [experiment] = [e for e in client.search_experiments() if e.name == "llama-pretrain"]
    [run] = client.search_runs([experiment.experiment_id])
    for source in ("code", "docs"):
        curve = client.get_metric_history(run.info.run_id, f"evaluation/bits_per_byte/{source}")
        shown = {m.step: m.value for m in curve}
        assert len(curve) == 3 and shown == {
            step: made.facts["heldout"][source]["bits_per_byte"] for step, made in found.items()
        }
    report = pipeline.artifact("report")
    text = report.read(report.shard("report").object(".md")).decode()
    for step in (500, 1000):
        assert f"| {step:,} | {step * BATCH:,} | " in text and found[step].name in text


def test_any_checkpoint_is_evaluated_later_and_one_that_is_not_there_is_said(
    micro: Pipeline, pipeline: Pipeline
) -> None:
    pipeline.begin_with(micro)
    code, output = pipeline.run("--flow", "evaluate", "--at", "3e3")
    assert (
        code == 2 and "has no checkpoint after step 3: it has those after steps 20 (20,480 tokens)" in output
    )
    output = pipeline.ok("--flow", "evaluate", "--at", "30e3", "evaluate.launch.procs_per_node=1")
    assert "held-out code" in output and "bits per byte" in output, "its results are shown"
    assert "evaluate 30,720 tokens" in output
    found = {a.facts["step"]: a for a in pipeline.artifacts()["evaluate"]}
    assert sorted(found) == [30, 40]
    assert found[30].facts["heldout"] != found[40].facts["heldout"]
    code, output = pipeline.run("--at", "30e3")
    assert code == 2 and "--at goes with --flow evaluate" in output
