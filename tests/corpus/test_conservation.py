"""Nothing is lost from raw text to tokens, in sources that merge, split and hold more than text.

A run of the flow `tokens`: posts that merge into documents, bundles that hold several papers, dumps with
redirects and files without text, lines and copies that are dropped, a passage of an evaluation set.
"""

import io
import json
import random
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from corpus.helpers import is_conserved
from pipeline import Pipeline
from unorchestrated import leave_prefect_out

from llama_core.artifact import Artifact
from llama_core.corpus.report.balance import StageBalance, source_balances
from llama_core.corpus.trace import find_text, sources_of
from llama_core.corpus.training_text import TrainingText

NOUNS = ["river", "garden", "window", "teacher", "market", "bridge", "letter", "winter", "kitchen", "forest"]
VERBS = ["follows", "carries", "watches", "remembers", "paints", "repairs", "crosses", "answers", "finds"]
PLACES = ["near the old station", "in the early morning", "without a word", "behind the house"]
QUESTION = (
    "The baker who lives over the small shop counts every loaf that leaves the oven before the sun is up."
)
MENU = "Home page and contact of the village news, all rights reserved."


def prose(seed: int, sentences: int = 12) -> str:
    """English enough for a language model, and different for each seed."""
    pick = random.Random(seed)
    made = (
        f"The {pick.choice(NOUNS)} {pick.choice(VERBS)} the {pick.choice(NOUNS)} {pick.choice(PLACES)}, and "
        f"the {pick.choice(NOUNS)} of the {pick.choice(NOUNS)} {pick.choice(VERBS)} it."
        for _ in range(sentences)
    )
    return " ".join(made)


