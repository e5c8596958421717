"""Tokenizer: SentencePiece, trained on a sample of the corpus drawn by the mixture."""

from llama_core import tokenizer as core
from llama_core.corpus.decontaminate import inputs
from llama_core.phases import one_phase
from llama_core.step import Artifact, Step
from tasks.run import Run
from tasks.step import make, stage


@stage("tokenizer")
def tokenizer(run: Run, corpus: Artifact, decontaminated: Artifact | None) -> Artifact:
    cfg, mixture = run.recipe.tokenizer, run.recipe.mixture
    identity = cfg.identity() | {"mixture": mixture}
    parents = {"corpus": [corpus.name]}
    parents |= {"decontaminate": [decontaminated.name]} if decontaminated else {}
    digests = inputs(corpus, decontaminated)
    step = Step(run.store, "tokenizer", core.REVISION, identity, digests, parents=parents)

    def train(_: None) -> None:
        core.train_tokenizer(step, corpus, cfg, mixture, decontaminated)

    return make(run, step, one_phase({"tokenizer": None}, train))
