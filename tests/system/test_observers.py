"""Prefect's server is stopped and MLflow's is killed while a training runs: it does not mind."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from pipeline import Pipeline
from system.ceph import free_port

from llama_core.recipes.load import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

AWAY = 20.0  # seconds: several times as long as between two writes to either, and longer than any request


class Server:
    """A server process that can be killed, and started again on the same port and database."""

    def __init__(self, command: list[str], health: str, env: dict[str, str], log: Path):
        self._command, self._health, self._env, self._log = command, health, env, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._env, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while not self._answers():
            assert time.monotonic() < deadline and self._process.poll() is None, self._log.read_text()[-3000:]
            time.sleep(0.5)

    def stop(self) -> None:
        assert self._process
        os.killpg(self._process.pid, signal.SIGSTOP)  # its port takes connections, and nobody answers

    def go_on(self) -> None:
        assert self._process
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self._health, timeout=2).close()
        except OSError:
            return False
        return True


def test_the_run_completes_with_one_mlflow_run_and_no_missing_step(micro: Pipeline, tmp_path: Path) -> None:
    prefect_port, mlflow_port = free_port(), free_port()
    api, tracking = f"http://127.0.0.1:{prefect_port}/api", f"http://127.0.0.1:{mlflow_port}"
    database = f"sqlite:///{tmp_path}/mlflow.db"
    env = dict(os.environ) | {"PREFECT_HOME": str(tmp_path / "prefect"), "DO_NOT_TRACK": "1"}
    env |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # as in our stack: six processes less
    module = [sys.executable, "-m"]
    prefect = Server(
        [*module, "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(prefect_port)],
        f"{api}/health", env, tmp_path / "prefect.log",
    )  # fmt: skip
    mlflow = Server(
        [*module, "mlflow", "server", "--backend-store-uri", database, "--host", "127.0.0.1",
         "--port", str(mlflow_port), "--workers", "1"],
        f"{tracking}/health", env, tmp_path / "mlflow.log",
    )  # fmt: skip
    addresses = {
        "PREFECT_API_URL": api,
        "MLFLOW_TRACKING_URI": tracking,
        "MLFLOW_REGISTRY_URI": database,
    }
    pipeline = Pipeline(tmp_path / "home", f"file://{tmp_path}/store", addresses)
    pipeline.begin_with(micro, "ingest", "dedup", "corpus", "corpus_page", "tokenizer", "tokens")
    steps = 600
    tokens = steps * load_recipe("micro").train.global_batch_tokens
    try:
        prefect.start()
        mlflow.start()
        alone = ("launch.procs_per_node=1", "layout.micro_batch=16")
        process = pipeline.start(f"train.tokens={tokens}", "run.log_every=50", "run.save_every=500", *alone)
        shown: list[str] = []
        assert process.stdout
        for line in process.stdout:
            shown.append(line)
            if "step 50/" in line:
                break
        prefect.stop()
        mlflow.kill()
        time.sleep(AWAY)
        prefect.go_on()
        mlflow.start()
        rest, _ = process.communicate(timeout=600)
        output = "".join(shown) + rest
        assert process.returncode == 0, output
        client = MlflowClient(database)
        [experiment] = [e for e in client.search_experiments() if e.name == "llama-pretrain"]
        [run] = client.search_runs([experiment.experiment_id])
        logged = [m.step for m in client.get_metric_history(run.info.run_id, "loss")]
        assert sorted(set(logged)) == list(range(1, steps + 1))
        assert "MLflow cannot be reached" in output
        assert "Prefect missed an update" in output
        assert len(client.search_model_versions("name = 'llama-micro'")) == 1
    finally:
        pipeline.kill()
        prefect.kill()
        mlflow.kill()
