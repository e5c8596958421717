"""Public text to a deduplicated corpus."""

from typing import Any

from prefect import flow
from prefect.events import emit_event

from llama_core.step import Artifact
from tasks.clean import clean
from tasks.corpus import corpus as make_corpus
from tasks.corpus import corpus_page
from tasks.decontaminate import decontaminate
from tasks.dedup import dedup
from tasks.ingest import ingest, raw_shards
from tasks.run import Run, open_run


def build_corpus(run: Run) -> dict[str, Artifact]:
    """The stages from raw text to the corpus; their artifacts by name."""
    ingested = {source: ingest(run, source, raws) for source, raws in raw_shards(run).items()}
    cleaned = clean(run, ingested)
    deduped = dedup(run, cleaned)
    documents = {source: d.after(deduped) for source, d in cleaned.items()}
    corpus = make_corpus(run, documents)
    decontaminated = decontaminate(run, corpus)
    page = corpus_page(run, documents, corpus, decontaminated)

    made = {f"ingest.{source}": artifact for source, artifact in ingested.items()}
    made |= {f"{a.stage}.{source}": a for source, d in cleaned.items() for a in d.decided}
    made |= {"dedup": deduped, "corpus": corpus}
    made |= {"decontaminate": decontaminated} if decontaminated else {}
    return made | {"corpus_page": page}


@flow(name="corpus", persist_result=False)
def corpus(recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None) -> str:
    """Ingest, clean and deduplicate the recipe's sources. Announces the corpus to whoever waits for one."""
    run = open_run(recipe, overrides, store, trains=False)
    artifact = build_corpus(run)["corpus"]
    resource = {"prefect.resource.id": f"llama.corpus.{artifact.id[:16]}", "llama.recipe": run.recipe.name}
    asked = {"recipe": recipe, "overrides": overrides, "store": store}  # a training of it needs the same
    emit_event("llama.corpus.ready", resource=resource, payload=asked)
    return artifact.url
