"""The MLflow run of a training: one, however often and by however many it is opened."""

import socket
import threading
import time
from asyncio import CancelledError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient, MlflowException
from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag
from prefect.exceptions import TerminationSignal

from llama_core.errors import LaunchError, ServiceError
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
    for status in ("FAILED", "RUNNING", "KILLED", "RUNNING", "FINISHED"):
        tracking.set_status(run_id, status)
        assert MlflowClient().get_run(run_id).info.status == status
    ended = MlflowClient().get_run(run_id).info.end_time
    tracking.set_status(run_id, "FINISHED")
    assert MlflowClient().get_run(run_id).info.end_time == ended is not None


def cancelled(message: str) -> LaunchError:
    error = LaunchError(message)
    error.cancelled = True
    return error


def test_a_run_that_does_not_end_well_shows_whether_somebody_wanted_it(run: Run) -> None:
    run_id = tracking.training_run(run, "train/1111", {})
    endings: list[tuple[BaseException, str]] = [
        (KeyboardInterrupt(), "KILLED"),
        (TerminationSignal(15), "KILLED"),
        (CancelledError(), "KILLED"),
        (SystemExit(1), "KILLED"),
        (cancelled("Slurm's job was cancelled"), "KILLED"),
        (LaunchError("it failed"), "FAILED"),
    ]
    for error, status in endings:
        with pytest.raises(type(error)), tracking.running(run_id):
            assert MlflowClient().get_run(run_id).info.status == "RUNNING"
            raise error
        assert MlflowClient().get_run(run_id).info.status == status, error


def test_a_server_that_hangs_holds_no_interrupt_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and never answers, as one that is stopped does."""
    run_id = tracking.training_run(run, "train/1111", {})
    monkeypatch.setattr(tracking, "PARTING", 0.5)
    monkeypatch.setattr(tracking, "FLUSH_EVERY", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        with pytest.raises(KeyboardInterrupt), tracking.running(run_id), tracking.Tracker(run_id) as tracker:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{hanging.getsockname()[1]}")
            tracker.log({"step": 1, "loss": 1.0})
            connection, _ = hanging.accept()
            interrupted = time.monotonic()
            raise KeyboardInterrupt
        assert time.monotonic() - interrupted < 5
        connection.close()


def test_a_deleted_experiment_is_restored_at_the_start_with_its_runs(run: Run) -> None:
    run_id = tracking.training_run(run, "train/1111", {})
    api = MlflowClient()
    api.delete_experiment(api.get_experiment_by_name(tracking.EXPERIMENT).experiment_id)
    tracking.check_tracking(run)
    experiment = api.get_experiment_by_name(tracking.EXPERIMENT)
    assert experiment.lifecycle_stage == "active" and "check" not in str(experiment.tags)
    assert tracking.training_run(run, "train/1111", {}) == run_id
    api.delete_experiment(experiment.experiment_id)
    assert tracking.training_run(run, "train/1111", {}) == run_id, "deleted while the corpus was made"


def test_an_experiment_of_somebody_else_with_its_own_place_is_used(run: Run, tmp_path: Path) -> None:
    made = MlflowClient().create_experiment(tracking.EXPERIMENT, artifact_location=f"{tmp_path}/theirs")
    tracking.check_tracking(run)
    assert MlflowClient().get_run(tracking.training_run(run, "train/1111", {})).info.experiment_id == made


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(run: Run, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ServiceError, match="keeps nothing"):
        tracking.check_tracking(run)


def test_a_full_disk_is_said_at_the_start(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MlflowException("(sqlite3.OperationalError) database or disk is full")

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", full)
    with pytest.raises(ServiceError, match="make room on its disk"):
        tracking.check_tracking(run)


NAMES = st.lists(st.sampled_from(["a", "b/", "..", "/", ".", "é", "\n", "'", '"', "漢", " ", ":", "x" * 150]))


@given(st.lists(NAMES.map("".join), unique=True, max_size=6))
def test_any_names_become_as_many_that_mlflow_takes(names: list[str]) -> None:
    made = tracking.named({name: number for number, name in enumerate(names)})
    assert list(made.values()) == list(range(len(names)))
    for name in made:
        _validate_metric(name, 1.0, 0, 0)
        _validate_param(name, "")
        _validate_tag(name, "")


def test_a_name_that_mlflow_takes_stays() -> None:
    taken = {"corpus.sources.code.share": "1", "heldout_bits_per_byte.docs-2": "2", "a/b": "3"}
    assert tracking.named(taken) == taken
