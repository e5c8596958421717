"""The corpus as it lies on the store: conserved, readable by `datasets`, the same bytes each time."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from corpus.helpers import documents_of, recipe_of
from corpus.stages import decide_all, decontaminated, finish, ingest_recipe, keep, recipe_of_files
from markdown_it import MarkdownIt

from llama_core.artifact import Artifact
from llama_core.corpus.corpus import HELD, OTHER, Tables, domain
from llama_core.corpus.decisions import Cut, Decision
from llama_core.corpus.document import SCHEMA, Document
from llama_core.corpus.documents import Documents
from llama_core.corpus.report.card import dataset_card, publish_card
from llama_core.corpus.training_text import TrainingText
from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.store import Store

LOAD = """
import datasets, json, sys
whole = datasets.load_dataset(sys.argv[1])
code = datasets.load_dataset(sys.argv[1], "code")
splits = {k: [v.num_rows, v.column_names] for k, v in whole.items()}
print(json.dumps(splits | {"code": code["train"].num_rows}))
"""


def rows(n: int) -> list[dict[str, str]]:
    return [
        {"text": f"document {i} of some length", "url": f"https://www.site{i % 3}.org/{i}"} for i in range(n)
    ]


def drop_some(document: Document) -> Decision:
    """Drop one of ten documents, cut another, and keep the others."""
    number = int(document.text.split()[1])
    if number % 10 == 0:
        return Decision(document.id, "tenth")
    cuts = [Cut(0, 9, "D ")] if number % 10 == 1 else []
    return Decision(document.id, cuts=cuts, language="en")


def packages() -> Recipe:
    names = ["httpcore", "s3fs"]
    sources = {part: {"kind": "packages", "part": part, "packages": names} for part in ("code", "docs")}
    return recipe_of(sources, holdout=["s3fs"])


def through(store: Store, recipe: Recipe) -> tuple[dict[str, Documents], Artifact]:
    """Two stages of decisions, and the corpus."""
    documents = ingest_recipe(store, recipe)
    for stage, decide in (("first", keep), ("second", drop_some if "web" in documents else keep)):
        artifact = decide_all(store, stage, documents, decide)
        documents = {name: d.after(artifact) for name, d in documents.items()}
    return documents, finish(store, documents, recipe)


def test_the_corpus_is_what_every_stage_kept_with_its_cuts(store: Store, tmp_path: Path) -> None:
    recipe = recipe_of_files(tmp_path / "raw", {"web": rows(100)}, holdout_fraction=0.2)
    documents, whole = through(store, recipe)
    train, heldout = documents_of(whole, "train.parquet"), documents_of(whole, "heldout.parquet")
    expected = [d for s in documents["web"].shards for d in documents["web"].read(s.name)]
    assert sorted(d.text for d in train + heldout) == sorted(d.text for d in expected)
    assert len(expected) == 90 and sum(d.text.startswith("D 1 ") for d in train + heldout) == 1
    counts = whole.counts
    assert counts["documents"] == 90 == len(train) + len(heldout)
    assert (counts["documents.train"], counts["documents.heldout"]) == (len(train), len(heldout))
    assert 0 < len(heldout) < len(train)
    assert counts["bytes.heldout"] == sum(len(d.text.encode()) for d in heldout)


def test_the_same_documents_give_the_same_corpus(store: Store, tmp_path: Path) -> None:
    recipe = recipe_of_files(tmp_path / "raw", {"web": rows(100)}, holdout_fraction=0.2)
    digest = through(store, recipe)[1].digest
    shutil.rmtree(store.path())
    assert through(store, recipe)[1].digest == digest


def test_a_group_is_held_out_whole(store: Store) -> None:
    _, whole = through(store, packages())
    packages_of = {
        split: {json.loads(d.meta)["package"] for d in documents_of(whole, f"{split}.parquet")}
        for split in ("train", "heldout")
    }
    assert packages_of == {"train": {"httpcore"}, "heldout": {"s3fs"}}


def test_a_shard_tells_what_its_documents_are(store: Store, tmp_path: Path) -> None:
    recipe = recipe_of_files(tmp_path / "raw", {"web": rows(30)})
    _, whole = through(store, recipe)
    [shard] = whole.shards
    assert shard.facts["domains"] == {"site0.org": 9, "site1.org": 9, "site2.org": 9}
    assert shard.facts["languages"] == {"en": 27}
    assert shard.facts["licenses"] == {"unknown": 27}
    assert shard.facts["lengths"] == {"32": 27}, "all are of 16 to 31 characters"


def test_a_table_is_bounded_and_loses_no_document() -> None:
    tables = Tables()
    for i in range(HELD + 10):
        name = f"https://{'common' if i % 3 == 0 else i}.org/"
        tables.add(Document("id", "text", "web", name, "MIT", "en", "", "{}"))
    domains = tables.facts()["domains"]
    assert len(domains) == 51 and sum(domains.values()) == HELD + 10
    assert domains["common.org"] == len(range(0, HELD + 10, 3)) and domains[OTHER] > HELD // 2


def test_a_url_that_is_none_has_no_domain() -> None:
    urls = ("https://www.Example.org:80/a", "file:///a/b.txt", "pkg/a.py", "http://[::1", "")
    assert [domain(url) for url in urls] == ["example.org", "", "", "", ""]


def test_a_manifest_leads_back_to_ingest(store: Store, tmp_path: Path) -> None:
    recipe = recipe_of_files(tmp_path / "raw", {"web": rows(10)})
    documents, whole = through(store, recipe)
    folders = [a.name for a in (documents["web"].ingested, *documents["web"].decided)]
    assert whole.parents == {"web": folders}
    assert [Artifact.load(store, folder).stage for folder in folders] == ["ingest", "first", "second"]


def test_the_folder_of_the_corpus_is_a_dataset(store: Store, tmp_path: Path) -> None:
    recipe = packages()
    _, whole = through(store, recipe)
    publish_card(recipe, TrainingText(whole))
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    folder = whole.store.path()
    run = subprocess.run(
        [sys.executable, "-c", LOAD, folder], capture_output=True, text=True, env=environment, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["train"] == [whole.counts["documents.train"], SCHEMA.names]
    assert found["heldout"][0] == whole.counts["documents.heldout"]
    assert 0 < found["code"] < found["train"][0]
    card = (Path(folder) / "README.md").read_text()
    assert str(tmp_path) not in card


def test_the_card_says_where_each_source_was_read_from_but_names_no_local_path(
    store: Store, tmp_path: Path
) -> None:
    recipe = recipe_of_files(tmp_path / "raw", {"web": rows(10)})
    values = recipe.model_dump(mode="json", by_alias=True)
    values["corpus"]["sources"]["web"]["urls"] += [
        "https://example.org/a.jsonl",
        "https://example.org/b.jsonl",
    ]
    values["tokenizer"]["compare_with"] = str(tmp_path / "tokenizer.model")
    _, whole = through(store, recipe)
    card = dataset_card(Recipe.model_validate(values), TrainingText(whole))
    assert "- web: `https://example.org/…` of `a.jsonl`, `b.jsonl`; a local path" in card.splitlines()
    assert str(tmp_path) not in card


def test_the_card_says_at_its_top_what_decontamination_left_in_the_training_split(
    store: Store, tmp_path: Path
) -> None:
    question = " ".join(f"question{i}" for i in range(20))
    recipe = recipe_of_files(tmp_path / "raw", {"web": [*rows(9), {"text": f"document 9 {question}"}]})
    _, whole = through(store, recipe)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "quiz.jsonl").write_text(json.dumps({"q": question}) + "\n")
    decided = decontaminated(store, whole, recipe, tmp_path / "data")
    _, head, body = dataset_card(recipe, TrainingText(whole, decided)).split("---\n", 2)
    top = body.split("\n\n| source |")[0]
    assert "1 of 9 training documents share 13 words in a row with an evaluation set (quiz)" in top
    assert "still in the `train` split that `datasets.load_dataset` reads" in top and decided.name in top
    assert sum(question in d.text for d in documents_of(whole, "train.parquet")) == 1, "as the card says"
    assert yaml.safe_load(head)["license"] == "other"


def test_names_that_come_with_the_documents_are_only_words_on_the_card(store: Store, tmp_path: Path) -> None:
    license_ = "MIT\n\n# <script>[a](https://a.org)</script> " + "x" * 500
    recipe = recipe_of_files(tmp_path / "raw", {"web": [row | {"license": license_} for row in rows(3)]})
    _, whole = through(store, recipe)
    [line] = [x for x in dataset_card(recipe, TrainingText(whole)).splitlines() if x.startswith("Licences")]
    shown = MarkdownIt("commonmark").renderInline(line)
    assert "MIT # &lt;script&gt;[a](https://a.org)&lt;/script&gt; x" in shown and "<a" not in shown
    assert len(shown) < 200 and shown.endswith("… (2).")


@pytest.fixture
def paper(store: Store, tmp_path: Path) -> tuple[Recipe, Artifact]:
    """The recipe of the paper's corpus, and a small corpus of sources with the same names."""
    recipe = load_recipe("llama-v1")
    names = sorted(recipe.corpus.sources)
    texts = {name: [{"text": f"document {i} of {name}"} for i in (1, 2)] for name in names}
    return recipe, through(store, recipe_of_files(tmp_path / "raw", texts))[1]


