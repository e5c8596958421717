"""Ingest: raw text to documents, one step a source."""

from functools import partial

from llama_core.corpus import ingest as core
from llama_core.phases import one_phase
from llama_core.step import Artifact, Step
from tasks.run import Run
from tasks.step import make, stage


@stage("ingest", task_run_name="ingest {source}")
def ingest(run: Run, source: str) -> Artifact:
    cfg = run.recipe.corpus.sources[source]
    raws = {raw.name: raw for raw in core.plan(source, cfg)}
    outside = {raw.name: raw.digest for raw in raws.values()}
    step = Step(run.store, "ingest", core.REVISION, core.identity(source, cfg), outside)
    plan = one_phase(raws, partial(core.ingest_shard, step, source, cfg))
    return make(run, step, plan, label=f"ingest {source}")
