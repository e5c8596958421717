"""What the stages have measured of the documents: tables by source, of duplicates and of evaluation sets."""

from collections import Counter
from collections.abc import Sequence

from llama_core.artifact import Artifact
from llama_core.corpus.documents import Documents
from llama_core.corpus.report.balance import in_words, stage_balance

NAMES = {"Languages": "languages", "Licences": "licenses", "Domains": "domains"}  # facts that count documents


def merged_facts(documents: Documents, artifact: Artifact, name: str) -> Counter[str]:
    """Return a table that each shard keeps of its documents, such as `languages`, for the whole source."""
    merged: Counter[str] = Counter()
    for shard in documents.shards_of(artifact):
        merged.update(shard.facts.get(name, {}))
    return merged


def measures(documents: Documents) -> dict[str, list[dict[str, str]]]:
    """Return what the stages have measured of a source's documents: the rows of tables, by their titles."""
    found: dict[str, list[dict[str, str]]] = {}
    for artifact in documents.decided:
        facts = artifact.facts
        if cutoffs := facts.get("cutoffs"):
            found["Perplexity, up to which a document is in the bucket"] = [
                {"language": language, "head": f"{head:,}", "middle": f"{middle:,}"}
                for language, (head, middle) in sorted(cutoffs.items())
            ]
        if "auc" in facts:
            found["The classifier of references, on examples held out from its training"] = [
                {
                    "examples": f"{facts['held_out']:,}",
                    "accuracy": _percent(facts["accuracy"]),
                    "AUC": f"{facts['auc']:.4g}",
                    "cited pages that it keeps": _percent(facts["cited_kept"]),
                    "random pages that it keeps": _percent(facts["random_kept"]),
                }
            ]
    return found


def duplicate_clusters(sources: Sequence[Documents]) -> list[dict[str, str]]:
    """Return a row, for a table, on the clusters of duplicates that dedup, the last stage, has found."""
    decided = sources[0].decided[-1:] if sources else ()
    if not decided or "clusters" not in (facts := decided[0].facts):
        return []
    balance = stage_balance("dedup", decided[0].counts)
    assert balance is not None
    return [
        {
            "left out": in_words(balance.lost) or "none",
            "clusters of two documents or more": f"{facts['clusters']:,}",
            "documents in the largest": f"{facts['largest_cluster']:,}",
            "near-duplicates under 70 % like the one that stayed": _percent(facts["near_below_0.7"]),
        }
    ]


def evaluation_sets(decontaminated: Artifact) -> list[dict[str, str]]:
    """Return a row for each evaluation set, for a table: what of it was compared, and with what result."""
    return [
        {
            "evaluation set": name,
            "items": f"{counts['items']:,}",
            "items too short to tell": f"{counts['unchecked_items']:,}",
            "texts compared": f"{counts['passages']:,}",
            "training documents that hold some": f"{decontaminated.counts.get(f'hits.{name}', 0):,}",
        }
        for name, counts in decontaminated.facts["benchmarks"].items()
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
