"""The home is full or read-only, or nobody reads what a run says: the training is done all the same."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from pipeline import Pipeline

from llama_core.recipes.load import load_recipe

pytestmark = pytest.mark.slow

BEFORE = ("ingest", "dedup", "corpus", "corpus_page", "tokenizer", "tokens")


@pytest.fixture
def small(pipeline: Pipeline) -> Iterator[Path]:
    """The home of `pipeline`, on a small disk of its own."""
    pipeline.home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(pipeline.home)]
    if subprocess.run(mount).returncode:
        pytest.skip("mounting a small disk needs root")
    yield pipeline.home
    pipeline.kill()
    subprocess.run(["umount", "--lazy", str(pipeline.home)], check=True)  # a log may still be open


def test_a_home_that_is_full_does_not_stop_a_training(
    micro: Pipeline, pipeline: Pipeline, small: Path
) -> None:
    pipeline.begin_with(micro, *BEFORE)
    steps = 300
    args = [f"train.tokens={steps * load_recipe('micro').train.global_batch_tokens}", "run.log_every=10"]
    args += ["launch.procs_per_node=1", "layout.micro_batch=16", "--flow", "evaluate"]
    process = pipeline.start(*args)
    assert process.stdout
    shown = ""
    for line in process.stdout:
        shown += line
        if "step 10/" in line:
            break
    filler = small / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    shown += process.communicate(timeout=200)[0]
    assert process.returncode == 0, shown
    assert "MLflow cannot take metrics (database or disk is full)" in shown
    assert "MLflow was not told the end of the training" in shown
    assert shown.count("cannot be written") == 1 and "Traceback" not in shown
    filler.unlink()
    assert "steps that MLflow had missed, and that are written to it now: " in pipeline.ok(*args)
    client = MlflowClient(f"sqlite:///{pipeline.home}/mlflow/mlflow.db")
    [experiment] = [e for e in client.search_experiments() if e.name == "llama-pretrain"]
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    logged = {m.step for m in client.get_metric_history(run.info.run_id, "loss")}
    assert logged == set(range(1, steps + 1))


def test_a_read_only_home_is_enough_where_the_services_are_elsewhere(
    micro: Pipeline, pipeline: Pipeline, small: Path
) -> None:
    pipeline.begin_with(micro)
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    code, output = pipeline.run()
    assert code == 2, output
    assert f"the home {small} cannot be used" in output and "LLAMA_HOME" in output
    pipeline.ok(MLFLOW_TRACKING_URI=f"sqlite:///{micro.home}/mlflow/mlflow.db")


def test_a_run_goes_on_when_nobody_reads_what_it_says(micro: Pipeline, pipeline: Pipeline) -> None:
    pipeline.begin_with(micro, *BEFORE)
    process = pipeline.start("launch.procs_per_node=1", "layout.micro_batch=16")
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=200) == 0
    assert "report" in pipeline.artifacts()


def test_a_service_that_is_stopped_is_given_up_after_a_while(pipeline: Pipeline) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code, output = pipeline.run(MLFLOW_TRACKING_URI=url, timeout=90)
        assert code == 2 and "MLflow does not answer" in output, output
        env = {"PREFECT_API_URL": f"{url}/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
        code, output = pipeline.run(timeout=90, **env)
        assert code == 2 and "Prefect does not answer" in output, output