def test_what_the_paper_leaves_open_is_on_the_card_in_words(paper: tuple[Recipe, Artifact]) -> None:
    recipe, whole = paper
    card = dataset_card(recipe, TrainingText(whole))
    lines = [line.removeprefix("- ") for line in card.splitlines()]
    assert recipe.corpus.choices and set(recipe.corpus.choices) <= set(lines)
    open_choices = (
        "which dumps|duplicate lines|language:|perplexity:|the language model|pages like references|"
    )
    open_choices += "licences|Wikipedia:|Books3|28 largest|Of a cluster|Held out|Evaluation sets"
    for what in open_choices.split("|"):
        assert any(what in choice for choice in recipe.corpus.choices), what


def test_words_about_the_choices_change_no_step(store: Store, tmp_path: Path) -> None:
    recipe = recipe_of_files(tmp_path / "raw", {"web": rows(3)})
    said = recipe_of_files(tmp_path / "raw", {"web": rows(3)}, choices=["All three rows are read."])
    assert said.identity() == recipe.identity() and said.execution() != recipe.execution()
    assert through(store, said)[1].id == through(store, recipe)[1].id
    assert Recipe.model_validate(json.loads(said.model_dump_json(by_alias=True))) == said


def test_a_recipe_that_reads_other_sources_says_nothing_of_the_choices_about_those(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    sources = "{notes: {kind: files, urls: [x.txt]}}"
    path.write_text(f"extends: 7b\nname: mine\ncorpus: {{sources: {sources}}}\nmixture: {{notes: 1.0}}\n")
    assert load_recipe(str(path)).corpus.choices == []
    assert load_recipe("7b").corpus.choices == load_recipe("llama-v1").corpus.choices != []


def test_the_card_says_how_the_recipe_decided_what_the_paper_leaves_open(
    store: Store, tmp_path: Path
) -> None:
    recipe = recipe_of_files(tmp_path / "raw", {"web": rows(10)})
    values = recipe.model_dump(mode="json", by_alias=True)
    values["corpus"]["sources"]["web"]["clean"] |= {
        "lines": {"shards": 7, "group_shards": 3},
        "filters": {"c4": {"min_line_words": 4}, "fineweb": True},
        "pii": {"email": True},
    }
    _, whole = through(store, recipe)
    card = dataset_card(Recipe.model_validate(values), TrainingText(whole))
    row = next(line for line in card.splitlines() if line.startswith("| web |") and "lines" in line)
    assert "lines (shards 7, group_shards 3)" in row
    assert "filters (c4 (min_line_words 4, min_sentences 3, end_marks" in row and "fineweb)" in row
    assert "pii (email)" in row and "gopher" not in row
    assert "Decontamination: not run (no evaluation sets were given)." in card
    assert "14" in next(line for line in card.splitlines() if line.startswith("- Duplicates"))
