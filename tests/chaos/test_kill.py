"""Whole flows that are killed: in a worker, at a checkpoint and in the registry. Each start goes on."""

from pathlib import Path

import pytest
from chaos.kills import kill_all_at, kill_at, versions
from pipeline import Pipeline, how_made

from llama_core.recipe import load_recipe

OTHERWISE = ("launch.procs_per_node=1", "layout.micro_batch=4")


@pytest.mark.slow
def test_a_flow_that_is_killed_goes_on_where_it_was_with_other_execution_fields_too(
    micro: Pipeline, pipeline: Pipeline, tmp_path: Path
) -> None:
    reached = tmp_path / "reached"
    kill_at(pipeline, "ingest:inside", reached)

    kill_all_at(pipeline, "train:before@2", reached)
    every = load_recipe("micro").run.save_every
    [checkpoint] = [n for n in pipeline.store.list("train") if "/shards/" in n]
    assert checkpoint.endswith(f"step-{every:08d}.json")

    output = kill_at(pipeline, "register:inside", reached, *OTHERWISE)
    assert f"resuming after step {every} of" in output, output
    trained, reference = pipeline.artifact("train"), micro.artifact("train")
    assert trained.id == reference.id, "an execution field changes no address"
    assert trained.facts["loss"] == pytest.approx(reference.facts["loss"], abs=1e-4)

    made = how_made(pipeline.ok(*OTHERWISE))
    assert {label for label, how in made.items() if how != "reused"} == {"report"}
    assert len(versions(pipeline)) == 1
    assert pipeline.ends(within=10) == []
    same, whole = pipeline.digests(), micro.digests()
    for stage in ("ingest", "dedup", "corpus", "tokenizer", "tokens"):
        assert same[stage] == whole[stage], stage
