"""MLflow: one run for each training, found by the address of the training's step.

Metrics go through a buffer and a thread of their own: a tracking server that is slow or away does not hold up
the training, and what it has missed is written when it is back.
"""

import contextlib
import json
import os
import posixpath
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import mlflow
from mlflow.entities import LifecycleStage, Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient

from infra.environment import variables
from llama_core.artifact import Artifact
from llama_core.errors import LlamaError, ServiceError
from tasks.observe import warn
from tasks.run import Run

V = TypeVar("V")

EXPERIMENT = "llama-pretrain"
STEP_TAG = "llama.step"  # the tag of a run that names the training's step
FLUSH_EVERY = 2.0  # seconds between two writes of what is in the buffer
WAIT_FOR_MLFLOW = 900.0  # seconds that the end of a training waits for a server that is away
# Seconds after which a run that another process has made before ours can be found. MLflow cannot create a run
# only if there is none.
SETTLE = 1.0
BATCH = 1000  # metrics that one call of MLflow takes
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
KEY_LENGTH = 250  # characters of the name of a param, a metric or a tag
BRIEFLY = {RETRIES: "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
INSTEAD = (
    "use a store that it can reach (store=s3://...), or set MLFLOW_REGISTRY_URI to the server's database"
)
IN_A_FILE = "such as sqlite:////home/me/mlflow.db"
OTHERWISE = "see that {variable} names a server that runs, or a database that can be written to"
ADVICE = (  # what to do, by words of MLflow's
    ("Invalid model version source", f"it takes no models from a local folder: {INSTEAD}"),
    ("maintenance mode", f"set {{variable}} to a database, {IN_A_FILE}, or to a server"),
    ("supported", f"set {{variable}} to a server (http://...) or to a database, {IN_A_FILE}"),
    ("No module named", "install what MLflow needs for this kind of database, or name another one"),
    ("UNAUTHENTICATED", "see MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    ("PERMISSION_DENIED", "ask for the right to write, or log in as somebody who has it"),
    ("readonly", "it can only be read: see who owns the file and its folder, and how the disk is mounted"),
    ("read-only", "it can only be read: see who owns the file and its folder, and how the disk is mounted"),
    ("disk is full", "make room on its disk"),
)
CURVES = ("loss", "lr", "grad_norm", "tokens_per_s", "tokens")  # what MLflow is told of each step


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
        flat = named({k: str(v) for k, v in sorted(_flat(run.recipe.identity()).items())})
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
    with refusals("the metrics", uri, "MLFLOW_TRACKING_URI"):
        api = client()
        experiment_id = _experiment(run, api)
        tag = check_tag()
        api.set_experiment_tag(experiment_id, tag, "now")
        api.delete_experiment_tag(experiment_id, tag)


def check_tag() -> str:
    """Return the name of a tag that is written and deleted again: two runs must not write the same one."""
    return f"llama.check-{secrets.token_hex(4)}"


@contextlib.contextmanager
def refusals(what: str, uri: str, variable: str) -> Iterator[None]:
    """Turn whatever MLflow raises in a block, before the work begins, into a ServiceError with what to do.

    `what`: what it is to keep. `variable`: the environment variable that names `uri`. MLflow's client tries
    again for some seconds only.
    """
    try:
        with variables(**BRIEFLY):
            yield
    except LlamaError:
        raise
    except Exception as error:
        said = reason(error)
        advice = next((advice for words, advice in ADVICE if words in f"{said} {error}"), OTHERWISE)
        place = _without_secrets(uri)
        raise ServiceError(
            f"MLflow at {place} cannot keep {what} of this run ({said}): {advice.format(variable=variable)}"
        ) from error


def reason(error: BaseException) -> str:
    """Return what went wrong, in one line without passwords."""
    text = " ".join(str(error).partition("[SQL:")[0].split()) or type(error).__name__
    text = re.sub(r"(?<=://)[^/\s]*@", "", text)
    code = getattr(error, "error_code", None)
    return text[:300] if code in (None, "INTERNAL_ERROR") else f"{code}: {text}"[:300]


def _without_secrets(uri: str) -> str:
    """Return a URI without its user, password and query."""
    return re.sub(r"(?<=://)[^/]*@", "", uri.partition("?")[0])


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
    records = [json.loads(line) for line in train.read(entry).splitlines()]
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
    metrics = [Metric(k, v, now, 0) for k, v in named(results).items()]
    client().log_batch(run_id, metrics=metrics, tags=[RunTag(k, v) for k, v in named(tags).items()])


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
