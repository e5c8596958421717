"""Dedup: decisions about which of several equal or similar documents is kept. No text is rewritten."""

from llama_core.corpus.dedup import plan as core
from llama_core.corpus.documents import Documents
from llama_core.step import Step
from tasks.observe import show_table
from tasks.run import Run
from tasks.step import make, stage


@stage("dedup")
def dedup(run: Run, documents: dict[str, Documents]) -> dict[str, Documents]:
    """Return the documents of each source without exact and near-duplicates, and without books in others."""
    cfg = run.recipe.corpus
    step = Step(run.store, "dedup", core.REVISION, core.identity(cfg), documents)
    artifact = make(run, step, core.plan(step, documents, cfg))
    if examples := artifact.facts["examples"]:
        show_table("dedup-examples", examples, "near-duplicates that were found")
    return {source: d.after(artifact) for source, d in documents.items()}
