"""Dedup: which documents stay. It writes decisions; the text is not touched."""

from llama_core.corpus import dedup as core
from llama_core.corpus.decisions import Documents
from llama_core.step import Artifact, Step
from tasks.observe import show_table
from tasks.run import Run
from tasks.step import make, stage


@stage("dedup")
def dedup(run: Run, documents: dict[str, Documents]) -> Artifact:
    cfg = run.recipe.corpus
    inputs = {name: digest for d in documents.values() for name, digest in d.inputs().items()}
    parents = {name: folders for d in documents.values() for name, folders in d.parents().items()}
    step = Step(run.store, "dedup", core.REVISION, core.identity(cfg), inputs, parents=parents)
    artifact = make(run, step, core.plan(step, documents, cfg))
    if examples := artifact.facts["examples"]:
        show_table("dedup-examples", examples, "near-duplicates that were found")
    return artifact
