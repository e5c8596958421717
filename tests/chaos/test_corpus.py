"""The corpus of seven sources: killed whole, or robbed of workers, it ends with the same bytes."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import seven_sources
from chaos.kills import run_until
from pipeline import Pipeline

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

STAGES = (
    "ingest",
    "lines",
    "quality",
    "language_models",
    "perplexity",
    "references",
    "dedup",
    "corpus",
    "decontaminate",
)
POINTS = ("before", "inside", "objects", "shards", "after")
KILLS_PER_STAGE = 2  # of the whole tree, at points drawn by seed
LATER_IN_DEDUP = ["dedup:before@6", "dedup:inside@9"]  # of its phases, one that has others behind it
WORKERS_LOST = 6
BETWEEN = 3.0  # seconds between two: a new pool takes some of them to start


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seven_sources.write_recipe(tmp_path_factory.mktemp("seven"))


@pytest.fixture(scope="module")
def undisturbed(
    recipe: Path, prefect_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("undisturbed")
    pipeline = Pipeline(folder / "home", f"file://{folder}/store", {"PREFECT_API_URL": prefect_url})
    pipeline.ok("--flow", "corpus", recipe=str(recipe))
    yield pipeline
    pipeline.kill()


def test_killed_at_points_of_every_stage_the_corpus_has_the_same_bytes(
    undisturbed: Pipeline, pipeline: Pipeline, recipe: Path, tmp_path: Path
) -> None:
    rng = random.Random(7)
    points = []
    for stage in STAGES:
        points += [
            f"{stage}:{point}" for point in sorted(rng.sample(POINTS, KILLS_PER_STAGE), key=POINTS.index)
        ]
        if stage == "dedup":
            points[-KILLS_PER_STAGE:-KILLS_PER_STAGE] = LATER_IN_DEDUP
    for point in points:
        run_until(pipeline, point, tmp_path / "reached", "--flow", "corpus", recipe=str(recipe))
        assert pipeline.ends(within=0) == []
    pipeline.ok("--flow", "corpus", recipe=str(recipe))
    assert pipeline.digests() == undisturbed.digests()


def test_workers_that_are_killed_at_random_cost_nothing_but_time(
    undisturbed: Pipeline, pipeline: Pipeline, recipe: Path
) -> None:
    rng, lost = random.Random(11), 0
    process = pipeline.start("--flow", "corpus", recipe=str(recipe))
    while process.poll() is None:
        time.sleep(rng.uniform(0.1, 1.0))
        workers = [p for p in pipeline.processes() if "popen_loky" in " ".join(_command(p))]
        if workers and lost < WORKERS_LOST:
            rng.choice(workers).kill()
            lost += 1
            time.sleep(BETWEEN)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    assert lost >= 2, "the run was over before a worker could be killed"
    assert pipeline.digests() == undisturbed.digests()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
