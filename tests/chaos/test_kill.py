"""Whole flows that are killed: in a worker, at a checkpoint, in the registry. Each start goes on."""

from pathlib import Path

import pytest
from chaos.kills import kill_all_at, kill_at, versions
from pipeline import Pipeline, how_made

from llama_core.recipes.load import load_recipe

BEFORE_TRAINING = ("ingest code", "ingest docs", "dedup", "corpus", "corpus page", "tokenizer", "tokens")


@pytest.mark.slow
def test_a_flow_that_is_killed_goes_on_where_it_was_and_what_it_started_ends(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """`test_every_point.py` compares what comes out of kills with what an undisturbed run makes."""
    reached = tmp_path / "reached"
    kill_at(pipeline, "ingest:inside", reached)

    kill_all_at(pipeline, "train:before@2", reached)
    every = load_recipe("micro").run.save_every
    [checkpoint] = [n for n in pipeline.store.list("train") if "/shards/" in n]
    assert checkpoint.endswith(f"step-{every:08d}.json")

    output = kill_at(pipeline, "register:inside", reached)
    assert f"resuming after step {every} of" in output, output
    assert {how_made(output)[label] for label in BEFORE_TRAINING} == {"reused"}

    made = how_made(pipeline.ok())
    assert {label for label, how in made.items() if how != "reused"} == {"report"}
    assert len(versions(pipeline)) == 1
    assert pipeline.ends(within=10) == []
