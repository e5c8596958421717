"""The export of a model that one process has trained, by a job on two, which is killed and started again."""

from pathlib import Path

import pytest
from chaos.kills import kill_all_at, kill_at, uncounted, versions
from pipeline import Pipeline, how_made

# Large enough that a job exports it, and trained for as short as it can be.
SIZES = (
    "model.dim=512",
    "model.n_layers=11",
    "model.n_heads=8",
    "model.multiple_of=256",
    "train.tokens=2048",
    "train.warmup_steps=1",
    "run.validate_every=0",
    "evaluate.tasks=[]",
    "evaluate.heldout_bytes=2000",
)
ONE, TWO = "launch.procs_per_node=1", "launch.procs_per_node=2"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_it_comes_to_one_version_of_the_same_bytes(
    pipeline: Pipeline, prefect_url: str, tmp_path: Path
) -> None:
    reached = tmp_path / "reached"
    pipeline.ok("--flow", "train", *SIZES, ONE)
    kill_at(pipeline, "export:inside", reached, *SIZES, TWO)
    kill_all_at(pipeline, "export:objects", reached, *SIZES, TWO)
    made = how_made(pipeline.ok(*SIZES, TWO))
    assert made["train"] == "reused" and made["export"] != "reused"
    assert "llama-export-" in "".join(path.name for path in pipeline.home.rglob("*"))
    assert len(versions(pipeline)) == 1
    assert uncounted(pipeline) == set()
    assert how_made(pipeline.ok(*SIZES, TWO))["export"] == "reused"
    assert len(versions(pipeline)) == 1

    other = Pipeline(tmp_path / "other", f"file://{tmp_path}/others", {"PREFECT_API_URL": prefect_url})
    other.begin_with(
        pipeline, *(stage for stage in pipeline.artifacts() if stage not in ("export", "register"))
    )
    other.ok(*SIZES, ONE)
    assert other.artifact("export").digest == pipeline.artifact("export").digest
