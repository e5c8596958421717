"""MLflow: one run for each training, found by the address of the training's step.

Metrics go through a buffer and a thread of their own: a tracking server that is slow or away does not hold up
the training, and what it has missed is written when it is back.
"""

import contextlib
import math
import posixpath
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import mlflow
from mlflow.entities import LifecycleStage, Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient
from sqlalchemy import make_url

from infra.environment import variables
from infra.machine import watched
from llama_core.artifact import Artifact
from llama_core.errors import ServiceError
from llama_core.file_system import brief
from llama_core.section import in_full
from llama_core.train.metrics.goodput import Goodput, goodput, told
from llama_core.train.metrics.names import BEGAN
from llama_core.train.metrics.record import records
from tasks.launch import GOES_ON
from tasks.observe import warn
from tasks.registry.refusals import IN_A_FILE, refusals
from tasks.run import Run

V = TypeVar("V")

EXPERIMENT = "llama-pretrain"
STEP_TAG = "llama.step"  # the tag of a run that names the training's step
FLUSH_EVERY = 2.0  # seconds between two writes of what is in the buffer
WAIT_FOR_MLFLOW = 900.0  # seconds that the end of a training waits for a server that is away
REQUEST = 30  # seconds for a request during the training, and after it
PARTING = 10.0  # seconds that a training which did not end well waits for it
# Seconds after which a run that another process has made before ours can be found. MLflow cannot create a run
# only if there is none.
SETTLE = 1.0
BATCH = 1000  # metrics that one call of MLflow takes
# MLflow's client would try again for two minutes or, where a server is stopped, for a quarter of an hour.
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(REQUEST)}
KEY_LENGTH = 250  # characters of the name of a param, a metric or a tag
# What MLflow is told of each step is every number in its record, without these.
NO_CURVES = ("step", "steps", "eta_s", "time", BEGAN)


def client() -> MlflowClient:
    """Return a client of the tracking server that the environment names."""
    return MlflowClient()


def training_run(run: Run, step_name: str, tags: dict[str, str]) -> str:
    """Return the id of the MLflow run of a training, which is made if there is none yet.

    `step_name`: the folder of the training's step. `tags` are added to the run.
    """
    api = client()
    experiment_id = _experiment(run, api)
    run_id = _oldest(api, experiment_id, step_name)
    if run_id is None:
        name = f"{run.recipe.name} {step_name.split('/')[1][:8]}"
        made = api.create_run(experiment_id, run_name=name, tags={STEP_TAG: step_name}).info.run_id
        flat = named({k: str(v) for k, v in sorted(_flat(in_full(run.recipe.identity())).items())})
        params = [Param(k, v[:5000]) for k, v in flat.items()]
        for start in range(0, len(params), 100):
            api.log_batch(made, params=params[start : start + 100])
        time.sleep(SETTLE)
        run_id = _oldest(api, experiment_id, step_name) or made
        if made != run_id:  # another process was first
            api.delete_run(made)
    api.log_batch(run_id, tags=[RunTag(k, v) for k, v in tags.items()])
    return run_id


def _experiment(run: Run, api: MlflowClient) -> str:
    """Return the id of the experiment, which is made if there is none, and restored if it was deleted.

    MLflow gives the name of a deleted experiment to no other, and takes no runs into it.
    """
    experiment = api.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        try:
            return api.create_experiment(EXPERIMENT, artifact_location=run.store.url_of("mlflow"))
        except mlflow.MlflowException:  # another run was first
            experiment = api.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                raise
    if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
        api.restore_experiment(experiment.experiment_id)
        warn(f"MLflow's experiment {EXPERIMENT} had been deleted: it is restored, with the runs in it")
    return experiment.experiment_id


def check_tracking(run: Run) -> None:
    """Check at the start of a run that MLflow can be reached and takes what the training will write.

    The experiment of all trainings is made or restored, as the training would do it, and gets a tag that is
    deleted again. Raises ServiceError.
    """
    uri = mlflow.get_tracking_uri()
    if uri.startswith("sqlite:") and urlsplit(uri).path in ("", "/", "/:memory:"):
        raise ServiceError(f"MLFLOW_TRACKING_URI is {uri}, which keeps nothing: name a file, {IN_A_FILE}")
    with variables(**IMPATIENT), refusals("the metrics", uri, "MLFLOW_TRACKING_URI"):
        check_opens(uri)
        api = client()
        experiment_id = _experiment(run, api)
        tag = check_tag()
        api.set_experiment_tag(experiment_id, tag, "now")
        api.delete_experiment_tag(experiment_id, tag)


def check_opens(uri: str) -> None:
    """Open the file of a SQLite database once: MLflow would try one that cannot be opened for 100 seconds."""
    if uri.startswith("sqlite"):
        path = make_url(uri).database
        # MLflow makes a folder that is missing; SQLite itself has URLs too
        if path and not path.startswith("file:") and Path(path).parent.is_dir():
            with contextlib.closing(sqlite3.connect(path)) as database:
                database.execute("PRAGMA schema_version")


