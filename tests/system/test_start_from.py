"""A person starts a training from a checkpoint of an earlier one, and finds it said everywhere."""

import pytest
from mlflow.tracking import MlflowClient
from pipeline import Pipeline, how_made

BEFORE = ("ingest", "dedup", "corpus", "corpus_page", "tokenizer", "tokens", "train")
LATER = ("train.lr=1e-3", "train.start_from.at=20")


@pytest.mark.slow
def test_what_a_training_started_from_is_said_wherever_its_model_is(
    micro: Pipeline, pipeline: Pipeline
) -> None:
    pipeline.begin_with(micro, *BEFORE)
    other = micro.artifact("train").name
    code, output = pipeline.run(f"train.start_from.step={other}", "train.start_from.at=15")
    assert code == 2 and how_made(output) == {}, "nothing is worked on"
    assert "has no checkpoint after step 15: it has those after 20, 30, 40" in output

    output = pipeline.ok(f"train.start_from.step={other}", *LATER)
    made = {name for name, how in how_made(output).items() if how != "reused"}
    assert made == {"train", "evaluate", "export", "register", "report"}
    (train,) = (a for a in pipeline.artifacts()["train"] if a.name != other)
    assert train.parents["start_from"] == [other]
    assert train.manifest["identity"]["train"]["start_from"] == {
        "step": other,
        "at": 20,
        "optimizer": True,
        "anew": False,
    }
    assert [s.name for s in train.shards] == ["metrics", "step-00000020", "step-00000030", "step-00000040"]
    registry = MlflowClient(f"sqlite:///{pipeline.home}/mlflow/mlflow.db")
    version = registry.get_model_version_by_alias("llama-micro", "candidate")
    run = registry.get_run(version.run_id)
    for tags in (version.tags, run.data.tags):
        assert tags["llama.start_from"] == f"{other}@20"
    assert run.data.params["train.start_from.at"] == "20"
    assert [m.step for m in registry.get_metric_history(run.info.run_id, "loss")] == list(range(21, 41))
    report = pipeline.artifact("report")
    text = report.read(report.shard("report").object(".md")).decode()
    assert f"It starts from `{other}@20`, with the moments of its optimizer" in text

    folder = pipeline.store.at(other)
    folder.delete(folder.list())
    again = how_made(pipeline.ok(f"train.start_from.step={other}", *LATER))
    assert {how for name, how in again.items() if name != "register"} == {"reused"}, "it is needed no more"
