"""What each source makes of its public format. Text may change only together with ingest's REVISION."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import seven_sources
from corpus.helpers import documents_of

from llama_core.corpus import ingest
from llama_core.recipe import load_recipe
from llama_core.step import Artifact

GOLDEN = {
    ("arxiv", 3): "dbeecf75e38c5a08",
    ("books", 3): "905da510804c48e9",
    ("c4", 3): "e3e08ecd42dbb90c",
    ("commoncrawl", 3): "d9ef45e94916dad4",
    ("github", 3): "ee0d966342957d8d",
    ("stackexchange", 3): "72d645cce5e7adb1",
    ("wikipedia", 3): "e36c71d4eadb797c",
}


def test_the_text_of_every_source_changes_only_with_the_revision(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    path = seven_sources.write_recipe(tmp_path / "raw")
    found = {}
    for name, source in load_recipe(str(path)).corpus.sources.items():
        texts = sorted(document.text for document in documents_of(ingested(source, name)))
        digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
        found[name, ingest.REVISION] = digest
    assert found == GOLDEN
