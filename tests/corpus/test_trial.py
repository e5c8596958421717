"""A trial: the first files or documents of each source, at addresses of their own, and said on every page."""

from pathlib import Path

import pytest
import seven_sources
from corpus import dumps
from corpus.helpers import documents_of, is_conserved, recipe_of, write_jsonl
from corpus.report.made import make
from corpus.stages import ingest_source

from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.recipe import Files, Wikipedia
from llama_core.corpus.report.card import dataset_card
from llama_core.corpus.report.page import page
from llama_core.errors import RecipeError
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store

TEXT = "The quick brown fox jumps over the lazy dog. " * 8


@pytest.fixture
def urls(tmp_path: Path) -> list[str]:
    """Four files, of which each has five documents and a record that is none."""
    for name in "dbca":
        rows = [*({"text": f"{TEXT} {name}{i}"} for i in range(5)), {"title": "no text"}]
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    return [str(tmp_path / "*.jsonl")]


def read(store: Store, urls: list[str], **limit: int) -> Artifact:
    source = Files(kind="files", urls=urls, limit=limit or None)  # type: ignore[arg-type]
    artifact = ingest_source(store, "web", source)
    assert is_conserved(artifact.counts)
    return artifact


def endings(artifact: Artifact) -> list[str]:
    return [document.text[-2:] for document in documents_of(artifact)]


def test_the_first_files_are_those_whose_names_come_first(store: Store, urls: list[str]) -> None:
    assert endings(read(store, urls, files=2)) == [f"{name}{i}" for name in "ab" for i in range(5)]
    assert len(endings(read(store, urls, files=9))) == 20


@pytest.mark.parametrize("documents", [1, 4, 5, 6, 10, 13, 20, 99])
def test_reading_ends_with_the_document_that_fills_the_limit(
    store: Store, urls: list[str], documents: int
) -> None:
    all_of = [f"{name}{i}" for name in "abcd" for i in range(5)]
    artifact = read(store, urls, documents=documents)
    assert endings(artifact) == all_of[:documents]
    assert len(artifact.shards) == min(4, -(-documents // 5))


def test_both_limits_hold(store: Store, urls: list[str]) -> None:
    assert len(endings(read(store, urls, documents=9, files=1))) == 5
    assert len(endings(read(store, urls, documents=3, files=2))) == 3


def test_a_trial_has_an_address_of_its_own_and_the_whole_keeps_its(store: Store, urls: list[str]) -> None:
    limits: list[dict[str, int]] = [{}, {"files": 4}, {"documents": 99}, {"documents": 98}]
    assert len({read(store, urls, **limit).id for limit in limits}) == 4
    plain = Files(kind="files", urls=urls)
    whole = Step(store, "ingest", ingest.REVISION, ingest.identity("web", plain), {})
    unlimited = Files(kind="files", urls=urls, limit=None)
    assert whole.id == Step(store, "ingest", ingest.REVISION, ingest.identity("web", unlimited), {}).id


def test_a_trial_that_was_stopped_goes_on_where_it_was(store: Store, urls: list[str]) -> None:
    source = Files(kind="files", urls=urls, limit={"documents": 8})  # type: ignore[arg-type]
    raws = ingest.raw_files("web", source)
    inputs = {raw.name: raw.digest for raw in raws}
    step = Step(store, "ingest", ingest.REVISION, ingest.identity("web", source), inputs)
    ingest.ingest_shard(step, "web", source, raws[0], most=8)
    assert endings(ingest_source(store, "web", source)) == [f"a{i}" for i in range(5)] + ["b0", "b1", "b2"]


def test_what_is_noted_of_wikipedia_is_counted_up_to_the_limit(store: Store, tmp_path: Path) -> None:
    article = "Some {{nowrap|words}} {{missing}} here. " * 20
    pages = [dumps.page(n, f"T{n}", article) for n in range(4)]
    path = tmp_path / "enwiki.xml"
    path.write_bytes(dumps.wiki(*pages, language="en"))
    source = Wikipedia(kind="wikipedia", urls=[str(path)], limit={"documents": 2})  # type: ignore[arg-type]
    counts = ingest_source(store, "wiki", source).counts
    assert (counts["raw"], counts["documents"]) == (2, 2)
    assert (counts["templates.by_hand"], counts["templates.undefined"]) == (40, 40)


def test_every_source_of_the_paper_can_be_tried(store: Store, tmp_path: Path) -> None:
    path = str(seven_sources.write_recipe(tmp_path / "raw"))
    for name in load_recipe(path).corpus.sources:
        tried = load_recipe(path, {f"corpus.sources.{name}.limit": {"documents": 1}})
        artifact = ingest_source(store, name, tried.corpus.sources[name])
        assert artifact.counts["documents"] == 1 and is_conserved(artifact.counts), name


def test_the_page_and_the_card_say_that_a_corpus_is_a_trial(store: Store, tmp_path: Path) -> None:
    recipe, documents, text = make(store, tmp_path)
    assert "trial" not in page(recipe, documents, text) + dataset_card(recipe, text)
    values = recipe.model_dump(mode="json", by_alias=True)
    values["corpus"]["sources"]["web"]["limit"] = {"documents": 4000, "files": 1}
    tried = type(recipe).model_validate(values)
    told = "only the first were read of web (1 file, 4,000 documents)."
    assert told in page(tried, documents, text) and told in dataset_card(tried, text)


def test_a_limit_of_nothing_or_of_nothing_named_is_refused() -> None:
    for limit in ({}, {"files": 0}, {"documents": 0}, {"pages": 3}, 1000, "1000"):
        with pytest.raises(RecipeError, match="limit"):
            recipe_of({"web": {"kind": "files", "urls": ["a"], "limit": limit}})


def test_the_trial_of_the_papers_corpus_is_that_corpus_with_a_limit_for_each_source() -> None:
    whole, trial = load_recipe("llama-v1"), load_recipe("llama-v1-trial")
    assert trial.corpus.sources.keys() == whole.corpus.sources.keys() and trial.mixture == whole.mixture
    assert all(source.limit for source in trial.corpus.sources.values())
    assert not any(source.limit for source in whole.corpus.sources.values())
    assert trial.corpus.choices == whole.corpus.choices
