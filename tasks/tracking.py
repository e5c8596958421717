"""MLflow: one run for each training, found by the address of the training's step.

Metrics go through a buffer and a thread of their own: a tracking server that is slow or away does not hold up
the training, and what it has missed is written when it is back.
"""

import os
import threading
import time
from collections.abc import Iterable
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient

from llama_core.artifact import Artifact
from llama_core.parse import json_lines
from tasks.observe import warn
from tasks.run import Run

EXPERIMENT = "llama-pretrain"
STEP_TAG = "llama.step"  # the tag of a run that names the training's step
FLUSH_EVERY = 2.0  # seconds between two writes of what is in the buffer
WAIT_FOR_MLFLOW = 900.0  # seconds that the end of a training waits for a server that is away
# Seconds after which a run that another process has made before ours can be found. MLflow cannot create a run
# only if there is none.
SETTLE = 1.0
BATCH = 1000  # metrics that one call of MLflow takes
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
CURVES = ("loss", "lr", "grad_norm", "tokens_per_s", "tokens")  # what MLflow is told of each step


def client() -> MlflowClient:
    """Return a client of the tracking server that the environment names."""
    return MlflowClient()


def training_run(run: Run, step_name: str, tags: dict[str, str]) -> str:
    """Return the id of the MLflow run of a training, which is made if there is none yet.

    `step_name`: the folder of the training's step. `tags` are added to the run.
    """
    api = client()
    experiment = api.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        try:
            experiment_id = api.create_experiment(EXPERIMENT, artifact_location=run.store.url_of("mlflow"))
        except mlflow.MlflowException:  # another run was first
            found = api.get_experiment_by_name(EXPERIMENT)
            assert found is not None
            experiment_id = found.experiment_id
    else:
        experiment_id = experiment.experiment_id
    run_id = _oldest(api, experiment_id, step_name)
    if run_id is None:
        name = f"{run.recipe.name} {step_name.split('/')[1][:8]}"
        made = api.create_run(experiment_id, run_name=name, tags={STEP_TAG: step_name}).info.run_id
        params = [Param(k, str(v)[:5000]) for k, v in sorted(_flat(run.recipe.identity()).items())]
        for start in range(0, len(params), 100):
            api.log_batch(made, params=params[start : start + 100])
        time.sleep(SETTLE)
        run_id = _oldest(api, experiment_id, step_name) or made
        if made != run_id:  # another process was first
            api.delete_run(made)
    api.log_batch(run_id, tags=[RunTag(k, v) for k, v in tags.items()])
    return run_id


def _oldest(api: MlflowClient, experiment_id: str, step_name: str) -> str | None:
    """Return the first run of a training, or None. If several were made at the same moment, it is used."""
    filter_ = f"tags.`{STEP_TAG}` = '{step_name}'"
    order = ["start_time ASC", "attributes.run_id ASC"]
    runs = api.search_runs([experiment_id], filter_, ViewType.ACTIVE_ONLY, order_by=order)
    return runs[0].info.run_id if runs else None


class Tracker:
    """Buffers the metrics of a training, and writes them to its MLflow run: a context manager."""

    def __init__(self, run_id: str):
        self._run_id = run_id
        self._buffer: list[Metric] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._warned = False
        self._thread = threading.Thread(target=self._flush_until_stopped, daemon=True)

    def __enter__(self) -> "Tracker":
        # MLflow's client would try again for two minutes, and a user would not know why nothing happens.
        self._retries = os.environ.get(RETRIES)
        os.environ[RETRIES] = "0"
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        if not error[0]:
            deadline = time.monotonic() + WAIT_FOR_MLFLOW
            while not self._flush() and time.monotonic() < deadline:
                time.sleep(2)
        if self._retries is None:
            del os.environ[RETRIES]
        else:
            os.environ[RETRIES] = self._retries

    def log(self, record: dict[str, Any]) -> None:
        """Take the metrics of one step. It never waits for the server and never raises."""
        with self._lock:
            self._buffer.extend(_metrics(record))

    def _flush_until_stopped(self) -> None:
        while not self._stop.wait(FLUSH_EVERY):
            self._flush()

    def _flush(self) -> bool:
        """Write at most BATCH metrics, and tell whether the buffer is empty now."""
        with self._lock:
            batch = self._buffer[:BATCH]
        if not batch:
            return True
        try:
            client().log_batch(self._run_id, metrics=batch)
        except Exception as error:
            if not self._warned:
                self._warned = True
                warn(f"MLflow cannot be reached ({type(error).__name__}): metrics wait in memory for it")
            return False
        with self._lock:
            del self._buffer[: len(batch)]
            return not self._buffer


def reconcile(run_id: str, train: Artifact) -> int:
    """Write what MLflow has not seen of a finished training, and return the number of missing steps.

    The training's own record is complete. MLflow's is not if a flow was killed with metrics in its buffer.
    """
    entry = train.shard("metrics").object("metrics.jsonl")
    records = list(json_lines(train.read(entry), train.store.url_of(entry.name)))
    api = client()
    seen = {m.step for m in api.get_metric_history(run_id, "loss")}
    missing = [r for r in records if r["step"] not in seen]
    metrics = [m for r in missing for m in _metrics(r)]
    for start in range(0, len(metrics), BATCH):
        api.log_batch(run_id, metrics=metrics[start : start + BATCH])
    return len(missing)


def log_results(run_id: str, results: dict[str, float], tags: dict[str, str]) -> None:
    """Write results, as metrics, and tags to a run."""
    now = int(time.time() * 1000)
    metrics = [Metric(k, v, now, 0) for k, v in results.items()]
    client().log_batch(run_id, metrics=metrics, tags=[RunTag(k, v) for k, v in tags.items()])


def set_status(run_id: str, status: str) -> None:
    """Set the status of a run: RUNNING, FINISHED or FAILED.

    A run that has this status already keeps the time at which it ended.
    """
    api = client()
    if api.get_run(run_id).info.status == status:
        return
    if status == "RUNNING":
        api.update_run(run_id, status)
    else:
        api.set_terminated(run_id, status)


def _metrics(record: dict[str, Any]) -> Iterable[Metric]:
    """Return the metrics in the record of one step."""
    now = int(record.get("time", time.time()) * 1000)
    return [Metric(name, float(record[name]), now, record["step"]) for name in CURVES if name in record]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return the values in nested dicts by dotted key."""
    if not isinstance(value, dict):
        return {path: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{path}.{key.rstrip('_')}" if path else key.rstrip("_"))
    return flat