def check_tag() -> str:
    """Return the name of a tag that is written and deleted again: two runs must not write the same one."""
    return f"llama.check-{secrets.token_hex(4)}"


def named(values: dict[str, V]) -> dict[str, V]:
    """Return values under keys that MLflow takes: it refuses some characters, long ones and such as `a//b`.

    A key that had to be changed to that of another value gets a number.
    """
    taken: dict[str, V] = {}
    for key, value in values.items():
        name = re.sub(r"[^\w.\- :/]", "_", key)[:KEY_LENGTH]
        if posixpath.normpath(name) != name or name.startswith(("/", "..")) or name == ".":
            name = re.sub(r"^\.+|/", "_", name) or "_"
        start = name
        number = 2
        while name in taken or (name != key and name in values):
            name, number = f"{start[: KEY_LENGTH - 4]}_{number}", number + 1
        taken[name] = value
    return taken


def _oldest(api: MlflowClient, experiment_id: str, step_name: str) -> str | None:
    """Return the first run of a training, or None. If several were made at the same moment, it is used."""
    filter_ = f"tags.`{STEP_TAG}` = '{step_name}'"
    order = ["start_time ASC", "attributes.run_id ASC"]
    runs = api.search_runs([experiment_id], filter_, ViewType.ACTIVE_ONLY, order_by=order)
    return runs[0].info.run_id if runs else None


class Tracker:
    """Buffers the metrics of a training, and writes them to its MLflow run: a context manager.

    `seen`: the steps that the run has already. A training that goes on from a checkpoint does some steps
    again, and a flow that adopts a job reads its log from the beginning: each step is written once.
    """

    def __init__(self, run_id: str, seen: Iterable[int] = ()):
        self._run_id, self._seen = run_id, set(seen)
        self._buffer: list[Metric] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._warned = self._away = False
        self._began: float | None = None  # of the run, in seconds since 1970
        self._thread = threading.Thread(target=self._flush_until_stopped, daemon=True)

    def __enter__(self) -> "Tracker":
        self._impatient = variables(**IMPATIENT)
        self._impatient.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(PARTING if error[0] else None)
        if not error[0]:
            deadline = time.monotonic() + WAIT_FOR_MLFLOW
            while not self._flush() and self._away and time.monotonic() < deadline:
                time.sleep(2)
        self._impatient.__exit__(None, None, None)

    def log(self, record: dict[str, Any]) -> None:
        """Take the metrics of one step. It never waits for the server and never raises."""
        if record["step"] not in self._seen:
            self._seen.add(record["step"])
            self._extend(_metrics(record))

    def watched(self) -> contextlib.AbstractContextManager[None]:
        """Return a block during which the metrics of this machine are taken, too.

        They are shown over the seconds since the run began: a run that goes on has earlier ones.
        """

        def take(values: Mapping[str, float]) -> None:
            if self._began is None:
                self._began = client().get_run(self._run_id).info.start_time / 1000
            now = time.time()
            step = int(now - self._began)
            self._extend([Metric(k, v, int(now * 1000), step) for k, v in values.items()])

        return watched(take, lambda error: warn(f"MLflow gets no metrics of this machine ({_cause(error)})"))

    def _extend(self, metrics: Iterable[Metric]) -> None:
        with self._lock:
            self._buffer.extend(metrics)

    def _flush_until_stopped(self) -> None:
        while not self._stop.wait(FLUSH_EVERY):
            self._flush()

    def _flush(self) -> bool:
        """Write what is in the buffer, BATCH metrics at a time, and tell whether it is empty now."""
        while True:
            with self._lock:
                batch = self._buffer[:BATCH]
            if not batch:
                return True
            try:
                client().log_batch(self._run_id, metrics=batch)
            except Exception as error:
                self._away = _is_away(error)
                if not self._warned:
                    self._warned = True
                    what = "be reached" if self._away else "take metrics"
                    warn(f"MLflow cannot {what} ({_cause(error)}): metrics wait in memory for it")
                return False
            self._away = False
            with self._lock:
                del self._buffer[: len(batch)]


def conclude(run_id: str, train: Artifact, spent: Goodput | None = None) -> None:
    """Write to its run what MLflow has missed of a finished training, where that lies, and that it is done.

    `spent`: its goodput, where that was taken from the record already: weeks of steps take long to read.
    Where MLflow fails, a line in the terminal says so: the training is done, and the next run of the same
    recipe concludes it.
    """
    try:
        with variables(**IMPATIENT):
            if missed := reconcile(run_id, train):
                warn(f"      steps that MLflow had missed, and that are written to it now: {missed:,}")
            set_tags(run_id, {"llama.checkpoint": train.url, "llama.digest": train.digest})
            if "goodput" not in client().get_run(run_id).data.metrics:
                time_of = spent or goodput(records(train))
                client().log_metric(run_id, "interruptions", len(time_of.interruptions))
                if time_of.interruptions:
                    set_tags(run_id, {"llama.interruptions": told(time_of.interruptions)})
                client().log_metric(run_id, "goodput", time_of.share)
            set_status(run_id, "FINISHED")
    except mlflow.MlflowException as error:
        warn(
            f"      MLflow was not told the end of the training ({_cause(error)}): "
            "it is when the same command runs again"
        )


