"""The stages of the corpus, run here one after another on small sources."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from corpus.helpers import recipe_of, write_jsonl

from llama_core.artifact import Artifact
from llama_core.corpus import corpus as stage
from llama_core.corpus import ingest
from llama_core.corpus.decisions import ENDING, Decision, write_decisions
from llama_core.corpus.decontaminate import plan as decontaminate
from llama_core.corpus.decontaminate.evaluation_sets import digests
from llama_core.corpus.document import DROPPED_SCHEMA, Document, RowWriter
from llama_core.corpus.documents import Documents
from llama_core.corpus.recipe import Source
from llama_core.phases import execute, one_phase
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.store import Store

Decide = Callable[[Document], Decision]


def recipe_of_files(folder: Path, sources: dict[str, list[dict[str, Any]]], **corpus: Any) -> Recipe:
    """A recipe of sources of kind `files`, whose rows (at least a `text` each) are written here."""
    folder.mkdir(exist_ok=True)
    for name, rows in sources.items():
        write_jsonl(folder / f"{name}.jsonl", rows)
    files = {n: {"kind": "files", "urls": [str(folder / f"{n}.jsonl")], "min_chars": 10} for n in sources}
    return recipe_of(files, **corpus)


def ingest_source(store: Store, name: str, source: Source) -> Artifact:
    raws = ingest.raw_files(name, source)
    inputs = {raw.name: raw.digest for raw in raws}
    step = Step(store, "ingest", ingest.REVISION, ingest.identity(name, source), inputs)
    return execute(step, ingest.plan(step, name, source, raws))


def ingest_recipe(store: Store, recipe: Recipe) -> dict[str, Documents]:
    sources = recipe.corpus.sources
    return {name: Documents(name, ingest_source(store, name, source)) for name, source in sources.items()}


def decide_all(store: Store, stage: str, documents: dict[str, Documents], decide: Decide) -> Artifact:
    """A decision stage over all sources: what dedup is to those that come after it."""
    step = Step(store, stage, 1, {}, documents)

    def work(place: tuple[str, str]) -> None:
        source, shard = place
        with step.shard(f"{source}.{shard}") as out:
            out.counts.update(documents=0, kept=0)
            decisions = []
            for document in documents[source].read(shard):
                decision = decide(document)
                out.counts["documents"] += 1
                out.counts[f"dropped.{decision.reason}" if decision.reason else "kept"] += 1
                decisions.append(decision)
                if decision.reason and not any(o.name.endswith("dropped.parquet") for o in out.objects):
                    with (
                        out.publish(f"{out.name}/dropped.parquet") as w,
                        RowWriter(w, DROPPED_SCHEMA) as rows,
                    ):
                        rows.append((decision.reason, document.id, document.text))
            with out.publish(f"{out.name}/{ENDING}") as writer:
                write_decisions(writer, decisions)

    shards = {f"{s}.{shard.name}": (s, shard.name) for s, d in documents.items() for shard in d.shards}
    return execute(step, one_phase(shards, work))


def keep(document: Document) -> Decision:
    return Decision(document.id)


def finish(store: Store, documents: dict[str, Documents], recipe: Recipe) -> Artifact:
    """The final corpus, as tasks/corpus.py makes it."""
    step = Step(store, "corpus", stage.REVISION, stage.identity(recipe.corpus), documents)
    shards = {f"{n}.{s.name}": (n, s.name) for n, d in documents.items() for s in d.shards}
    return execute(step, one_phase(shards, partial(stage.corpus_shard, step, documents, recipe.corpus)))


def decontaminated(store: Store, corpus: Artifact, recipe: Recipe, data: Path) -> Artifact:
    cfg = recipe.corpus.decontaminate
    assert cfg is not None
    inputs = {"corpus": corpus, **digests(str(data))}
    step = Step(store, "decontaminate", decontaminate.REVISION, cfg.identity(), inputs)
    return execute(step, decontaminate.plan(step, corpus, cfg, str(data)))
