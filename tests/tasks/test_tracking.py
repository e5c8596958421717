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

from infra import machine
from llama_core.errors import LaunchError, ServiceError
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store
from llama_core.train.metrics.names import VALIDATION
from llama_core.train.metrics.record import SHARD, Record, segments
from tasks import tracking
from tasks.run import Run
from tasks.train import headline


@pytest.fixture
def run(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
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


def curve(run_id: str, name: str) -> list[tuple[int, float]]:
    return sorted((m.step, m.value) for m in MlflowClient().get_metric_history(run_id, name))


def test_every_number_of_a_step_is_a_curve(run: Run) -> None:
    run_id = tracking.training_run(run, "train/1111", {})
    names = ("loss", "loss/a?b", "mfu", "validation/bits_per_byte/code")
    with tracking.Tracker(run_id) as tracker:
        for n in range(1, 301):  # more than one call of MLflow takes
            tracker.log(
                {"step": n, "steps": 300, "time": 1e9 + n, "joules": None} | dict.fromkeys(names, n / 2)
            )
    expected = [(n, n / 2) for n in range(1, 301)]
    assert curve(run_id, "loss") == curve(run_id, "validation/bits_per_byte/code") == expected
    assert curve(run_id, "loss/a_b") == expected, "a source may have any name"
    assert set(MlflowClient().get_run(run_id).data.metrics) == {*names, "loss/a_b"} - {"loss/a?b"}


def test_a_step_that_is_done_or_read_again_is_written_once(run: Run) -> None:
    """A training goes on from its checkpoint; a second flow reads the log of a job from the beginning."""
    run_id = tracking.training_run(run, "train/1111", {})
    for n_flows, steps in enumerate(([1, 2, 3, 2, 3, 4], [1, 2, 3, 4, 5]), 1):
        with tracking.Tracker(run_id, tracking.steps_of(run_id)) as tracker:
            for n in steps:
                tracker.log({"step": n, "loss": float(n), "tokens_per_s": float(n_flows)})
    assert curve(run_id, "loss") == [(n, float(n)) for n in range(1, 6)]
    assert [value for _, value in curve(run_id, "tokens_per_s")] == [1, 1, 1, 1, 2]


def test_what_mlflow_has_missed_is_written_from_the_segments(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step(run.store, "train", 1, {})
    record = Record(step)
    for n in range(1, 11):
        record.add({"step": n, "loss": n / 2, "loss/code": n / 4, "time": 1e9 + n})
        if n % 4 == 0 or n == 10:
            record.seal()
            newest = record.publish()
    with step.shard(SHARD) as shard:
        shard.objects += segments(step.folder, newest)
    run_id = tracking.training_run(run, step.name, {})
    with tracking.Tracker(run_id) as tracker:
        for n in (1, 2, 7):
            tracker.log({"step": n, "loss": n / 2, "loss/code": n / 4})
    monkeypatch.setattr(tracking, "BATCH", 3)
    assert tracking.reconcile(run_id, step.commit([SHARD])) == 7
    assert curve(run_id, "loss") == [(n, n / 2) for n in range(1, 11)]
    assert curve(run_id, "loss/code") == [(n, n / 4) for n in range(1, 11)]


def test_a_step_whose_loss_mlflow_has_is_there_as_a_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever call the server goes away at, since what is missing is told by the loss."""
    [*_, last] = tracking._metrics({"step": 1, "loss": 2.0, "lr": 1.0, "mfu": 0.5})
    assert last.key == "loss"


def test_system_metrics_of_this_machine_are_logged_to_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    run_id = tracking.training_run(run, "train/1111", {})
    deadline = time.monotonic() + 60
    with tracking.Tracker(run_id) as tracker, tracker.watched():
        while len(curve(run_id, "system/cpu_utilization_percentage")) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    found = MlflowClient().get_run(run_id).data.metrics
    assert 0 <= found["system/cpu_utilization_percentage"] <= 100
    assert found["system/system_memory_usage_megabytes"] > 100


def test_who_has_turned_system_metrics_off_gets_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false")
    run_id = tracking.training_run(run, "train/1111", {})
    with tracking.Tracker(run_id) as tracker, tracker.watched():
        time.sleep(0.1)
    assert MlflowClient().get_run(run_id).data.metrics == {}


def test_a_machine_that_cannot_be_measured_costs_its_metrics_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("no /proc")

    warned: list[str] = []
    monkeypatch.setattr(machine, "_monitors", broken)
    monkeypatch.setattr(tracking, "warn", warned.append)
    run_id = tracking.training_run(run, "train/1111", {})
    with tracking.Tracker(run_id) as tracker, tracker.watched():
        tracker.log({"step": 1, "loss": 1.0})
    assert warned == ["MLflow gets no metrics of this machine (no /proc)"]
    assert curve(run_id, "loss") == [(1, 1.0)]


def test_a_person_sees_a_line_and_no_wall_of_numbers() -> None:
    record = {"step": 8, "steps": 272, "loss": 2.34567, "tokens_per_s": 12345.6, "eta_s": 123.0, "mfu": None}
    assert headline(record) == "step 8/272  loss 2.3457  12,346 tokens/s  2:03 left"
    more = {"mfu": 0.5123, f"{VALIDATION}code": 1.23456, f"{VALIDATION}docs": 2.0, "loss/code": 2.0}
    assert headline(record | more) == (
        "step 8/272  loss 2.3457  12,346 tokens/s  MFU 51.2%  2:03 left  "
        "held-out bits/byte: code 1.235, docs 2.000"
    )