def steps_of(run_id: str) -> set[int]:
    """Return the steps whose metrics a run has."""
    return {metric.step for metric in client().get_metric_history(run_id, "loss")}


def reconcile(run_id: str, train: Artifact) -> int:
    """Write what MLflow has not seen of a finished training, and return the number of missing steps.

    The training's own record is complete. MLflow's is not if a flow was killed with metrics in its buffer.
    """
    api, seen, missing = client(), steps_of(run_id), 0
    batch: list[Metric] = []
    for record in records(train):
        if record["step"] not in seen:
            missing += 1
            batch += _metrics(record)
        if len(batch) > BATCH:
            api.log_batch(run_id, metrics=batch[:BATCH])
            del batch[:BATCH]
    if batch:
        api.log_batch(run_id, metrics=batch)
    return missing


def log_at(run_id: str, values: Mapping[str, float], step: int, time_ms: int) -> None:
    """Log values to a run, after a step of its training. What is logged again with its time is there once."""
    metrics = [Metric(name, value, time_ms, step) for name, value in named(dict(values)).items()]
    for start in range(0, len(metrics), BATCH):
        client().log_batch(run_id, metrics=metrics[start : start + BATCH])


def set_tags(run_id: str, tags: dict[str, str]) -> None:
    """Set tags of a run."""
    client().log_batch(run_id, tags=[RunTag(k, v) for k, v in named(tags).items()])


@contextlib.contextmanager
def running(run_id: str) -> Iterator[None]:
    """Show a run as RUNNING during the block, which says itself when it is FINISHED.

    If the block raises, the run ends as FAILED, or as KILLED where somebody has interrupted or cancelled it.
    It stays RUNNING where its job goes on without this flow.
    A server that does not take this is waited for PARTING seconds: the block's own error is the one to show.
    """
    set_status(run_id, "RUNNING")
    try:
        yield
    except BaseException as error:
        if getattr(error, GOES_ON, False):
            raise
        wanted = not isinstance(error, Exception) or getattr(error, "cancelled", False)
        teller = threading.Thread(
            target=_try_to_set_status, args=(run_id, "KILLED" if wanted else "FAILED"), daemon=True
        )
        teller.start()
        teller.join(PARTING)
        raise


def set_status(run_id: str, status: str) -> None:
    """Set the status of a run: RUNNING, FINISHED, FAILED or KILLED.

    A run that has this status already keeps the time at which it ended.
    """
    api = client()
    if api.get_run(run_id).info.status == status:
        return
    if status == "RUNNING":
        api.update_run(run_id, status)
    else:
        api.set_terminated(run_id, status)


def _is_away(error: BaseException | None) -> bool:
    """Tell whether a server is away or overloaded, and may come back: a full disk is not waited for."""
    if mlflow.get_tracking_uri().startswith("sqlite"):
        return False
    while error:
        if isinstance(error, OSError) or getattr(error, "error_code", None) == "TEMPORARILY_UNAVAILABLE":
            return True
        error = error.__cause__ or error.__context__
    return False


def _cause(error: BaseException) -> str:
    """Return the first line of what MLflow's error is about: that of a database stands in its second."""
    while isinstance(error, mlflow.MlflowException) and (inner := error.__cause__ or error.__context__):
        error = inner
    return brief(Exception(getattr(error, "orig", None) or error)).removeprefix("Exception: ")


def _try_to_set_status(run_id: str, status: str) -> None:
    with contextlib.suppress(Exception):
        set_status(run_id, status)


def _metrics(record: dict[str, Any]) -> Iterable[Metric]:
    """Return the metrics in the record of one step, the loss last: a step whose loss is there is whole."""
    now = int(record.get("time", time.time()) * 1000)
    numbers = {k: v for k, v in record.items() if k not in NO_CURVES and isinstance(v, int | float)}
    if record.get("loss", 0.0) is None:
        numbers["loss"] = math.nan  # a step that made no update
    curves = {k: numbers[k] for k in sorted(numbers, key="loss".__eq__)}
    return [Metric(name, float(value), now, record["step"]) for name, value in named(curves).items()]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return the values in nested dicts by dotted key."""
    if not isinstance(value, dict):
        return {path: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{path}.{key.rstrip('_')}" if path else key.rstrip("_"))
    return flat