def write_web(path: Path) -> None:
    german = (
        "Der Bäcker zählt jeden Morgen die Brote, die aus dem Ofen kommen, und der Nachbar sieht ihm zu. "
    )
    rows: list[dict[str, Any]] = [
        {"text": f"{MENU}\n{prose(i)}\nAsk {'abcdefghijklmnopqrst'[i]}.seller@bakery.org."} for i in range(20)
    ]
    rows += [
        {"text": prose(100)},
        {"text": f"{prose(100)} And so on."},
        {"text": german * 6},
        {"text": "short"},
    ]
    rows += [{"text": f"{prose(500 + i)} {QUESTION} {prose(600 + i)}"} for i in range(6)] + [{"no": "text"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"text": "cu')


def write_posts(path: Path) -> None:
    """Two questions with three answers, in any order; and what is no post of a document."""
    body = f"&lt;p&gt;{prose(200)}&lt;/p&gt;"
    rows = [
        f'Id="1" PostTypeId="1" Score="3" Title="Bread?" Body="{body}"',
        f'Id="2" PostTypeId="2" ParentId="1" Score="9" Body="{body}"',
        f'Id="3" PostTypeId="2" ParentId="4" Score="1" Body="{body}"',
        f'Id="4" PostTypeId="1" Score="0" Title="Rolls?" Body="{prose(201)}"',
        f'Id="5" PostTypeId="2" ParentId="1" Score="10" Body="{prose(202)}"',
        f'Id="6" PostTypeId="2" ParentId="99" Score="1" Body="{body}"',
        'Id="7" PostTypeId="2" ParentId="1" Score="1" Body=""',
        'Id="8" PostTypeId="1" Score="1" Title="Eh?" Body="What?"',
        'Id="9" PostTypeId="5" Body="wiki"',
        'Id="x" PostTypeId="1" Body="bad"',
    ]
    path.write_text("<posts>\n" + "".join(f"<row {row} />\n" for row in rows) + "</posts>\n")


def tar_of(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz" if len(files) > 2 else "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def write_papers(path: Path) -> None:
    """A tar of two bundles: one paper of two files among others, and two papers in one."""

    def paper(title: str, body: str) -> bytes:
        head = f"\\documentclass{{article}}\n\\title{{{title}}}\n\\begin{{document}}\n\\section{{One}}\n"
        return f"{head}{body}\n\\end{{document}}\n".encode()

    one = {
        "main.tex": paper("Ovens", f"{prose(300)}\n\\input{{part}}"),
        "part.tex": prose(301).encode(),
        "unused.tex": prose(302).encode(),
        "oven.png": b"\x89PNG",
        "ovens.bbl": b"\\begin{thebibliography}{1}\\end{thebibliography}",
    }
    two = {"a.tex": paper("A", prose(303)), "b.tex": paper("B", prose(304)), "c.pdf": b"%PDF-1.4"}
    path.write_bytes(tar_of({"2301/2301.00001.gz": tar_of(one), "2301/2301.00002.gz": tar_of(two)}))


def write_wiki(path: Path) -> None:
    def page(number: int, title: str, text: str, ns: int = 0, redirect: str = "") -> str:
        return (
            f"<page><title>{title}</title><ns>{ns}</ns><id>{number}</id>{redirect}<revision><id>{number}</id>"
            f"<timestamp>2022-06-02T12:00:00Z</timestamp><model>wikitext</model>"
            f'<text bytes="{len(text)}">{text}</text></revision></page>'
        )

    pages = [
        page(1, "Oven", f"An '''oven''' is a [[tool]]. {prose(400)}"),
        page(2, "Kiln", "#REDIRECT [[Oven]]", redirect='<redirect title="Oven" />'),
        page(3, "Talk:Oven", prose(401), ns=1),
        page(4, "Stub", "Short."),
        page(5, "Copy of a paper", prose(300) + " " + prose(301)),
    ]
    head = '<mediawiki xml:lang="en"><siteinfo><dbname>enwiki</dbname></siteinfo>'
    path.write_text(f"{head}{''.join(pages)}</mediawiki>")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, str]:
    """The flow's store, and what the terminal shows. The flow is run here: Prefect adds nothing to it."""
    folder = tmp_path_factory.mktemp("conservation")
    data = folder / "evaldata" / "bread"
    data.mkdir(parents=True)
    (data / "test.jsonl").write_text(json.dumps({"question": QUESTION, "choices": ["Yes.", "No."]}) + "\n")
    files = {
        "web": ("files", "web.jsonl", write_web),
        "stackexchange": ("stackexchange", "bread.stackexchange.com-Posts.xml", write_posts),
        "arxiv": ("arxiv", "arXiv_src_2301_001.tar", write_papers),
        "wikipedia": ("wikipedia", "enwiki-20220601-pages-articles.xml", write_wiki),
    }
    sources: dict[str, Any] = {}
    for name, (kind, file, write) in files.items():
        write(folder / file)
        sources[name] = {"kind": kind, "urls": [str(folder / file)], "min_chars": 100}
    sources["web"]["clean"] = {
        "lines": {"shards": 1, "group_shards": 1},
        "language": {"keep": ["en"]},
        "filters": {"gopher_quality": True},
        "pii": {"email": True},
    }
    recipe = {
        "extends": "micro",
        "name": "conservation",
        "corpus": {"sources": sources, "holdout_fraction": 0.2},
        "mixture": dict.fromkeys(sources, 0.25),
        "evaluate": {"data": str(data.parent)},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    pipeline = Pipeline(folder / "home", f"file://{folder}/store")
    with pytest.MonkeyPatch.context() as patch:
        said = leave_prefect_out(patch)
        from flows.tokens import tokens  # here, since Prefect takes seconds to import

        tokens(str(folder / "recipe.yaml"), {"run.workers": 1}, pipeline.store_url)
    return pipeline, "\n".join(said)


@pytest.fixture(scope="module")
def balances(run: tuple[Pipeline, str]) -> dict[str, list[StageBalance]]:
    pipeline, _ = run
    corpus, decided = pipeline.artifact("corpus"), pipeline.artifact("decontaminate")
    return {
        d.source: source_balances(d, TrainingText(corpus, decided))
        for d in sources_of(pipeline.store, corpus)
    }


def ingested(run: tuple[Pipeline, str]) -> dict[str, Artifact]:
    artifacts = run[0].artifacts()["ingest"]
    return {a.shards[0].facts["source"]: a for a in artifacts}


def test_every_raw_record_is_in_a_document_or_has_a_reason(run: tuple[Pipeline, str]) -> None:
    counts = {source: Counter(artifact.counts) for source, artifact in ingested(run).items()}
    for source, artifact in ingested(run).items():
        assert all(is_conserved(shard.counts) for shard in artifact.shards), (source, counts[source])
    posts, papers, pages, web = (counts[s] for s in ("stackexchange", "arxiv", "wikipedia", "web"))
    assert (posts["raw"], posts["documents"], posts["members"]) == (10, 2, 5), "a question with its answers"
    assert (papers["raw"], papers["documents"], papers["members"]) == (8, 3, 4), (
        "one of two files, two of one"
    )
    assert (papers["non_content.figure"], papers["non_content.bibliography"]) == (2, 1)
    assert papers["dropped.unused_file"] == 1
    assert (pages["raw"], pages["documents"]) == (5, 2)
    assert (web["raw"], web["documents"]) == (32, 29)
    assert web["dropped.too_short"] == web["quarantined.no_text"] == 1


def test_every_stage_gets_what_the_one_before_passed_on_and_accounts_for_it(
    balances: dict[str, list[StageBalance]],
) -> None:
    for source, found in balances.items():
        [corpus] = [b for b in found if b.stage == "corpus"]
        last = "decontaminate" if corpus.passed_on else "corpus"  # a few documents may all be held out
        assert found[0].stage == "ingest" and found[-1].stage == last
        for balance in found:
            assert balance.holds, (source, balance)
    stages = [b.stage for b in balances["web"]]
    assert stages == ["ingest", "lines", "quality", "dedup", "corpus", "decontaminate"]


def test_every_shard_of_every_stage_is_conserved_by_itself(run: tuple[Pipeline, str]) -> None:
    pipeline, _ = run
    corpus, decided = pipeline.artifact("corpus"), pipeline.artifact("decontaminate")
    for documents in sources_of(pipeline.store, corpus):
        for shard in documents.shards:
            came = shard.counts["documents"]
            for artifact in (*documents.decided, corpus, decided):
                for found in documents.about(artifact, shard.name):
                    counts = Counter(found.counts)
                    kept = sum(v for k, v in counts.items() if k.startswith("kept"))
                    dropped = sum(v for k, v in counts.items() if k.startswith("dropped."))
                    if artifact is corpus:
                        kept, aside = counts["documents.train"], counts["documents.heldout"]
                        assert came == counts["documents"] == kept + aside
                    else:
                        assert came == counts["documents"] == kept + dropped, (artifact.stage, shard.name)
                    came = kept
            tokens = pipeline.artifact("tokens")
            for found in documents.about(tokens, shard.name):
                assert found.counts["documents"] == came, ("tokens", shard.name)
                assert found.object(".bin").size == 2 * found.counts["tokens"]


def test_each_reason_to_drop_has_found_what_was_put_there_for_it(
    balances: dict[str, list[StageBalance]],
) -> None:
    dropped = {b.stage: b.lost for b in balances["web"]}
    assert dropped["quality"]["language_other"] == 1, dropped
    assert sum(dropped["dedup"].values()) == 1, "a text that is nearly another"
    copies = [b.lost for found in balances.values() for b in found if b.stage == "dedup"]
    assert sum(sum(lost.values()) for lost in copies) == 2, "and an article that is a paper's text"
    assert 0 < dropped["decontaminate"]["contaminated"] <= 6, "those that are not held out"


def test_what_was_cut_is_in_no_text_of_the_corpus(run: tuple[Pipeline, str]) -> None:
    corpus = run[0].artifact("corpus")
    assert not find_text(corpus, MENU, 9), "a line in every page"
    assert not find_text(corpus, "@bakery.org", 9), "an address"
    assert len(find_text(corpus, "Ask ", 99)) == 20


def test_the_terminal_shows_every_stage_and_what_decontamination_found(run: tuple[Pipeline, str]) -> None:
    _, output = run
    for label in (
        "ingest arxiv",
        "lines web",
        "quality web",
        "dedup",
        "corpus",
        "decontaminate",
        "corpus page",
    ):
        assert f"\n  {label} " in f"\n{output}", output
    assert "share 13 words in a row with 1 evaluation sets" in output


def test_the_page_of_such_a_corpus_says_that_the_sums_hold(run: tuple[Pipeline, str]) -> None:
    artifact = run[0].artifact("corpus_page")
    text = artifact.read(artifact.shard("page").object(".html")).decode()
    assert text.count("<svg") == 4 and "DOES NOT HOLD" not in text and "NaN" not in text
    assert "unused file 1" in text and "orphan answer 1" in text
