"""Corpus: the documents that stay, as text; and the page and the card that tell of them."""

from functools import partial

from llama_core.corpus import corpus as core
from llama_core.corpus.decisions import Documents
from llama_core.corpus.recipe import Corpus
from llama_core.corpus.report import page, passages
from llama_core.corpus.report.card import dataset_card, publish_card
from llama_core.corpus.report.summary import source_summary, where_to_look
from llama_core.phases import one_phase
from llama_core.recipe import Recipe
from llama_core.step import Artifact, Step
from tasks.observe import say, show_link, show_markdown, show_table
from tasks.run import Run
from tasks.step import make, stage


@stage("corpus")
def corpus(run: Run, documents: dict[str, Documents]) -> Artifact:
    cfg = run.recipe.corpus
    inputs = {key: digest for d in documents.values() for key, digest in d.inputs().items()}
    parents = {key: folders for d in documents.values() for key, folders in d.parents().items()}
    step = Step(run.store, "corpus", core.REVISION, core.identity(cfg), inputs, parents=parents)
    shards = {f"{source}.{s.name}": (source, s.name) for source, d in documents.items() for s in d.shards}
    return make(run, step, one_phase(shards, partial(write, step, documents, cfg)))


@stage("corpus_page", task_run_name="corpus page")
def corpus_page(
    run: Run, documents: dict[str, Documents], corpus: Artifact, decontaminated: Artifact | None
) -> Artifact:
    """The page of the corpus, and its dataset card."""
    publish_card(corpus, run.recipe, decontaminated)
    card = dataset_card(corpus, run.recipe, decontaminated).split("---\n", 2)[2]
    show_markdown("dataset-card", card, f"dataset card of {corpus.name}")
    artifacts = {a.name: a.id for d in documents.values() for a in (d.ingested, *d.decided)}
    artifacts |= {a.name: a.id for a in (corpus, decontaminated) if a}
    step = Step(run.store, "corpus_page", page.REVISION, {"recipe": run.recipe.name}, artifacts)
    work = partial(publish_page, step, run.recipe, documents, corpus, decontaminated)
    artifact = make(run, step, one_phase({"page": "page"}, work), label="corpus page")
    say("\n".join(f"      {line}" for line in where_to_look(page_url(artifact), corpus, decontaminated)))
    show_link("corpus-page", page_url(artifact), "the corpus as a page")
    show_table("duplicates", passages.clusters(list(documents.values())), "clusters of duplicates")
    for source, d in documents.items():
        rows = passages.balance(passages.passages(d, corpus, decontaminated))
        show_table(f"corpus-{source}", rows, f"{source}: documents in and out of each stage")
        summary = source_summary(d, corpus, decontaminated)
        show_markdown(f"texts-{source}", summary, f"{source}: what its documents are, and some of them")
    return artifact


def page_url(artifact: Artifact) -> str:
    return artifact.store.url_of(artifact.shard("page").object(".html").name)


def publish_page(
    step: Step,
    recipe: Recipe,
    documents: dict[str, Documents],
    corpus: Artifact,
    decontaminated: Artifact | None,
    shard: str,
) -> None:
    with step.shard(shard) as out:
        text = page.page(recipe, documents.values(), corpus, decontaminated)
        out.publish_bytes("corpus.html", text.encode())
        out.digest = step.id  # the page also tells where the corpus lies


def write(step: Step, documents: dict[str, Documents], cfg: Corpus, shard: tuple[str, str]) -> None:
    source, name = shard
    core.corpus_shard(step, documents[source], cfg, name)
