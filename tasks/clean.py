"""Clean: the decisions about each source's documents before those of all sources are compared."""

from llama_core.artifact import Artifact
from llama_core.corpus.clean import language_model as models_core
from llama_core.corpus.clean import lines as lines_core
from llama_core.corpus.clean import perplexity as perplexity_core
from llama_core.corpus.clean import quality as quality_core
from llama_core.corpus.clean import references as references_core
from llama_core.corpus.documents import Documents
from llama_core.step import Inputs, Step
from tasks.observe import show_table
from tasks.run import Run
from tasks.step import make, stage


def clean(run: Run, raw: dict[str, Documents]) -> dict[str, Documents]:
    """Return the documents of each source after the stages that its recipe asks for."""
    cleaned = {source: clean_texts(run, documents, raw) for source, documents in raw.items()}
    return {
        source: documents.after(*refer(run, documents, raw, cleaned)) for source, documents in cleaned.items()
    }


def clean_texts(run: Run, documents: Documents, raw: dict[str, Documents]) -> Documents:
    """Return the documents of a source after the stages that need only its own texts and a language model."""
    source = documents.source
    cfg = run.recipe.corpus.sources[source].clean
    if cfg.lines:
        documents = documents.after(lines(run, source, documents))
    if cfg.has_quality:
        documents = documents.after(quality(run, source, documents))
    if cfg.perplexity:
        models = language_models(run, source, raw[cfg.perplexity.train_on])
        documents = documents.after(perplexity(run, source, documents, models))
    return documents


def refer(
    run: Run, documents: Documents, raw: dict[str, Documents], cleaned: dict[str, Documents]
) -> list[Artifact]:
    """Return the decisions of the classifier of references, or none if the recipe does not ask for it."""
    cfg = run.recipe.corpus.sources[documents.source].clean.references
    if not cfg:
        return []
    positives = cleaned[cfg.positives] if cfg.positives else None
    return [references(run, documents.source, documents, raw.get(cfg.wikipedia), positives)]


@stage("lines", task_run_name="lines {source}")
def lines(run: Run, source: str, documents: Documents) -> Artifact:
    """Decide which lines to cut: those that occur twice in a group of the source's shards."""
    cfg = run.recipe.corpus.sources[source]
    assert cfg.clean.lines is not None
    identity = {"lines": cfg.clean.lines.identity(), "min_chars": cfg.min_chars}
    step = Step(run.store, "lines", lines_core.REVISION, identity, {source: documents})
    plan = lines_core.plan(step, documents, cfg.clean.lines, cfg.min_chars)
    return make(run, step, plan, title=f"lines {source}")


@stage("quality", task_run_name="quality {source}")
def quality(run: Run, source: str, documents: Documents) -> Artifact:
    """Decide on each text by itself: by its language and the filters, and on the masks for personal data."""
    cfg = run.recipe.corpus.sources[source].clean
    identity = {k: v for k, v in cfg.identity().items() if k in ("language", "filters", "pii")}
    step = Step(run.store, "quality", quality_core.REVISION, identity, {source: documents})
    return make(run, step, quality_core.plan(step, documents, cfg), title=f"quality {source}")


@stage("language_models", task_run_name="language models for {source}")
def language_models(run: Run, source: str, articles: Documents) -> Artifact:
    """Train models of the languages that a source keeps. Sources that keep the same languages share them."""
    cfg = run.recipe.corpus.sources[source].clean
    assert cfg.perplexity is not None and cfg.language is not None
    languages = sorted(set(cfg.language.keep))
    identity = cfg.perplexity.model_identity() | {"languages": languages}
    step = Step(run.store, "language_models", models_core.REVISION, identity, {articles.source: articles})
    plan = models_core.plan(step, articles, languages, cfg.perplexity)
    return make(run, step, plan, title="language models")


@stage("perplexity", task_run_name="perplexity {source}")
def perplexity(run: Run, source: str, documents: Documents, models: Artifact) -> Artifact:
    """Sort the documents into buckets by their perplexity, and decide which of these are kept."""
    cfg = run.recipe.corpus.sources[source].clean.perplexity
    assert cfg is not None
    identity = {k: v for k, v in cfg.identity().items() if k in ("keep", "head", "middle")}
    inputs: Inputs = {source: documents, "language_models": models}
    step = Step(run.store, "perplexity", perplexity_core.REVISION, identity, inputs)
    plan = perplexity_core.plan(step, documents, models, cfg)
    return make(run, step, plan, title=f"perplexity {source}")


@stage("references", task_run_name="references {source}")
def references(
    run: Run, source: str, documents: Documents, wikipedia: Documents | None, positives: Documents | None
) -> Artifact:
    """Decide which pages are kept: those that are like the pages that Wikipedia cites."""
    cfg = run.recipe.corpus.sources[source].clean.references
    assert cfg is not None
    examples = positives or wikipedia
    assert examples is not None
    inputs = {source: documents, f"examples.{examples.source}": examples}
    step = Step(run.store, "references", references_core.REVISION, cfg.identity(), inputs)
    plan = references_core.plan(step, documents, wikipedia, positives, cfg)
    artifact = make(run, step, plan, title=f"references {source}")
    show_table(f"references-{source}", [artifact.facts], "the classifier of references, on held-out examples")
    return artifact
