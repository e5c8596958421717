"""kill -9 at every point of every stage, then the same command again. A file of its own: the longest test."""

import time
from pathlib import Path

import pytest
from chaos.kills import run_until, versions
from pipeline import Pipeline

STAGES = (
    "ingest",
    "dedup",
    "corpus",
    "corpus_page",
    "tokenizer",
    "tokens",
    "train",
    "evaluate",
    "export",
    "report",
)
POINTS = ("before", "inside", "objects", "shards", "after")
EVERY_POINT = [f"{stage}:{point}" for stage in STAGES[:-1] for point in POINTS]
EVERY_POINT += [f"register:{point}" for point in ("before", "inside", "after")]
EVERY_POINT += [f"report:{point}" for point in POINTS]


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_killed_at_every_point_of_every_stage_it_ends_with_the_same_model(
    micro: Pipeline, pipeline: Pipeline, tmp_path: Path
) -> None:
    """One run, killed at each point in turn and started again: each start goes on where the last one was."""
    for point in EVERY_POINT:
        run_until(pipeline, point, tmp_path / "reached")
    started = time.monotonic()
    pipeline.ok()
    assert time.monotonic() - started < 60, "a restart must not wait for a lease"
    assert pipeline.ends(within=10) == []
    assert pipeline.digests() == micro.digests()
    assert len(versions(pipeline)) == 1
    objects = set(pipeline.store.list())
    for artifacts in pipeline.artifacts().values():
        for artifact in artifacts:
            attempts = {o.name for o in artifact.objects()}
            prefix = artifact.url.removeprefix(pipeline.store.url + "/")
            below = {n.removeprefix(prefix + "/") for n in objects if n.startswith(prefix)}
            half = {n for n in below if "/" in n and not n.startswith("shards/")} - attempts
            assert not half, f"half-published objects are left in {prefix}: {half}"
