"""Tokens: the training text as shards of token ids."""

from functools import partial

from llama_core.corpus.decontaminate.plan import inputs
from llama_core.corpus.report.card import publish_card
from llama_core.phases import one_phase
from llama_core.step import Artifact, Step
from llama_core.tokens import shards as core
from tasks.run import Run
from tasks.step import make, stage


@stage("tokens")
def tokens(run: Run, corpus: Artifact, tokenizer: Artifact, decontaminated: Artifact | None) -> Artifact:
    digests = inputs(corpus, decontaminated) | {"tokenizer": tokenizer.digest}
    parents = {"corpus": [corpus.name], "tokenizer": [tokenizer.name]}
    parents |= {"decontaminate": [decontaminated.name]} if decontaminated else {}
    step = Step(run.store, "tokens", core.REVISION, {}, digests, parents=parents)
    names = {s.name: s.name for s in corpus.shards if s.counts.get("documents.train")}
    work = partial(core.tokens_shard, step, corpus, tokenizer, decontaminated=decontaminated)
    artifact = make(run, step, one_phase(names, work))
    publish_card(corpus, run.recipe, decontaminated, artifact)  # now the epochs of each source are known
    return artifact
