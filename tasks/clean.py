"""Clean: what is decided about each source's documents before they are compared with one another."""

from llama_core.corpus.clean import language_model as models_core
from llama_core.corpus.clean import lines as lines_core
from llama_core.corpus.clean import perplexity as perplexity_core
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
        if cfg.perplexity:
            base = cfg.perplexity.train_on
            models = language_models(run, source, Documents(base, ingested[base]))
            documents = documents.after(perplexity(run, source, documents, models))
        cleaned[source] = documents
    return cleaned


@stage("lines", task_run_name="lines {source}")
def lines(run: Run, source: str, documents: Documents) -> Artifact:
    """Lines that a group of the source's shards holds twice."""
    cfg = run.recipe.corpus.sources[source]
    assert cfg.clean.lines is not None
    identity = {"lines": cfg.clean.lines.identity(), "min_chars": cfg.min_chars}
    inputs, parents = documents.inputs(), documents.parents()
    step = Step(run.store, "lines", lines_core.REVISION, identity, inputs, parents=parents)
    plan = lines_core.plan(step, documents, cfg.clean.lines, cfg.min_chars)
    return make(run, step, plan, label=f"lines {source}")


@stage("quality", task_run_name="quality {source}")
def quality(run: Run, source: str, documents: Documents) -> Artifact:
    """Language, filters and personal data, text by text."""
    cfg = run.recipe.corpus.sources[source].clean
    identity = {k: v for k, v in cfg.identity().items() if k in ("language", "filters", "pii")}
    inputs, parents = documents.inputs(), documents.parents()
    step = Step(run.store, "quality", quality_core.REVISION, identity, inputs, parents=parents)
    return make(run, step, quality_core.plan(step, documents, cfg), label=f"quality {source}")


@stage("language-models", task_run_name="language-models for {source}")
def language_models(run: Run, source: str, articles: Documents) -> Artifact:
    """Models of the languages that a source keeps; other sources that keep the same share them."""
    cfg = run.recipe.corpus.sources[source].clean
    assert cfg.perplexity is not None and cfg.language is not None
    languages = sorted(set(cfg.language.keep))
    identity = cfg.perplexity.model_identity() | {"languages": languages}
    inputs, parents = articles.inputs(), articles.parents()
    step = Step(run.store, "language-models", models_core.REVISION, identity, inputs, parents=parents)
    plan = models_core.plan(step, articles, languages, cfg.perplexity)
    return make(run, step, plan, label="language-models")


@stage("perplexity", task_run_name="perplexity {source}")
def perplexity(run: Run, source: str, documents: Documents, models: Artifact) -> Artifact:
    """Buckets by perplexity, and which of them stay."""
    cfg = run.recipe.corpus.sources[source].clean.perplexity
    assert cfg is not None
    identity = {name: getattr(cfg, name) for name in ("keep", "head", "middle")}
    inputs = documents.inputs() | {"language-models": models.digest}
    parents = documents.parents() | {"language-models": [models.name]}
    step = Step(run.store, "perplexity", perplexity_core.REVISION, identity, inputs, parents=parents)
    plan = perplexity_core.plan(step, documents, models, cfg)
    return make(run, step, plan, label=f"perplexity {source}")
