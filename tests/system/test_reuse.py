"""What a change of the recipe makes run again, and what it does not."""

import json
import random
from pathlib import Path

import pytest
import seven_sources
from pipeline import Pipeline, how_made

pytestmark = pytest.mark.slow

UP_TO_TOKENS = ["corpus", "corpus_page", "dedup", "ingest", "tokenizer", "tokens"]


def ids(pipeline: Pipeline) -> dict[str, set[str]]:
    return {stage: {artifact.id for artifact in found} for stage, found in pipeline.artifacts().items()}


def test_another_model_dim_reuses_everything_up_to_the_tokens(micro: Pipeline, pipeline: Pipeline) -> None:
    pipeline.begin_with(micro)
    first = ids(pipeline)
    output = pipeline.ok("model.dim=64")
    second = ids(pipeline)
    for stage in UP_TO_TOKENS:
        assert second[stage] == first[stage], stage
    made = how_made(output)
    assert {label for label, how in made.items() if how == "reused"} == {
        "corpus", "corpus page", "dedup", "ingest code", "ingest docs", "tokenizer", "tokens",
    }  # fmt: skip
    for stage in ("train", "evaluate", "export"):
        assert len(second[stage]) == len(first[stage]) + 1, stage


def test_text_of_ones_own_stands_in_for_the_embedded_corpus_and_runs_everything_again(
    micro: Pipeline, pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.begin_with(micro)
    first = ids(pipeline)
    rng = random.Random(1)
    for source in ("code", "docs"):
        rows = [json.dumps({"text": seven_sources.prose(rng, 20)}) + "\n" for _ in range(200)]
        (tmp_path / f"{source}.jsonl").write_text("".join(rows))
    files = ", ".join(f"{s}: {{kind: files, urls: ['{tmp_path}/{s}.jsonl']}}" for s in ("code", "docs"))
    output = pipeline.ok(f"corpus.sources={{{files}}}", "corpus.holdout=[]", "corpus.holdout_fraction=0.05")
    assert "reused" not in how_made(output).values()
    for stage, found in ids(pipeline).items():
        assert len(found - first[stage]) == len(first[stage]), stage
    ingested = [a for a in pipeline.artifacts()["ingest"] if a.id not in first["ingest"]]
    assert sum(a.counts["raw"] for a in ingested) == 400
