"""Ingest: raw text to documents, one step a source."""

from functools import partial

from llama_core.corpus import ingest as core
from llama_core.corpus.sources.raw import Raw
from llama_core.phases import one_phase
from llama_core.step import Artifact, Step
from tasks.run import Run
from tasks.step import make, stage


@stage("raw_shards", task_run_name="plan sources")
def raw_shards(run: Run) -> dict[str, list[Raw]]:
    """The raw shards of every source. Lists are read, and no text: what one source lacks shows before another
    is downloaded."""
    return {source: core.raw_shards(source, cfg) for source, cfg in run.recipe.corpus.sources.items()}


@stage("ingest", task_run_name="ingest {source}")
def ingest(run: Run, source: str, raws: list[Raw]) -> Artifact:
    """The documents of a source, out of its raw shards."""
    cfg = run.recipe.corpus.sources[source]
    shards = {raw.name: raw for raw in raws}
    outside = {raw.name: raw.digest for raw in raws}
    step = Step(run.store, "ingest", core.REVISION, core.identity(source, cfg), outside)
    work = one_phase(shards, partial(core.ingest_shard, step, source, cfg))
    return make(run, step, work, label=f"ingest {source}")
