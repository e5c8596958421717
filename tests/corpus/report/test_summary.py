"""What terminal and Prefect show of a corpus: lines that work when they are typed, texts that stay quoted."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from corpus.stages import Decide, decide_all, finish, ingest_recipe, recipe_of_files
from markdown_it import MarkdownIt

from llama_core.artifact import Artifact
from llama_core.corpus.decisions import Decision
from llama_core.corpus.documents import Documents
from llama_core.corpus.report.card import publish_card
from llama_core.corpus.report.page import page
from llama_core.corpus.report.summary import load_line, source_summary, where_to_look
from llama_core.corpus.training_text import TrainingText
from llama_core.store import Store

# Ends at once: some threads of `datasets` that stream now and then abort an interpreter that is ending.
READ = "import datasets, os; print([row['text'] for row in {}], flush=True); os._exit(0)"


def made(store: Store, folder: Path, texts: list[str]) -> tuple[Documents, Artifact]:
    recipe = recipe_of_files(folder, {"web": [{"text": text, "license": "MIT"} for text in texts]})
    documents = ingest_recipe(store, recipe)
    decide: Decide = lambda d: Decision(d.id, "not_wanted" if "drop" in d.text else "")  # noqa: E731
    documents["web"] = documents["web"].after(decide_all(store, "quality", documents, decide))
    corpus = finish(store, documents, recipe)
    publish_card(recipe, TrainingText(corpus))
    store.publish_bytes("page.html", page(recipe, documents.values(), TrainingText(corpus)).encode())
    return documents["web"], corpus


@pytest.fixture
def texts() -> list[str]:
    return ["the first text", "to be dropped", "the second text"]


@pytest.mark.slow
def test_the_lines_that_are_shown_work_as_they_are(store: Store, tmp_path: Path, texts: list[str]) -> None:
    spaced = Store(str(tmp_path / "a store"))
    _, corpus = made(spaced, tmp_path / "raw", texts)
    lines = dict(
        line.split(maxsplit=1) for line in where_to_look(spaced.url_of("page.html"), TrainingText(corpus))
    )
    assert list(lines) == ["page", "card", "read", "trace"]
    assert Path(lines["page"].removeprefix("file://")).is_file()
    python = [sys.executable, "-c", READ.format(lines["read"])]
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    shown = subprocess.run(python, capture_output=True, text=True, check=True, env=offline).stdout
    assert shown == "['the first text', 'the second text']\n"
    python, *arguments = shlex.split(lines["trace"])
    traced = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout
    assert "the first text" in traced and "quality" in traced


def test_a_corpus_that_lies_elsewhere_is_read_by_its_files(tmp_path: Path, texts: list[str]) -> None:
    _, corpus = made(Store("memory://elsewhere/store"), tmp_path / "raw", texts)
    rows = eval(load_line(corpus), {"datasets": __import__("datasets")})
    assert [row["text"] for row in rows] == ["the first text", "the second text"]


def test_a_corpus_without_training_documents_has_nothing_to_trace(store: Store, tmp_path: Path) -> None:
    _, corpus = made(store, tmp_path / "raw", ["to be dropped"])
    assert [line.split()[0] for line in where_to_look("page.html", TrainingText(corpus))] == [
        "page",
        "card",
        "read",
    ]


def test_a_summary_shows_texts_that_cannot_leave_their_place(store: Store, tmp_path: Path) -> None:
    hostile = "```\n````\n# a title\n<script>alert(1)</script> [link](https://a.org)"
    web, corpus = made(store, tmp_path / "raw", [f"{hostile} kept", f"{hostile} dropped"])
    summary = source_summary(web, TrainingText(corpus))
    assert "Licences: MIT (1)." in summary and "## Kept" in summary and "## Left out" in summary
    tokens = MarkdownIt("commonmark").parse(summary)
    assert [t.content for t in tokens if t.type == "inline"] == ["Licences: MIT (1).", "Kept", "Left out"]
    fenced = [t.content for t in tokens if t.type == "fence"]
    assert len(fenced) == 2 and all(hostile in text for text in fenced)
    assert "quality: not wanted" in fenced[1]
