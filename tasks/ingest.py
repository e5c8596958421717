"""Ingest: raw files to documents, with one step for each source."""

from prefect.runtime import flow_run

from llama_core.corpus import ingest as core
from llama_core.corpus import pins
from llama_core.corpus.documents import Documents
from llama_core.corpus.sources.raw import ANEW, Raw
from llama_core.step import Step
from tasks.observe import say
from tasks.run import Run
from tasks.step import make, stage


@stage("plan", task_run_name="plan sources")
def raw_files(run: Run) -> dict[str, list[Raw]]:
    """Return the raw files of every source, those of the outside world as the run saw them first.

    No text is read for it, only lists of files. So what one source lacks shows before another is downloaded.
    """
    cfg = run.recipe
    found = pins.resolve(
        run.store, cfg.identity(), cfg.corpus.sources, refresh=run.refresh, by=flow_run.id or ""
    )
    for change in found.changes:
        say(f"      {change}")
    if found.since:
        hint = "" if run.refresh else f": a run {ANEW} looks anew"
        say(f"      sources of the outside world as they were on {found.since}{hint}")
    return found.raws


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
