"""What cannot work ends with one clear message and a non-zero exit; the traceback is in the log only."""

import gzip
from pathlib import Path

import pytest
from pipeline import Pipeline

pytestmark = pytest.mark.slow


def fails(pipeline: Pipeline, *args: str, says: str, code: int = 2, **kwargs: str) -> str:
    got, output = pipeline.run(*args, **kwargs)  # type: ignore[arg-type]
    assert got == code, output
    assert says in output, output
    assert "Traceback" not in output, output
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, output
    assert pipeline.ends(within=10) == []
    return output


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model.dmi=3", "did you mean 'dim'"),
        ("train.lr=fast", "train.lr"),
        ("corpus.sources.code.packages=[no-such-package]", "no-such-package"),
    ],
)
def test_a_bad_recipe(pipeline: Pipeline, override: str, says: str) -> None:
    fails(pipeline, override, says=says)


def test_a_vocabulary_that_is_larger_than_the_text_can_fill(micro: Pipeline, pipeline: Pipeline) -> None:
    pipeline.begin_with(micro, "ingest", "dedup", "corpus", "corpus_page")
    fails(pipeline, "tokenizer.vocab_size=60000", says="tokenizer.vocab_size")


def test_a_cluster_size_on_a_laptop_fails_before_any_work(pipeline: Pipeline) -> None:
    output = fails(pipeline, recipe="65b", says="256 nodes x 8 processes")
    assert "launch.launcher=slurm" in output and "tiny" in output
    assert pipeline.store.list() == []


def test_a_cluster_that_is_not_there_is_said_with_what_the_recipe_needs(pipeline: Pipeline) -> None:
    deployed = "launch.launcher=slurm"  # as prefect.yaml has it
    output = fails(pipeline, deployed, recipe="65b", says="256 nodes x 8 processes", PATH="/usr/bin-without")
    assert "sinfo is not installed here" in output and "tiny" in output


def test_a_prefect_server_that_is_named_and_away(pipeline: Pipeline) -> None:
    fails(pipeline, PREFECT_API_URL="http://127.0.0.1:9/api", says="PREFECT_API_URL")


def test_an_mlflow_server_that_is_named_and_away(pipeline: Pipeline) -> None:
    fails(pipeline, MLFLOW_TRACKING_URI="http://127.0.0.1:9", says="MLFLOW_TRACKING_URI")


def test_a_store_that_cannot_be_written(pipeline: Pipeline) -> None:
    pipeline.store_url = "file:///proc/no-such-folder"
    fails(pipeline, says="/proc/no-such-folder")


def test_input_that_is_not_there(pipeline: Pipeline, tmp_path: Path) -> None:
    own = f"corpus.sources={{own: {{kind: files, urls: ['{tmp_path}/none/*.jsonl']}}}}"
    fails(pipeline, own, "mixture={own: 1.0}", says="none/*.jsonl")


def test_a_source_that_lacks_its_files_is_said_before_another_is_ingested(pipeline: Pipeline) -> None:
    sources = "{docs: {kind: packages, packages: [click], part: docs}, own: {kind: files}}"
    mixture = "mixture={docs: 0.5, own: 0.5}"
    fails(pipeline, f"corpus.sources={sources}", mixture, says="corpus.sources.own.urls is empty")
    assert pipeline.store.list() == []


def test_the_corpus_of_a_cluster_size_is_planned_on_a_laptop(pipeline: Pipeline) -> None:
    own = "corpus.sources={own: {kind: files}}"
    fails(pipeline, "--flow", "corpus", own, "mixture={own: 1.0}", recipe="65b", says="own.urls is empty")


def test_input_that_cannot_be_read_at_all(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "noise.jsonl.gz").write_bytes(gzip.compress(b"\xff\xfe{" * 100)[:40])
    own = f"corpus.sources={{own: {{kind: files, urls: ['{tmp_path}/noise.jsonl.gz']}}}}"
    fails(pipeline, own, "mixture={own: 1.0}", says="own")


def test_a_full_disk(pipeline: Pipeline, tmp_path: Path) -> None:
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)])
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        pipeline.store_url = f"file://{small}/store"
        fails(pipeline, says="no space is left for the training")
        assert pipeline.store.list() == [], "said before any work"
        fails(pipeline, "--flow", "corpus", says="no space is left")
        half = [p for p in small.rglob("*") if ".tmp-" in p.name]
        assert half == [], "nothing half-published, and no rubbish"
    finally:
        subprocess.run(["umount", str(small)], check=True)
