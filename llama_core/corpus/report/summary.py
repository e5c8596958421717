"""A corpus in short: a source in Markdown, and what to type to look at all of it."""

import shlex
from collections.abc import Iterator

from llama_core.artifact import Artifact
from llama_core.corpus.decontaminate.plan import TRAIN_OBJECT
from llama_core.corpus.documents import Documents
from llama_core.corpus.report.card import CARD, listed
from llama_core.corpus.report.excerpts import Excerpt, dropped_texts, kept_texts
from llama_core.corpus.report.measures import NAMES, measures, merged_facts
from llama_core.corpus.training_text import TrainingText
from llama_core.markdown import code_block, escape

TEXTS, CHARS = 3, 500  # shown of what was kept and of what was left out, and of each


def source_summary(documents: Documents, text: TrainingText) -> str:
    """Return, as Markdown, what the page tells of a source, without its pictures and with fewer texts."""
    parts = [
        f"{title}: {listed(names.most_common())}."
        for title, fact in NAMES.items()
        if any(names := merged_facts(documents, text.corpus, fact))
    ]
    for title, rows in measures(documents).items():
        told = "; ".join(", ".join(f"{name} {value}" for name, value in row.items()) for row in rows)
        parts.append(f"{title}: {escape(told)}.")
    for title, texts in (
        ("Kept", kept_texts(documents, text)),
        ("Left out", dropped_texts(documents, text)),
    ):
        if texts:
            parts += [f"## {title}", *map(_quoted, texts[:TEXTS])]
    return "\n\n".join(parts) + "\n"


def _quoted(excerpt: Excerpt) -> str:
    what = " ".join(excerpt.what.split())
    return code_block(f"{what}\n\n{excerpt.text[:CHARS]}")


def where_to_look(page: str, text: TrainingText) -> Iterator[str]:
    """Yield lines for the terminal: where page and card are, how to read the corpus, how to trace a document.

    `page`: the URL of the corpus page.
    """
    yield f"page   {page}"
    yield f"card   {text.corpus.store.url_of(CARD)}"
    yield f"read   {load_line(text.corpus)}"
    first = (document.id for shard in text.shards for document in text.read(shard.name))
    if document_id := next(first, None):
        url = shlex.quote(text.corpus.url)
        yield f"trace  .venv/bin/python -m llama_core.corpus.trace {url} --id {document_id}"


def load_line(corpus: Artifact) -> str:
    """Return Python that reads the training split as a stream.

    `datasets` takes a folder on a disk only, so elsewhere the files are named.
    """
    if corpus.store.is_local:
        what = repr(corpus.store.path())
    else:
        what = f"'parquet', data_files={f'{corpus.url}/*/*/{TRAIN_OBJECT}'!r}"
    return f"datasets.load_dataset({what}, split='train', streaming=True)"
