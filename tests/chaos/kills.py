"""kill -9 of a whole run at a point of a stage, and what it may leave in the registry."""

import subprocess
import time
from pathlib import Path

from mlflow.tracking import MlflowClient
from pipeline import Pipeline

INJECT = str(Path(__file__).parent / "inject")


def run_to(
    pipeline: Pipeline, point: str, reached: Path, *args: str, recipe: str = "micro"
) -> subprocess.Popen[str]:
    """Start a run and wait until some process of it stands at `point`; the flow's process."""
    reached.unlink(missing_ok=True)
    chaos = {"PYTHONPATH": INJECT, "LLAMA_CHAOS": point, "LLAMA_CHAOS_REACHED": str(reached)}
    process = pipeline.start(*args, recipe=recipe, **chaos)
    deadline = time.monotonic() + 120
    while not reached.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            pipeline.kill()
            output, _ = process.communicate()
            raise AssertionError(f"{point} was never reached:\n{output}")
        time.sleep(0.05)
    return process


def run_until(pipeline: Pipeline, point: str, reached: Path, *args: str, recipe: str = "micro") -> None:
    """Run, and kill the whole tree with signal 9 when some process stands at `point`."""
    process = run_to(pipeline, point, reached, *args, recipe=recipe)
    pipeline.kill()
    process.communicate()


def versions(pipeline: Pipeline) -> list[str]:
    client = MlflowClient(f"sqlite:///{pipeline.home}/mlflow/mlflow.db")
    return [v.version for v in client.search_model_versions("name = 'llama-micro'")]
