"""What each source makes of its public format. Text may change only together with ingest's REVISION."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import seven_sources
from corpus import papers
from corpus.fuzz.parsers import FORMULAS, HTML_POST, WIKITEXT
from corpus.helpers import documents_of

from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.markup.html import to_text
from llama_core.corpus.markup.latex.paper import read_paper
from llama_core.corpus.markup.webpage.extract import extract
from llama_core.corpus.markup.wikitext.page import read_page
from llama_core.recipes.load import load_recipe

GOLDEN = {
    ("arxiv", 8): "dbeecf75e38c5a08",
    ("books", 8): "905da510804c48e9",
    ("c4", 8): "e3e08ecd42dbb90c",
    ("commoncrawl", 8): "d9ef45e94916dad4",
    ("github", 8): "ee0d966342957d8d",
    ("stackexchange", 8): "72d645cce5e7adb1",
    ("wikipedia", 8): "e36c71d4eadb797c",
}
MARKUP = {
    ("harvmac", 8): "6b4e7564451b30ec",
    ("html", 8): "752c75671fda362d",
    ("latex", 8): "d3a579c80a6ff36f",
    ("plain", 8): "7790148dad499fa6",
    ("webpage", 8): "512d336dbbc01c91",
    ("wikitext", 8): "3e5e9e53efce7e36",
    ("wikitext_sr", 8): "81519caf254d14e4",
}


def test_the_text_of_every_source_changes_only_with_the_revision(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    path = seven_sources.write_recipe(tmp_path / "raw")
    found = {}
    for name, source in load_recipe(str(path)).corpus.sources.items():
        texts = sorted(document.text for document in documents_of(ingested(source, name)))
        found[name, ingest.REVISION] = _digest("\0".join(texts))
    assert found == GOLDEN


def test_what_each_markup_becomes_changes_only_with_the_revision() -> None:
    def paper(source: str) -> str:
        return read_paper({"main.tex": source, "sub/part.tex": "A part."}, "main.tex").text

    texts = {
        "latex": paper(papers.LATEX),
        "plain": paper(papers.PLAIN),
        "harvmac": paper(papers.HARVMAC),
        "wikitext": read_page(WIKITEXT, "A", language="en").text,
        "wikitext_sr": read_page(WIKITEXT, "A", language="sr").text,
        "html": to_text(HTML_POST),
        "webpage": extract(FORMULAS.encode("cp1251"), "utf-8")[1],
    }
    assert all(texts.values())
    assert {(name, ingest.REVISION): _digest(text) for name, text in texts.items()} == MARKUP


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
