"""Texts to be read: of every reason, of every stage, and what was cut out of those that were kept."""

from collections import Counter
from pathlib import Path

from corpus.report.made import Made, cleaned
from corpus.stages import decide_all, finish, ingest_recipe, keep, recipe_of_files

from llama_core.corpus.decisions import Decision
from llama_core.corpus.document import Document
from llama_core.corpus.report.excerpts import DROPPED_TEXTS, cut_texts, dropped_texts, quarantined
from llama_core.corpus.report.page import page
from llama_core.corpus.training_text import TrainingText
from llama_core.store import Store


def test_a_text_of_each_reason_is_shown(made: Made) -> None:
    _, [web, books], text = made
    shown = [(e.what.split(" (")[0], e.text[:8]) for e in dropped_texts(web, text)]
    assert ("quality: not wanted", "document") in shown
    assert ("decontaminate: contaminated", "quoted q") in shown
    assert dropped_texts(books, text) == []


def test_many_reasons_of_one_stage_hide_none_of_another(store: Store, tmp_path: Path) -> None:
    texts = [f"text {i} of some length" for i in range(40)]
    recipe = recipe_of_files(tmp_path / "raw", {"web": [{"text": text} for text in texts]})
    web = ingest_recipe(store, recipe)["web"]

    def many(document: Document) -> Decision:
        number = int(document.text.split()[1])
        reason = f"r{number}" if number < 20 else "most" if number < 30 else ""
        return Decision(document.id, reason)

    def last(document: Document) -> Decision:
        return Decision(document.id, "rare" if document.text.startswith("text 39 ") else "")

    web = cleaned(store, "perplexity", cleaned(store, "quality", web, many), last)
    text = TrainingText(finish(store, {"web": web}, recipe))
    shown = [e.what.split(" (")[0] for e in dropped_texts(web, text)]
    assert len(shown) == DROPPED_TEXTS and shown[-1] == "perplexity: rare"
    assert shown[0] == "quality: most", "the most frequent first"


def test_what_was_left_out_is_said_where_no_text_of_it_is_there(store: Store, tmp_path: Path) -> None:
    texts = {
        "all": [{"text": "a text of some length"}],
        "less": [{"text": "another text"}, {"text": "short"}],
    }
    recipe = recipe_of_files(tmp_path / "raw", texts)
    (tmp_path / "raw" / "less.jsonl").open("a").write("{no json\n" * 5 + "[1]\n")
    documents = ingest_recipe(store, recipe)
    documents = {n: d.after(decide_all(store, "dedup", documents, keep)) for n, d in documents.items()}
    sources = list(documents.values())
    text = page(recipe, sources, TrainingText(finish(store, documents, recipe)))
    of_all, of_less = text.split("<h2>all</h2>")[1].split("<h2>less</h2>")
    assert "Nothing was left out." in of_all and "Could not be read" not in of_all
    assert "Nothing was left out." not in of_less and "<th>error</th>" in of_less
    rows = quarantined(documents["less"])
    assert sum(row["record"].endswith(tuple(f"#{n}" for n in range(2, 8))) for row in rows) == len(rows)
    assert Counter(row["error"] for row in rows)[rows[0]["error"]] == 3 < 5, "some of each error"


def test_the_page_shows_what_was_cut_out_of_texts_that_were_kept(made: Made) -> None:
    _, [web, books], _ = made
    [shown] = cut_texts(web)
    assert shown.what.startswith("quality: https://a.org/")
    assert shown.text == "'document' → '[was cut]'"
    assert cut_texts(books) == []
