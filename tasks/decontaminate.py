"""Decontaminate: decisions about the training documents that hold passages of the evaluation sets."""

from llama_core.artifact import Artifact
from llama_core.corpus.decontaminate import evaluation_sets
from llama_core.corpus.decontaminate import plan as core
from llama_core.corpus.report import measures
from llama_core.corpus.training_text import TrainingText
from llama_core.step import Step
from tasks.observe import say, show_table
from tasks.run import Run
from tasks.step import make, stage


@stage("decontaminate")
def decontaminate(run: Run, corpus: Artifact) -> TrainingText:
    """Return the training text: the corpus without the documents that hold passages of evaluation sets.

    Where there is nothing to compare with, it is all of the corpus, and a line in the terminal says why.
    """
    cfg, data = run.recipe.corpus.decontaminate, run.recipe.evaluate.data
    if why := not_run(run):
        say(f"  {'decontaminate':<20} {'not run':>8}  {why}")
        return TrainingText(corpus)
    assert cfg is not None and data is not None
    outside = {f"data/{name}": digest for name, digest in evaluation_sets.digests(data).items()}
    step = Step(run.store, "decontaminate", core.REVISION, cfg.identity(), {"corpus": corpus, **outside})
    artifact = make(run, step, core.plan(step, corpus, cfg, data))
    say(f"      {summary(artifact)}")
    show_table("evaluation-sets", measures.evaluation_sets(artifact), summary(artifact))
    if examples := artifact.facts["examples"]:
        show_table("contaminated", examples, "training documents that hold passages of the evaluation sets")
    return TrainingText(corpus, artifact)


def not_run(run: Run) -> str:
    """Return why training text is not compared with the evaluation sets, or an empty string if it is."""
    data = run.recipe.evaluate.data
    if run.recipe.corpus.decontaminate is None:
        return "switched off: corpus.decontaminate is null"
    if data is None:
        return "no evaluation sets: set evaluate.data to the folder with their files"
    if not evaluation_sets.files(data)[0]:
        return f"there is no evaluation set in {data}"
    return ""


def summary(artifact: Artifact) -> str:
    """Return one line that says what was compared and what was found."""
    sets = artifact.facts["benchmarks"]
    items, short = (sum(b[k] for b in sets.values()) for k in ("items", "unchecked_items"))
    return (
        f"{artifact.counts.get(core.DROPPED, 0):,} documents share {artifact.manifest['identity']['ngram']} "
        f"words in a row with {len(sets)} evaluation sets; {short:,} of their {items:,} items are too short"
    )
