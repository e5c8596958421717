"""Tokens: the training text as shards of token ids."""

from functools import partial

from llama_core.phases import one_phase
from llama_core.step import Artifact, Step
from llama_core.tokens import shards as core
from tasks.run import Run
from tasks.step import make, stage


@stage("tokens")
def tokens(run: Run, corpus: Artifact, tokenizer: Artifact) -> Artifact:
    inputs = {"corpus": corpus.digest, "tokenizer": tokenizer.digest}
    step = Step(run.store, "tokens", core.REVISION, {}, inputs)
    names = {s.name: s.name for s in corpus.shards if s.counts.get("documents.train")}
    return make(run, step, one_phase(names, partial(core.tokens_shard, step, corpus, tokenizer)))
