"""A corpus in short: a source in Markdown, and what to type to look at all of it."""

import re
import shlex
from collections.abc import Iterator

from llama_core.corpus.decontaminate.plan import TRAIN
from llama_core.corpus.documents import Documents
from llama_core.corpus.report import passages
from llama_core.corpus.report.card import CARD, listed
from llama_core.corpus.report.passages import Excerpt
from llama_core.corpus.training_text import TrainingText
from llama_core.step import Artifact

TEXTS, CHARS = 3, 500  # shown of what was kept and of what was left out, and of each


def source_summary(documents: Documents, text: TrainingText) -> str:
    """What the page tells of a source, without its pictures and with fewer texts."""
    parts = [
        f"{title}: {listed(names.most_common())}."
        for title, fact in passages.NAMES.items()
        if any(names := passages.merged_facts(documents, text.corpus, fact))
    ]
    for title, rows in passages.measures(documents).items():
        told = "; ".join(", ".join(f"{name} {value}" for name, value in row.items()) for row in rows)
        parts.append(f"{title}: {told}.")
    for title, texts in (
        ("Kept", passages.kept_texts(documents, text)),
        ("Left out", passages.dropped_texts(documents, text)),
    ):
        if texts:
            parts += [f"## {title}", *map(_quoted, texts[:TEXTS])]
    return "\n\n".join(parts) + "\n"


def _quoted(excerpt: Excerpt) -> str:
    """Fenced by more backticks than the text has in a row, so that it cannot end the fence."""
    runs = re.findall("`+", excerpt.text + excerpt.what)
    fence = "`" * (1 + max([2, *map(len, runs)]))
    what = " ".join(excerpt.what.split())
    return f"{fence}text\n{what}\n\n{excerpt.text[:CHARS]}\n{fence}"


def where_to_look(page: str, text: TrainingText) -> Iterator[str]:
    """Lines for the terminal: where page and card lie, how to read the corpus, how to trace a document."""
    yield f"page   {page}"
    yield f"card   {text.corpus.store.url_of(CARD)}"
    yield f"read   {load_line(text.corpus)}"
    first = (document.id for shard in text.shards for document in text.read(shard.name))
    if document_id := next(first, None):
        url = shlex.quote(text.corpus.url)
        yield f"trace  .venv/bin/python -m llama_core.corpus.trace {url} --id {document_id}"


def load_line(corpus: Artifact) -> str:
    """Python that reads the training split as a stream. `datasets` takes a folder on a disk only."""
    if corpus.store.is_local:
        what = repr(corpus.store.path())
    else:
        what = f"'parquet', data_files={f'{corpus.url}/*/*/{TRAIN}'!r}"
    return f"datasets.load_dataset({what}, split='train', streaming=True)"
