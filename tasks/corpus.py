"""Corpus: the documents that stay, as text, with the dataset card beside them."""

from functools import partial

from llama_core.corpus import final as core
from llama_core.phases import one_phase
from llama_core.step import Artifact, Step
from tasks.run import Run
from tasks.step import make, stage


@stage("corpus")
def final_corpus(run: Run, ingested: dict[str, Artifact], decided: Artifact) -> Artifact:
    inputs = {source: artifact.digest for source, artifact in ingested.items()}
    step = Step(run.store, "corpus", core.REVISION, {}, inputs | {"dedup": decided.digest})
    names = [s.name for s in decided.shards]
    work = partial(write, step, ingested, decided)
    artifact = make(run, step, one_phase({name: name for name in names}, work))
    core.publish_card(artifact, run.recipe)
    return artifact


def write(step: Step, ingested: dict[str, Artifact], decided: Artifact, name: str) -> None:
    source, shard = name.split(".", 1)
    core.final_shard(step, ingested[source], decided, source, shard)
