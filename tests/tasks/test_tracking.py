"""The MLflow run of a training: one, however often and by however many it is opened."""

import threading
from pathlib import Path

import pytest
from mlflow import MlflowClient

from llama_core.recipes.load import load_recipe
from llama_core.store import Store
from tasks import tracking
from tasks.run import Run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    MlflowClient().search_experiments()  # makes the database
    return Run(load_recipe("micro"), Store(str(tmp_path / "store")))


def test_trainings_that_start_at_the_same_moment_share_one_run(run: Run) -> None:
    first = tracking.training_run(run, "train/0000", {})
    ids: list[str] = []
    barrier = threading.Barrier(3)

    def open_run() -> None:
        barrier.wait()
        ids.append(tracking.training_run(run, "train/1111", {"llama.tokens": "tokens/2222"}))

    threads = [threading.Thread(target=open_run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 3 and len(set(ids)) == 1
    [experiment] = MlflowClient().search_experiments(filter_string=f"name = '{tracking.EXPERIMENT}'")
    found = MlflowClient().search_runs([experiment.experiment_id])
    assert {r.info.run_id for r in found} == {first, ids[0]}


def test_a_run_fails_goes_on_and_ends_once(run: Run) -> None:
    run_id = tracking.training_run(run, "train/1111", {})
    for status in ("FAILED", "RUNNING", "FINISHED"):
        tracking.set_status(run_id, status)
        assert MlflowClient().get_run(run_id).info.status == status
    ended = MlflowClient().get_run(run_id).info.end_time
    tracking.set_status(run_id, "FINISHED")
    assert MlflowClient().get_run(run_id).info.end_time == ended is not None
