"""From a document to its raw file and every decision about it, and from a snippet to its documents."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from corpus.stages import decide_all, decontaminated, finish, ingest_recipe, recipe_of_files

from llama_core.artifact import Artifact
from llama_core.corpus.decisions import Cut, Decision
from llama_core.corpus.document import Document, read_documents
from llama_core.corpus.trace import find_text, main, open_corpus, told, trace
from llama_core.errors import InputError
from llama_core.store import Store

QUESTION = " ".join(f"question{i}" for i in range(20))


def clean(document: Document) -> Decision:
    """Cut the first word of all, and drop what is short."""
    if len(document.text) < 20:
        return Decision(document.id, "short", {"chars": len(document.text), "language": "en"}, [], "en")
    end = document.text.index(" ") + 1
    return Decision(document.id, "", {"score": 0.5}, [Cut(0, end, "* ")], "en")


def dedup(document: Document) -> Decision:
    if "again" in document.text:
        return Decision(document.id, "near", {"kept": "0" * 32, "similarity": 0.9})
    return Decision(document.id)


@pytest.fixture
def corpus(store: Store, tmp_path: Path) -> Artifact:
    """Two sources through two stages of decisions and decontamination."""
    texts = [
        "gone too short",
        "cut and then kept as it is",
        "cut and dropped again in the end",
        f"cut {QUESTION}",
    ]
    sources = {"web": [{"text": t, "url": f"https://a.org/{i}"} for i, t in enumerate(texts)]}
    sources["books"] = [{"text": "a whole book, which is kept"}]
    recipe = recipe_of_files(tmp_path / "raw", sources)
    documents = ingest_recipe(store, recipe)
    for stage, decide in (("clean", clean), ("dedup", dedup)):
        artifact = decide_all(store, stage, documents, decide)
        documents = {name: d.after(artifact) for name, d in documents.items()}
    whole = finish(store, documents, recipe)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "quiz.jsonl").write_text(json.dumps({"q": QUESTION}) + "\n")
    decontaminated(store, whole, recipe, tmp_path / "data")
    return whole


def ids(store: Store, corpus: Artifact) -> list[str]:
    ingested = Artifact.load(store, corpus.parents["web"][0])
    return [d.id for s in ingested.shards for d in read_documents(ingested, s.name)]


def test_a_document_leads_to_its_raw_file_and_to_every_decision_about_it(
    store: Store, corpus: Artifact, tmp_path: Path
) -> None:
    short, kept, near, contaminated = (trace(store, corpus, i) for i in ids(store, corpus))
    assert kept.place.shard.facts["url"] == f"file://{tmp_path}/raw/web.jsonl"
    decisions = [[(j.artifact.stage, j.decision.reason) for j in t.judged] for t in (short, kept, near)]
    assert decisions[0] == [("clean", "short")]
    assert decisions[1] == [("clean", ""), ("dedup", "")]
    assert decisions[2] == [("clean", ""), ("dedup", "near")]
    assert [t.corpus is not None for t in (short, kept, near, contaminated)] == [False, True, False, True]
    assert [j.decision.reason for t in (kept, contaminated) for j in t.contaminated] == ["", "contaminated"]


def test_what_a_person_reads_names_reasons_evidence_and_cuts(store: Store, corpus: Artifact) -> None:
    short, kept, near, contaminated = ("\n".join(told(trace(store, corpus, i))) for i in ids(store, corpus))
    assert "url        https://a.org/1" in kept
    assert "record     1 of it, from 0" in kept and "record     2 of it" in near
    assert re.search(r"\n  offset     \d\d bytes into the file as it lies\n", kept) and "meta" not in kept
    assert (
        re.search(r"\n  source     web.*\n  text       26 characters: 'cut and", kept)
        and "\n    language en\n" in kept
    )
    assert short.count("language") == 1, "of the decision, and not of its evidence again"
    assert "cut 0 to 4: 'cut ' -> '* '" in kept
    assert "score 0.5" in kept and "language en" in kept
    assert re.search(rf"\n{corpus.name} +web\..*, train, row 1$", kept, re.MULTILINE)
    assert "dropped: near" in near and "similarity 0.9" in near and "it is not in it" in near
    assert "dropped: contaminated" in contaminated and '"benchmark": "quiz"' in contaminated


def test_a_snippet_leads_to_the_documents_of_the_corpus_that_hold_it(corpus: Artifact) -> None:
    [hit] = find_text(corpus, "kept as it is", 10)
    assert (hit.source, hit.split, hit.url) == ("web", "train", "https://a.org/1")
    assert hit.around == "* and then kept as it is"
    assert [h.source for h in find_text(corpus, "kept", 10)] == ["books", "web"]
    assert len(find_text(corpus, "kept", 1)) == 1
    assert find_text(corpus, "dropped again", 10) == [], "it was dropped"
    assert find_text(corpus, "k.pt", 10) == [], "no regular expression"
    with pytest.raises(InputError, match="not UTF-8"):
        find_text(corpus, "caf\udce9", 10)


def test_the_command_takes_a_store_or_a_corpus(
    store: Store, corpus: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = ids(store, corpus)[1]
    for url in (store.url, corpus.url):
        assert main([url, "--id", kept]) == 0
        assert "https://a.org/1" in capsys.readouterr().out
    assert main([store.url, "--text", "whole book"]) == 0
    assert "1 documents" in capsys.readouterr().out
    assert main([store.url, "--text", "not there"]) == 1
    assert main([store.url, "--id", "0" * 32]) == 2
    assert "no document" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(store: Store, corpus: Artifact) -> None:
    command = [sys.executable, "-m", "llama_core.corpus.trace", corpus.url, "--text", "whole book"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_one_source_is_read_where_it_is_named(
    store: Store, corpus: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = ids(store, corpus)[1]
    assert trace(store, corpus, kept, "web").document.id == kept
    assert [h.source for h in find_text(corpus, "kept", 10, "web")] == ["web"]
    books = Artifact.load(store, corpus.parents["books"][0])
    for shard in books.shards:
        for entry in shard.objects:
            Path(books.store.path(entry.name)).unlink()
    assert main([store.url, "--id", kept, "--source", "web"]) == 0, "no other source is opened"
    assert main([store.url, "--text", "kept", "--source", "books"]) == 0
    for what in (("--id", kept), ("--text", "kept")):
        assert main([store.url, *what, "--source", "wiki"]) == 2
        assert "has no source wiki: its sources are books, web" in capsys.readouterr().err


def test_a_hit_that_decontamination_left_out_says_so(
    store: Store, corpus: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([store.url, "--text", "question1 question2"]) == 0
    head, left_out, around, count, hint = capsys.readouterr().out.splitlines()
    assert (
        head.startswith(ids(store, corpus)[3]) and "question3" in around and count.startswith("1 documents")
    )
    assert re.fullmatch(r"    left out of training by decontaminate/\w+: contaminated", left_out)
    assert "--id" in hint
    assert main([store.url, "--text", "kept as it is"]) == 0
    assert "left out" not in capsys.readouterr().out


def test_a_store_without_a_corpus_is_an_error(store: Store) -> None:
    with pytest.raises(InputError, match="no corpus"):
        open_corpus(store.url)


def test_another_stage_is_no_corpus(store: Store, corpus: Artifact) -> None:
    with pytest.raises(InputError, match="is no corpus"):
        open_corpus(f"{store.url}/{corpus.parents['web'][0]}")
