"""The corpus: the documents that every stage kept, as text, with one object for each split.

Besides the text, each shard has tables of what its documents are: licences, languages, domains, lengths.
"""

import contextlib
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from llama_core.corpus.document import SCHEMA, Document, RowWriter
from llama_core.corpus.documents import Documents
from llama_core.corpus.recipe import Corpus
from llama_core.corpus.split import is_heldout
from llama_core.step import OpenShard, Step

REVISION = 2
SPLITS = TRAIN, HELDOUT = "train", "heldout"
TOP = 50  # rows of a table that a shard keeps; the others are counted together
HELD = 100_000  # rows of a table that are held in memory while it is made
OTHER = "(other)"  # the row in which the others are counted


def identity(cfg: Corpus) -> dict[str, Any]:
    """Return the settings that the split depends on, besides the documents."""
    return {"holdout": cfg.holdout, "holdout_fraction": cfg.holdout_fraction, "seed": cfg.dedup.seed}


def corpus_shard(
    step: Step, sources: Mapping[str, Documents], cfg: Corpus, ingest_shard: tuple[str, str]
) -> None:
    """Write the corpus shard `<source>.<shard>` of an ingest shard, which is given as (source, shard).

    Its objects are `train.parquet` and `heldout.parquet`, each if it has documents. Counts: documents =
    documents.train + documents.heldout, and bytes.train and bytes.heldout of text. Raises DamagedError.
    """
    source, shard = ingest_shard
    documents, name = sources[source], f"{source}.{shard}"
    group = documents.ingested.shard(shard).facts["group"]
    with step.shard(name) as out:
        out.facts |= {"source": source, "group": group}
        tables = Tables()
        with contextlib.ExitStack() as stack:
            rows: dict[str, RowWriter] = {}
            for document in documents.read(shard):
                split = HELDOUT if is_heldout(group, document.id, cfg) else TRAIN
                if split not in rows:
                    rows[split] = _open(out, stack, split)
                rows[split].append(document.row())
                tables.add(document)
                out.counts["documents"] += 1
                out.counts[f"documents.{split}"] += 1
                out.counts[f"bytes.{split}"] += len(document.text.encode())
        out.facts |= tables.facts()


def _open(out: OpenShard, stack: contextlib.ExitStack, split: str) -> RowWriter:
    """Open the object of a split for writing; `stack` publishes it."""
    writer = stack.enter_context(out.publish(f"{out.name}/{split}.parquet"))
    return stack.enter_context(RowWriter(writer, SCHEMA))


class Tables:
    """How many documents there are of each licence, language, domain and length, in bounded memory.

    Common rows are exact: a row may lose documents to OTHER only in a table of more than HELD rows.
    """

    def __init__(self) -> None:
        self._tables: dict[str, Counter[str]] = {
            name: Counter() for name in ("licenses", "languages", "domains", "lengths")
        }

    def add(self, document: Document) -> None:
        """Count a document in every table."""
        self._count("licenses", document.license)
        self._count("languages", document.language)
        self._count("domains", domain(document.url))
        self._count("lengths", str(length_bound(len(document.text))))

    def facts(self) -> dict[str, dict[str, int]]:
        """Return the TOP rows of every table.

        The key of a row of `lengths` is the power of two, in characters, that its documents are shorter than.
        """
        return {name: dict(sorted(_top(table, TOP).items())) for name, table in self._tables.items()}

    def _count(self, name: str, key: str) -> None:
        table = self._tables[name]
        table[key] += 1
        if len(table) > HELD:
            self._tables[name] = _top(table, HELD // 2)


def _top(table: Counter[str], n: int) -> Counter[str]:
    """Return the n largest rows (equal ones by name), and the others together as OTHER."""
    other = table.pop(OTHER, 0)
    first = sorted(table.items(), key=lambda row: (-row[1], row[0]))
    kept = Counter(dict(first[:n]))
    if other := other + sum(count for _, count in first[n:]):
        kept[OTHER] = other
    return kept


def domain(url: str) -> str:
    """Return the host of a URL, without `www.`; empty where it has none, as for files and packages."""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:  # a web page may give itself any URL
        return ""


def length_bound(chars: int) -> int:
    """Return the smallest power of two above `chars`."""
    return 1 << chars.bit_length()
