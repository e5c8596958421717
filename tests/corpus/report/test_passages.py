"""The corpus page: sums that hold, pictures, and texts to be read; whatever the texts hold."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from corpus.stages import Decide, decide_all, decontaminated, finish, ingest_recipe, keep, recipe_of_files

from llama_core.corpus.clean.decide import decide_shard
from llama_core.corpus.decisions import Cut, Decision
from llama_core.corpus.document import Document
from llama_core.corpus.documents import Documents
from llama_core.corpus.report.page import bars, page, table
from llama_core.corpus.report.passages import (
    DROPPED_TEXTS,
    StageBalance,
    balance,
    cut_texts,
    dropped_texts,
    passage,
    passages,
    quarantined,
    size,
)
from llama_core.corpus.report.picture import picture
from llama_core.corpus.training_text import TrainingText
from llama_core.phases import execute, one_phase
from llama_core.recipe import Recipe
from llama_core.step import Artifact, Step
from llama_core.store import Store

HOSTILE = "<script>alert(1)</script>\x00\x1b[31m & 'quoted' \"text\" \u202e ]]>"
QUESTION = " ".join(f"question{i}" for i in range(20))
ELEMENTS = {"html", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "div", "pre", "code", "i"}
ELEMENTS |= {"table", "tr", "th", "td", "svg", "text", "rect", "path", "circle"}
Made = tuple[Recipe, list[Documents], Artifact, Artifact]


def judge(document: Document) -> Decision:
    cuts = [Cut(0, 8, "[was cut]")] if document.text.startswith("document 7 ") else []
    return Decision(document.id, "not_wanted" if "drop" in document.text else "", cuts=cuts)


def cleaned(store: Store, stage: str, documents: Documents, decide: Decide) -> Documents:
    """After a stage of cleaning, which keeps samples of what it drops."""
    step = Step(store, stage, 1, {}, {documents.source: documents})

    def work(name: str) -> None:
        decide_shard(step, name, ((d, decide(d)) for d in documents.read(name)))

    return documents.after(execute(step, one_phase({s.name: s.name for s in documents.shards}, work)))


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Made:
    """A corpus with texts that were dropped and a text that is hostile."""
    texts = [f"quoted {QUESTION}", f"{HOSTILE} kept"]
    texts += [f"document {i} to be {'dropped' if i % 4 == 0 else 'kept'} here" for i in range(20)]
    texts += [f"{HOSTILE} dropped"]
    rows = [{"text": text.replace("\0", ""), "url": f"https://a.org/{HOSTILE}"} for text in texts]
    recipe = recipe_of_files(tmp_path / "raw", {"web": [*rows, {"text": "short"}], "books": rows[3:5]})
    documents = ingest_recipe(store, recipe)
    for stage, decide in (("quality", judge), ("dedup", keep)):
        artifact = decide_all(store, stage, documents, decide)
        documents = {name: d.after(artifact) for name, d in documents.items()}
    corpus = finish(store, documents, recipe)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "quiz.jsonl").write_text(json.dumps({"q": QUESTION}) + "\n")
    return recipe, list(documents.values()), corpus, decontaminated(store, corpus, recipe, tmp_path / "data")


class Checker(HTMLParser):
    """Fails on an element that is not closed, and collects those that there are."""

    VOID = {"meta", "rect", "circle", "path", "br"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] != tag:
            assert (last := self.open.pop()) in self.VOID | {"html"}, (
                f"<{last}> is not closed before </{tag}>"
            )
        assert self.open.pop() == tag


def test_the_way_of_a_source_is_conserved_from_stage_to_stage(made: Made) -> None:
    _, [web, _], corpus, decided = made
    way = passages(web, TrainingText(corpus, decided))
    assert [(p.stage, p.into, p.handed) for p in way] == [
        ("ingest", 24, 23),
        ("quality", 23, 17),
        ("dedup", 17, 17),
        ("corpus", 17, 17),
        ("decontaminate", 17, 16),
    ]
    assert all(p.holds for p in way)
    assert way[1].lost == {"not_wanted": 6} and way[4].lost == {"contaminated": 1}
    assert way[2].bytes_out == way[3].bytes_out > way[4].bytes_out


def test_a_sum_that_does_not_hold_is_said() -> None:
    lost = StageBalance("quality", 10, 8, 8, {"a": 1})
    on_the_way = StageBalance("dedup", 7, 7, 7, came=8)
    fine = StageBalance("corpus", 7, 6, 6, aside=1, came=7)
    rows = [row["balance"] for row in balance([lost, on_the_way, fine])]
    assert rows == ["DOES NOT HOLD", "DOES NOT HOLD", "holds"]


def test_a_stage_that_passes_no_documents_on_has_no_balance() -> None:
    assert passage("tokens", {"documents": 3, "tokens": 99}) is None
    assert passage("tokenizer", {}) is None


def test_the_page_shows_what_was_kept_and_what_was_left_out(made: Made) -> None:
    recipe, sources, corpus, decided = made
    text = page(recipe, sources, TrainingText(corpus, decided))
    assert text.count("<svg") == 2 and "DOES NOT HOLD" not in text
    kept, left = text.split("<h3>Kept</h3>")[1].split("<h3>Left out</h3>")[:2]
    assert "document 1 to be kept" in kept and "to be dropped" not in kept and "quoted q" not in kept
    assert "document 0 to be dropped" in left and "quality: not wanted" in left
    assert "a.org" in text and "1 of 19 training documents share 13 words" in text
    assert "quiz" in text and "question3 question4" in text


def test_the_page_shows_what_was_cut_out_of_texts_that_were_kept(made: Made) -> None:
    _, [web, books], _, _ = made
    [shown] = cut_texts(web)
    assert shown.what.startswith("quality: https://a.org/")
    assert shown.text == "'document' → '[was cut]'"
    assert cut_texts(books) == []


def test_other_counts_of_a_stage_are_told_with_its_balance() -> None:
    counts = {"documents": 3, "kept.train": 3, "bytes": 9, "language.en": 2, "masks.email": 7}
    stage = passage("quality", counts)
    assert stage is not None and balance([stage])[0]["counted"] == "masks email 7, language en 2"


def test_texts_and_urls_cannot_leave_their_place_on_the_page(made: Made) -> None:
    recipe, sources, corpus, decided = made
    text = page(recipe, sources, TrainingText(corpus, decided))
    assert "<script" not in text and "&lt;script&gt;" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", text)
    checker = Checker()
    checker.feed(text)
    assert checker.seen <= ELEMENTS


def test_a_text_of_each_reason_is_shown(made: Made) -> None:
    _, [web, books], corpus, decided = made
    training = TrainingText(corpus, decided)
    shown = [(e.what.split(" (")[0], e.text[:8]) for e in dropped_texts(web, training)]
    assert ("quality: not wanted", "document") in shown
    assert ("decontaminate: contaminated", "quoted q") in shown
    assert dropped_texts(books, training) == []


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
    training = TrainingText(finish(store, {"web": web}, recipe))
    shown = [e.what.split(" (")[0] for e in dropped_texts(web, training)]
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


def test_a_picture_is_whole_whatever_the_numbers() -> None:
    reasons = {f"reason_{i}_with_a_name_that_is_long": 10**9 + i for i in range(20)}
    empty = StageBalance("ingest", 0, 0, 0)
    most_lost = StageBalance("quality", sum(reasons.values()) + 1, 1, 1, reasons)
    grown = [
        StageBalance("ingest", 9, 9, 9, bytes_out=5),
        StageBalance("quality", 9, 9, 9, bytes_out=8),
    ]  # by masks
    for way in ([], [empty], [empty] * 9, [most_lost, StageBalance("corpus", 1, 0, 0, aside=1)], grown):
        drawn = picture(way)
        quoted = re.sub(r"(\w+)=([^\s'\"/>]+)", r"\1='\2'", drawn)
        svg = ElementTree.fromstring(quoted)
        height = float(svg.get("viewBox", "").split()[3])
        assert all(float(text.get("y", "0")) <= height for text in svg.iter("text"))
        assert "nan" not in drawn.lower() and "inf" not in drawn.lower().replace("info", "")
    assert "14 more: " in picture([most_lost]) and "…" in picture([most_lost])


def test_the_picture_shows_text_that_was_cut_out_of_documents_that_all_go_on() -> None:
    read = StageBalance("ingest", 10, 10, 10, bytes_out=1_000_000)
    cut = StageBalance("lines", 10, 10, 10, bytes_out=300_000)
    keys = StageBalance("dedup", 10, 9, 9, {"near": 1})  # counts no text
    held = StageBalance("corpus", 9, 8, 8, aside=1, bytes_out=200_000)
    drawn = picture([read, cut, keys, held])
    assert "1 MB → 300 kB" in drawn and "left out or cut: 700 kB" in drawn
    assert "300 kB → 200 kB" in drawn and "held out: 100 kB" in drawn
    heights = [float(h) for h in re.findall(r"class=node [^>]*height='([\d.]+)'", drawn)]
    documents, text = heights[:4], heights[4:]
    assert documents[0] == documents[1] and text[1] == pytest.approx(0.3 * text[0], abs=0.1)
    assert "of text" not in picture([StageBalance("ingest", 10, 10, 10, bytes_out=0)]), "no text, no band"


def test_tables_of_nothing_are_drawn() -> None:
    assert table([]) == "<p>None.</p>" and bars([]).startswith("<table")
    assert "<td></td>" in table([{"a": "1", "b": "2"}, {"a": "3"}]), "a row without a column"


def test_sizes_are_read_by_people() -> None:
    sizes = [size(n) for n in (0, 999, 1000, 12_345, 999_400, 1_400_000_000, 5 * 10**12)]
    assert sizes == ["0 B", "999 B", "1 kB", "12.3 kB", "999 kB", "1.4 GB", "5 TB"]
