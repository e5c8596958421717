"""Tokenizer: SentencePiece, trained on a sample of the corpus drawn by the mixture."""

from typing import Any

from llama_core.artifact import Artifact
from llama_core.corpus.training_text import TrainingText
from llama_core.phases import one_phase
from llama_core.step import Step
from llama_core.tokenizer import train as core
from tasks.observe import say, show_table
from tasks.run import Run
from tasks.step import make, reused, stage


@stage("tokenizer")
def tokenizer(run: Run, text: TrainingText) -> Artifact:
    """Train the recipe's tokenizer, or take the imported one that it names."""
    cfg, mixture = run.recipe.tokenizer, run.recipe.mixture
    if cfg.imported:
        return reused(Artifact.load(run.store, cfg.imported))
    step = Step(
        run.store, "tokenizer", core.REVISION, cfg.identity() | {"mixture": mixture}, {"corpus": text}
    )

    def train(_: None) -> None:
        core.train_tokenizer(step, text, cfg, mixture)

    artifact = make(run, step, one_phase({"tokenizer": None}, train))
    facts = artifact.shard("tokenizer").facts
    say(f"      {summary(facts)}")
    show_table("bytes-per-token", bytes_per_token(facts), "bytes per token of each source and its languages")
    return artifact


def summary(facts: dict[str, Any]) -> str:
    """Return one line with the bytes per token of each source, for this tokenizer and for those beside it."""
    ratios = {"bytes per token": facts["bytes_per_token"]}
    ratios |= {name: other["bytes_per_token"] for name, other in facts.get("compared_with", {}).items()}
    return "; ".join(
        f"{name}: {', '.join(f'{source} {ratio:.2f}' for source, ratio in of_it.items())}"
        for name, of_it in ratios.items()
    )


def bytes_per_token(facts: dict[str, Any]) -> list[dict[str, str]]:
    """Return the rows of a table: one for each source and language, and a column for another tokenizer."""
    tokenizers = {"bytes per token": facts} | facts.get("compared_with", {})
    return [
        {"source": source, "language": language}
        | {name: f"{_by_language(of_it, source)[language]:.2f}" for name, of_it in tokenizers.items()}
        for source in facts["bytes_per_token"]
        for language in _by_language(facts, source)
    ]


def _by_language(facts: dict[str, Any], source: str) -> dict[str, float]:
    """Return the ratio of each language of a source, and first that of `all` if there are several."""
    languages = facts["bytes_per_token_by_language"][source]
    return {"all": facts["bytes_per_token"][source]} | languages if len(languages) > 1 else languages
