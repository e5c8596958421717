"""A training that a person stops: what it listened at, what it leaves running, and what MLflow says of it."""

import re
import signal
import time

import pytest
from listening import beyond_loopback, listening
from mlflow.tracking import MlflowClient
from pipeline import Pipeline

# As of a shell in an allocation of another job.
SURROUNDINGS = {"RANK": "3", "WORLD_SIZE": "9", "MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "1"}
SURROUNDINGS |= {"PET_NNODES": "3", "SLURM_NTASKS": "9", "SLURM_NODEID": "2", "SBATCH_TIMELIMIT": "1"}


@pytest.mark.slow
def test_a_training_that_is_interrupted_or_terminated_is_killed_in_mlflow_and_goes_on(
    micro: Pipeline, pipeline: Pipeline
) -> None:
    """By Ctrl-C, as Prefect cancels a run, and by a terminal that closes. Each goes on from what is saved."""
    pipeline.begin_with(micro, "ingest", "dedup", "corpus", "corpus_page", "tokenizer", "tokens")
    resumed = []
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = pipeline.start("train.tokens=2_048_000", "--flow=train", **SURROUNDINGS)
        assert process.stdout
        steps = 0
        while steps < 12:  # one checkpoint is saved after 10
            said = process.stdout.readline()
            assert said, process.wait()
            if "resuming after step" in said:
                resumed.append(stop)
            if step := re.match(r" +step (\d+)/", said):
                steps = int(step[1])
        found = listening(process.pid)
        assert len({pid for _, _, pid in found}) >= 3, "the agent and two ranks"
        assert beyond_loopback(found) == []
        stopped = time.monotonic()
        process.send_signal(stop)
        output, _ = process.communicate(timeout=60)
        assert process.returncode, output
        assert time.monotonic() - stopped < 30
        assert pipeline.ends(within=10) == []
        assert statuses(pipeline) == ["KILLED"]
    assert resumed == [signal.SIGTERM, signal.SIGHUP]


def statuses(pipeline: Pipeline) -> list[str]:
    client = MlflowClient(f"sqlite:///{pipeline.home}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("llama-pretrain")
    assert experiment
    return [run.info.status for run in client.search_runs([experiment.experiment_id])]
