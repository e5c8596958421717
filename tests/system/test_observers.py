"""Prefect's server is stopped and MLflow's is killed while a training runs: it does not mind."""

import time
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from pipeline import Pipeline
from system.servers import Servers

from llama_core.recipes.load import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

AWAY = 20.0  # seconds: several times as long as between two writes to either, and longer than any request


def test_the_run_completes_with_one_mlflow_run_and_no_missing_step(micro: Pipeline, tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    pipeline = Pipeline(tmp_path / "home", f"file://{tmp_path}/store", servers.env)
    pipeline.begin_with(micro, "ingest", "dedup", "corpus", "corpus_page", "tokenizer", "tokens")
    steps = 600
    tokens = steps * load_recipe("micro").train.global_batch_tokens
    try:
        servers.start()
        alone = ("launch.procs_per_node=1", "layout.micro_batch=16")
        process = pipeline.start(f"train.tokens={tokens}", "run.log_every=50", "run.save_every=500", *alone)
        shown: list[str] = []
        assert process.stdout
        for line in process.stdout:
            shown.append(line)
            if "step 50/" in line:
                break
        servers.prefect.stop()
        servers.mlflow.kill()
        time.sleep(AWAY)
        servers.prefect.go_on()
        servers.mlflow.start()
        rest, _ = process.communicate(timeout=600)
        output = "".join(shown) + rest
        assert process.returncode == 0, output
        client = MlflowClient(servers.database)
        [experiment] = [e for e in client.search_experiments() if e.name == "llama-pretrain"]
        [run] = client.search_runs([experiment.experiment_id])
        logged = [m.step for m in client.get_metric_history(run.info.run_id, "loss")]
        assert sorted(set(logged)) == list(range(1, steps + 1))
        assert "MLflow cannot be reached" in output
        assert "Prefect missed an update" in output
        assert len(client.search_model_versions("name = 'llama-micro'")) == 1
    finally:
        pipeline.kill()
        servers.kill()
