"""The corpus: the documents that stay, as text, one object a split, with a dataset card beside them."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import yaml

from llama_core.corpus.document import SCHEMA, Rows, read_batches, read_documents
from llama_core.recipe import Recipe
from llama_core.step import Artifact, Step

REVISION = 1
SPLITS = ("train", "heldout")


def final_shard(step: Step, ingested: Artifact, decided: Artifact, source_name: str, shard: str) -> None:
    """Write shard `<source>.<shard>`: `train.parquet` and `heldout.parquet`, each if it has documents.

    documents.in = documents.train + documents.heldout + dropped.<reason>. Raises DamagedError.
    """
    name = f"{source_name}.{shard}"
    counts = decided.shard(name).counts
    with step.shard(name) as out:
        facts = ingested.shard(shard).facts
        out.facts |= {"source": source_name, "group": facts["group"]}
        licenses: Counter[str] = Counter()
        with contextlib.ExitStack() as stack:
            rows: dict[str, Rows] = {}
            for split in SPLITS:
                if counts.get(f"kept.{split}"):
                    writer = stack.enter_context(out.publish(f"{name}/{split}.parquet"))
                    rows[split] = stack.enter_context(Rows(writer, SCHEMA))
            documents = read_documents(ingested, shard)
            for document, decision in zip(documents, _decisions(decided, name), strict=True):
                assert document.id == decision["id"], f"{name}: decisions are not of these documents"
                out.counts["documents.in"] += 1
                if not decision["keep"]:
                    out.counts[f"dropped.{decision['reason']}"] += 1
                    continue
                split = decision["split"]
                rows[split].append(document.row())
                licenses[document.license] += 1
                out.counts[f"documents.{split}"] += 1
                out.counts[f"bytes.{split}"] += len(document.text.encode())
        out.facts["licenses"] = dict(sorted(licenses.items()))


def _decisions(decided: Artifact, name: str) -> Iterator[dict[str, Any]]:
    for batch in read_batches(decided, name, "decisions.parquet"):
        yield from batch.to_pylist()


def publish_card(corpus: Artifact, recipe: Recipe) -> None:
    """Write README.md into the corpus's folder, so that `datasets.load_dataset(folder)` reads it."""
    corpus.store.publish_bytes("README.md", dataset_card(corpus, recipe).encode())


def dataset_card(corpus: Artifact, recipe: Recipe) -> str:
    """Markdown with YAML at its top: a configuration with everything, and one a source."""
    sources = sorted(recipe.corpus.sources)
    configs = [_config("default", corpus, sources), *(_config(s, corpus, [s]) for s in sources)]
    head = yaml.safe_dump(
        {
            "pretty_name": f"{recipe.name} pretraining corpus",
            "configs": [c for c in configs if c["data_files"]],
        },
        sort_keys=False,
    )
    table = [
        "| source | documents | MB | held-out documents | MB |",
        "|---|---:|---:|---:|---:|",
        *(_row(source, corpus) for source in sources),
    ]
    licenses: Counter[str] = Counter()
    for shard in corpus.shards:
        licenses.update(shard.facts["licenses"])
    lines = [
        f"# {recipe.name} pretraining corpus",
        f"Made by the recipe `{recipe.name}`; step `corpus/{corpus.id[:16]}`. Each row is a document: "
        "`id, text, source, url, license, language, date, meta`. The held-out split shares no exact and no "
        "near-duplicate document with the training split.",
        "\n".join(table),
        "Licences, by number of documents: "
        + "; ".join(f"{name} ({count:,})" for name, count in licenses.most_common())
        + ".",
    ]
    return f"---\n{head}---\n" + "\n\n".join(lines) + "\n"


def _config(name: str, corpus: Artifact, sources: list[str]) -> dict[str, Any]:
    objects = [o.name for s in corpus.shards if s.facts["source"] in sources for o in s.objects]
    files = [
        {"split": split, "path": [n for n in objects if n.endswith(f"/{split}.parquet")]} for split in SPLITS
    ]
    return {"config_name": name, "data_files": [f for f in files if f["path"]]}


def _row(source: str, corpus: Artifact) -> str:
    counts: Counter[str] = Counter()
    for shard in corpus.shards:
        if shard.facts["source"] == source:
            counts.update(shard.counts)
    cells = [f"{counts[f'documents.{s}']:,} | {counts[f'bytes.{s}'] / 1e6:.2f}" for s in SPLITS]
    return f"| {source} | {' | '.join(cells)} |"
