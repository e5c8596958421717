"""Ingest: raw files to documents, with one step for each source."""

from llama_core.corpus import ingest as core
from llama_core.corpus.documents import Documents
from llama_core.corpus.sources.raw import Raw
from llama_core.step import Step
from tasks.run import Run
from tasks.step import make, stage


@stage("plan", task_run_name="plan sources")
def raw_files(run: Run) -> dict[str, list[Raw]]:
    """Return the raw files of every source.

    No text is read for it, only lists of files. So what one source lacks shows before another is downloaded.
    """
    return {source: core.raw_files(source, cfg) for source, cfg in run.recipe.corpus.sources.items()}


def ingest(run: Run, raws: dict[str, list[Raw]]) -> dict[str, Documents]:
    """Return the documents of each source, read from its raw files."""
    return {source: ingest_source(run, source, some) for source, some in raws.items()}


@stage("ingest", task_run_name="ingest {source}")
def ingest_source(run: Run, source: str, raws: list[Raw]) -> Documents:
    """Read the documents of one source."""
    cfg = run.recipe.corpus.sources[source]
    digests = {raw.name: raw.digest for raw in raws}
    step = Step(run.store, "ingest", core.REVISION, core.identity(source, cfg), digests)
    plan = core.plan(step, source, cfg, raws)
    return Documents(source, make(run, step, plan, title=f"ingest {source}"))
