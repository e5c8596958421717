"""Lineage: the artifacts that went into a model, by the names that the registry and the report give them."""

from llama_core.artifact import Artifact
from llama_core.corpus.documents import Documents
from llama_core.corpus.training_text import TrainingText
from llama_core.recipe import Recipe
from llama_core.tokens.given import Given, given
from tasks.run import Run
from tasks.step import reused

Lineage = dict[str, Artifact]


def used(run: Run) -> Given:
    """Return what a run is given, and show it."""
    made = given(run.recipe, run.store)
    for artifact in (made.corpus, made.tokenizer, made.tokens):
        if artifact is not None:
            reused(artifact)
    return made


def lineage(documents: dict[str, Documents], text: TrainingText, *later: Artifact) -> Lineage:
    """Return the artifacts by name, in the order of the stages.

    An artifact is named after its stage and, if the stage is made for each source, after the source, as in
    `ingest.web`.
    """
    named = {f"ingest.{source}": d.ingested for source, d in documents.items()}
    decided = [(source, artifact) for source, d in documents.items() for artifact in d.decided]
    named |= {f"{a.stage}.{source}": a for source, a in decided if a.stage != "dedup"}
    named |= {a.stage: a for _, a in decided if a.stage == "dedup"}
    return named | {a.stage: a for a in (*text.stages, *later)}


def step_tags(made: Lineage) -> dict[str, str]:
    """Return tags with the folder of each step, `<stage>/<id>`, by stage.

    Those of the stages that are made for each source are left out, as the corpus's manifest names them, and
    so is the corpus page, which is only shown.
    """
    left_out = [name for name in made if "." in name or name == "corpus_page"]
    return {f"step.{name}": artifact.name for name, artifact in made.items() if name not in left_out}


def started_from(recipe: Recipe) -> dict[str, str]:
    """Return the tag of the checkpoint that a training starts from, if it does."""
    start = recipe.train.start_from
    return {"llama.start_from": start.checkpoint} if start else {}
