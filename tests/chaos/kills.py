"""Runs that are killed with signal 9 at a point of a stage, and what a killed run may not leave or change."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from mlflow.tracking import MlflowClient
from pipeline import Pipeline

from llama_core.artifact import MANIFEST

INJECT = str(Path(__file__).parent / "inject")
BESIDE_THE_STEP = (MANIFEST, "README.md")  # what a finished step's folder holds that no shard counts: a card


def run_to(
    pipeline: Pipeline, point: str, reached: Path, *args: str, recipe: str = "micro"
) -> subprocess.Popen[str]:
    """Start a run and wait until some process of it stands at `point`; the flow's process."""
    for old in (reached, begun_file(reached)):
        old.unlink(missing_ok=True)
    chaos = {"PYTHONPATH": INJECT, "LLAMA_CHAOS": point, "LLAMA_CHAOS_REACHED": str(reached)}
    process = pipeline.start(*args, recipe=recipe, **chaos)
    deadline = time.monotonic() + 120
    while not reached.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            pipeline.kill()
            output, _ = process.communicate()
            raise AssertionError(f"{point} was never reached:\n{output}")
        time.sleep(0.02)
    return process


def kill_at(pipeline: Pipeline, point: str, reached: Path, *args: str, recipe: str = "micro") -> str:
    """Run to `point`, and kill the flow and whoever stands there: all else must then end by itself.

    What the terminal showed.
    """
    process = run_to(pipeline, point, reached, *args, recipe=recipe)
    process.kill()
    with contextlib.suppress(ProcessLookupError):  # it was the flow
        os.kill(int(reached.read_text()), signal.SIGKILL)
    left = pipeline.ends(within=15)
    assert left == [], [p.cmdline() for p in left]
    return process.communicate()[0]


def kill_all_at(pipeline: Pipeline, point: str, reached: Path, *args: str, recipe: str = "micro") -> None:
    """Run to `point`, and kill the whole tree."""
    process = run_to(pipeline, point, reached, *args, recipe=recipe)
    pipeline.kill()
    process.communicate()


def begun_file(reached: Path) -> Path:
    return reached.with_name(f"{reached.name}-begun")


def begun(reached: Path) -> set[str]:
    """The shards that the last run to a point has begun, as the objects that commit them."""
    file = begun_file(reached)
    return set(file.read_text().splitlines()) if file.exists() else set()


def commits(pipeline: Pipeline) -> dict[str, bytes]:
    """What commits a shard or a step: the objects on the store, by name."""
    names = [n for n in pipeline.store.list() if "/shards/" in n or n.endswith(f"/{MANIFEST}")]
    return dict(zip(names, pipeline.store.read_many(names), strict=True))


def uncounted(pipeline: Pipeline) -> set[str]:
    """Objects in the folders of finished steps that these do not count."""
    objects, found = pipeline.store.list(), set()
    for artifact in (a for artifacts in pipeline.artifacts().values() for a in artifacts):
        folder = f"{artifact.name}/"
        below = {n.removeprefix(folder) for n in objects if n.startswith(folder)}
        counted = {o.name for o in artifact.objects()}.union(BESIDE_THE_STEP)
        found |= {folder + n for n in below - counted if not n.startswith("shards/")}
    return found


def versions(pipeline: Pipeline, model: str = "llama-micro") -> list[str]:
    """The model's versions in the registry."""
    client = MlflowClient(f"sqlite:///{pipeline.home}/mlflow/mlflow.db")
    return [v.version for v in client.search_model_versions(f"name = '{model}'")]
