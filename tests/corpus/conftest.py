"""A corpus of files and of packages, and the three stages over it, as the flow runs them."""

import base64
import csv
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from llama_core.artifact import Artifact
from llama_core.corpus import corpus as stage
from llama_core.corpus import ingest
from llama_core.corpus.dedup import plan as dedup
from llama_core.corpus.documents import Documents
from llama_core.corpus.recipe import Source
from llama_core.corpus.report import card
from llama_core.corpus.training_text import TrainingText
from llama_core.phases import execute
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.store import Store


@pytest.fixture
def ingested(store: Store) -> Callable[..., Artifact]:
    """Ingest a source whole: `ingested(source, name="web")`."""

    def run(source: Source, name: str = "web") -> Artifact:
        raws = ingest.raw_files(name, source)
        inputs = {raw.name: raw.digest for raw in raws}
        step = Step(store, "ingest", ingest.REVISION, ingest.identity(name, source), inputs)
        return execute(step, ingest.plan(step, name, source, raws))

    return run


@pytest.fixture
def corpus(store: Store, ingested: Callable[..., Artifact]) -> Callable[[Recipe], tuple[Artifact, Artifact]]:
    """All three stages of a recipe: `(decided, corpus)`."""

    def run(recipe: Recipe) -> tuple[Artifact, Artifact]:
        artifacts = {name: ingested(source, name) for name, source in recipe.corpus.sources.items()}
        documents = {name: Documents(name, artifact) for name, artifact in artifacts.items()}
        step = Step(store, "dedup", dedup.REVISION, dedup.identity(recipe.corpus), documents)
        decided = execute(step, dedup.plan(step, documents, recipe.corpus))
        step = Step(
            store,
            "corpus",
            stage.REVISION,
            stage.identity(recipe.corpus),
            {"dedup": decided},
        )
        texts = {name: d.after(decided) for name, d in documents.items()}
        for source, artifact in artifacts.items():
            for shard in artifact.shards:
                stage.corpus_shard(step, texts, recipe.corpus, (source, shard.name))
        whole = step.commit([s.name for s in decided.shards])
        card.publish_card(recipe, TrainingText(whole))
        return decided, whole

    return run


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Install a package as pip would: `site("name", {"name/a.py": "..."}, license="MIT")`."""
    root = tmp_path / "site-packages"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))

    def install(name: str, files: dict[str, str | bytes], license: str | None = "MIT") -> Path:
        info = f"{name}-1.0.dist-info"
        head = f"License-Expression: {license}\n" if license else ""
        metadata = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{head}\n"
        rows = [[f"{info}/RECORD", "", ""]]
        for path, content in (files | {f"{info}/METADATA": metadata}).items():
            data = content.encode() if isinstance(content, str) else content
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            rows.append([path, f"sha256={digest}", str(len(data))])
        with (root / info / "RECORD").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return root

    return install
