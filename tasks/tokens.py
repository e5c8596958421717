"""Tokens: the training text as shards of token ids."""

from llama_core.artifact import Artifact
from llama_core.corpus.report.card import publish_card
from llama_core.corpus.training_text import TrainingText
from llama_core.step import Step
from llama_core.tokens import shards as core
from tasks.run import Run
from tasks.step import make, stage


@stage("tokens")
def tokens(run: Run, text: TrainingText, tokenizer: Artifact) -> Artifact:
    """Encode the training text."""
    step = Step(run.store, "tokens", core.REVISION, {}, {"corpus": text, "tokenizer": tokenizer})
    artifact = make(run, step, core.plan(step, text, tokenizer, text.shards))
    publish_card(run.recipe, text, artifact)  # now the epochs of each source are known
    return artifact
