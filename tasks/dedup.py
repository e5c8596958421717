"""Dedup: which documents stay. It writes decisions; the text is not touched."""

from functools import partial
from typing import Any

from llama_core.corpus import dedup as core
from llama_core.phases import Phase, Plan
from llama_core.step import Artifact, Step
from tasks.observe import show_table
from tasks.run import Run
from tasks.step import make, stage


@stage("dedup")
def dedup(run: Run, ingested: dict[str, Artifact]) -> Artifact:
    cfg = run.recipe.corpus
    identity = {
        "dedup": cfg.dedup.identity(),
        "holdout": cfg.holdout,
        "holdout_fraction": cfg.holdout_fraction,
    }
    inputs = {source: artifact.digest for source, artifact in ingested.items()}
    step = Step(run.store, "dedup", core.REVISION, identity, inputs)
    names = [f"{source}.{s.name}" for source, artifact in ingested.items() for s in artifact.shards]

    def plan() -> Plan:
        signed = {core.SIGNATURES + name: core.SIGNATURES + name for name in names}
        yield Phase("signatures", signed, partial(sign, step, ingested, cfg.dedup))
        return {"shards": names, "facts": core.decide(step, ingested, cfg)}

    artifact = make(run, step, plan())
    if examples := artifact.facts["examples"]:
        show_table("dedup-examples", examples, "near-duplicates that were found")
    return artifact


def sign(step: Step, ingested: dict[str, Artifact], cfg: Any, name: str) -> None:
    source, shard = name.removeprefix(core.SIGNATURES).split(".", 1)
    core.signatures_shard(step, source, ingested[source], shard, cfg)
