"""Tokenizer: SentencePiece, trained on a sample of the corpus drawn by the mixture."""

from llama_core import tokenizer as core
from llama_core.phases import one_phase
from llama_core.step import Artifact, Step
from tasks.run import Run
from tasks.step import make, stage


@stage("tokenizer")
def tokenizer(run: Run, corpus: Artifact) -> Artifact:
    cfg, mixture = run.recipe.tokenizer, run.recipe.mixture
    identity = cfg.identity() | {"mixture": mixture}
    step = Step(run.store, "tokenizer", core.REVISION, identity, {"corpus": corpus.digest})

    def train(_: None) -> None:
        core.train_tokenizer(step, corpus, cfg, mixture)

    return make(run, step, one_phase({"tokenizer": None}, train))
