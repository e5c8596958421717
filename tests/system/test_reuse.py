"""What a change of the recipe makes run again, and what it does not."""

import pytest
from pipeline import Pipeline, how_made

pytestmark = pytest.mark.slow

UP_TO_TOKENS = ["corpus", "corpus_page", "dedup", "ingest", "tokenizer", "tokens"]


def test_another_model_dim_reuses_everything_up_to_the_tokens(pipeline: Pipeline) -> None:
    pipeline.ok()
    first = {s: {a.id for a in found} for s, found in pipeline.artifacts().items()}
    output = pipeline.ok("model.dim=64")
    second = {s: {a.id for a in found} for s, found in pipeline.artifacts().items()}
    for stage in UP_TO_TOKENS:
        assert second[stage] == first[stage], stage
    made = how_made(output)
    assert {label for label, how in made.items() if how == "reused"} == {
        "corpus", "corpus page", "dedup", "ingest code", "ingest docs", "tokenizer", "tokens",
    }  # fmt: skip
    for stage in ("train", "evaluate", "export"):
        assert len(second[stage]) == len(first[stage]) + 1, stage


def test_another_corpus_runs_everything_again(pipeline: Pipeline) -> None:
    pipeline.ok()
    first = {s: {a.id for a in found} for s, found in pipeline.artifacts().items()}
    fewer = "[click, jinja2, httpcore, s3fs]"
    pipeline.ok(f"corpus.sources.code.packages={fewer}", f"corpus.sources.docs.packages={fewer}")
    second = {s: {a.id for a in found} for s, found in pipeline.artifacts().items()}
    for stage, before in first.items():
        assert len(second[stage]) == 2 * len(before), stage


def test_text_of_ones_own_stands_in_for_the_embedded_corpus(pipeline: Pipeline, tmp_path) -> None:
    import json

    lines = (f"Sentence {i} of a text that somebody has on a disk, number {i * i}.\n" for i in range(20_000))
    text = list(lines)
    folder = tmp_path / "mine"
    folder.mkdir()
    with (folder / "a.jsonl").open("w") as file:
        for i in range(0, 20_000, 20):
            file.write(json.dumps({"text": "".join(text[i : i + 20])}) + "\n")
    pipeline.ok(
        f"corpus.sources={{own: {{kind: files, urls: ['{folder}/*.jsonl']}}}}",
        "mixture={own: 1.0}",
        "corpus.holdout=[]",
        "corpus.holdout_fraction=0.05",
        "corpus.dedup.threshold=1.0",
        "tokenizer.vocab_size=320",
    )
    assert pipeline.artifact("ingest").counts["raw"] == 1000
