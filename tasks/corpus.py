"""Corpus: the documents that every stage kept, as text, and the page and the card that describe them."""

from functools import partial

from llama_core.artifact import Artifact
from llama_core.corpus import corpus as core
from llama_core.corpus.documents import Documents
from llama_core.corpus.report import page
from llama_core.corpus.report.balance import balance_rows, source_balances
from llama_core.corpus.report.card import dataset_card, publish_card
from llama_core.corpus.report.measures import duplicate_clusters
from llama_core.corpus.report.summary import source_summary, where_to_look
from llama_core.corpus.training_text import TrainingText
from llama_core.phases import one_phase
from llama_core.step import Step
from tasks.observe import say, show_link, show_markdown, show_table
from tasks.run import Run
from tasks.step import make, stage


@stage("corpus")
def corpus(run: Run, documents: dict[str, Documents]) -> Artifact:
    """Write the text of the documents that every stage kept."""
    cfg = run.recipe.corpus
    step = Step(run.store, "corpus", core.REVISION, core.identity(cfg), documents)
    shards = {f"{source}.{s.name}": (source, s.name) for source, d in documents.items() for s in d.shards}
    return make(run, step, one_phase(shards, partial(core.corpus_shard, step, documents, cfg)))


@stage("corpus_page", task_run_name="corpus page")
def corpus_page(run: Run, documents: dict[str, Documents], text: TrainingText) -> Artifact:
    """Write the page of the corpus, and its dataset card."""
    publish_card(run.recipe, text)
    card = dataset_card(run.recipe, text).split("---\n", 2)[2]
    show_markdown("dataset-card", card, f"dataset card of {text.corpus.name}")
    # By id and not by digest, because the page describes the steps themselves and not only their output.
    artifacts = [*(a for d in documents.values() for a in d.stages), *text.stages]
    step = Step(
        run.store,
        "corpus_page",
        page.REVISION,
        {"recipe": run.recipe.name},
        {a.name: a.id for a in artifacts},
    )
    work = partial(page.publish_page, step, run.recipe, documents, text)
    artifact = make(run, step, one_phase({"page": "page"}, work), title="corpus page")
    say("\n".join(f"      {line}" for line in where_to_look(page_url(artifact), text)))
    show_link("corpus-page", page_url(artifact), "the corpus as a page")
    show_table("duplicates", duplicate_clusters(list(documents.values())), "clusters of duplicates")
    for source, d in documents.items():
        rows = balance_rows(source_balances(d, text))
        show_table(f"corpus-{source}", rows, f"{source}: documents in and out of each stage")
        summary = source_summary(d, text)
        show_markdown(f"texts-{source}", summary, f"{source}: what its documents are, and some of them")
    return artifact


def page_url(artifact: Artifact) -> str:
    """Return the URL of the page."""
    return artifact.store.url_of(artifact.shard("page").object(".html").name)
