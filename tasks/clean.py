"""Clean: what is decided about each source's documents before they are compared with one another."""

from llama_core.corpus.clean import lines as lines_core
from llama_core.corpus.clean import quality as quality_core
from llama_core.corpus.decisions import Documents
from llama_core.step import Artifact, Step
from tasks.run import Run
from tasks.step import make, stage


def clean(run: Run, ingested: dict[str, Artifact]) -> dict[str, Documents]:
    """The documents of each source as the stages that its recipe asks for left them."""
    cleaned = {source: Documents(source, artifact) for source, artifact in ingested.items()}
    for source, documents in cleaned.items():
        cfg = run.recipe.corpus.sources[source].clean
        if cfg.lines:
            documents = documents.after(lines(run, source, documents))
        if cfg.has_quality:
            documents = documents.after(quality(run, source, documents))
        cleaned[source] = documents
    return cleaned


@stage("lines", task_run_name="lines {source}")
def lines(run: Run, source: str, documents: Documents) -> Artifact:
    """Lines that a group of the source's shards holds twice."""
    cfg = run.recipe.corpus.sources[source]
    assert cfg.clean.lines is not None
    identity = {"lines": cfg.clean.lines.identity(), "min_chars": cfg.min_chars}
    step = Step(run.store, "lines", lines_core.REVISION, identity, documents.inputs())
    plan = lines_core.plan(step, documents, cfg.clean.lines, cfg.min_chars)
    return make(run, step, plan, label=f"lines {source}")


@stage("quality", task_run_name="quality {source}")
def quality(run: Run, source: str, documents: Documents) -> Artifact:
    """Language, filters and personal data, text by text."""
    cfg = run.recipe.corpus.sources[source].clean
    identity = {k: v for k, v in cfg.identity().items() if k in ("language", "filters", "pii")}
    step = Step(run.store, "quality", quality_core.REVISION, identity, documents.inputs())
    return make(run, step, quality_core.plan(step, documents, cfg), label=f"quality {source}")
