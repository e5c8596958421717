"""What the corpus page tells: what went in, what each stage took out and why, and texts to be read by eye."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from typing import Any

from llama_core.corpus.decisions import Decision, read_decisions
from llama_core.corpus.document import Document, read_batches
from llama_core.corpus.documents import Documents
from llama_core.corpus.lookup import find_id, read_row
from llama_core.corpus.training_text import TrainingText
from llama_core.step import Artifact, Counts, Shard

KEPT_TEXTS = 6  # shown of a source
DROPPED_TEXTS = 12
QUARANTINED = 3  # records shown of each error
CUT_TEXTS, CUTS = 3, 5  # documents of each stage whose cuts are shown, and cuts of each
NOTED = 12  # other counts of a stage that are shown
EXCERPT = 900  # characters of a text that are shown
SHARDS_READ = 20  # of a source, for samples of what was left out for a reason
DOCUMENTS_READ = 2000  # of a source, for samples of cuts
SAMPLED = {"dropped": ("/dropped.parquet", "reason"), "quarantined": ("/quarantine.parquet", "error")}
LOST = ("non_content.", "dropped.", "quarantined.")
NAMES = {"Languages": "languages", "Licences": "licenses", "Domains": "domains"}  # facts that count documents


@dataclass(frozen=True)
class StageBalance:
    """What a stage did with what reached it: into = out + lost + aside, if nothing is lost by mistake.

    `handed`: the documents that go on. Of ingest, `into` and `out` are raw records, of which a document may
    be made of several.
    """

    stage: str
    into: int
    out: int
    handed: int
    lost: dict[str, int] = field(default_factory=dict)  # by reason, most first
    aside: int = 0  # held out of training
    bytes_out: int | None = None
    noted: dict[str, int] = field(default_factory=dict)  # what else was counted, most first
    came: int | None = None  # what the stage before has handed on

    @property
    def unit(self) -> str:
        return "records" if self.stage == "ingest" else "documents"

    @property
    def holds(self) -> bool:
        """Conservation, inside the stage and on the way to it."""
        balanced = self.into == self.out + self.aside + sum(self.lost.values())
        return balanced and self.came in (None, self.into)


def passage(stage: str, counts: Counts) -> StageBalance | None:
    """The balance of a stage by its counts; None where it passes no documents on."""
    lost = _most_first({k.split(".", 1)[1]: v for k, v in counts.items() if k.startswith(LOST) and v})
    documents, n_bytes = counts.get("documents", 0), counts.get("bytes")
    if stage == "ingest":
        return StageBalance(
            stage, counts.get("raw", 0), counts.get("members", 0), documents, lost, 0, n_bytes
        )
    if stage == "corpus":
        train, heldout = counts.get("documents.train", 0), counts.get("documents.heldout", 0)
        return StageBalance(stage, documents, train, train, lost, heldout, counts.get("bytes.train", 0))
    if "documents" in counts and "tokens" not in counts:
        kept = sum(v for k, v in counts.items() if k == "kept" or k.startswith("kept."))
        known = ("documents", "bytes", "kept", *LOST)
        noted = _most_first({k: v for k, v in counts.items() if not k.startswith(known)})
        return StageBalance(stage, documents, kept, kept, lost, 0, n_bytes, noted)
    return None


def _most_first(table: dict[str, int]) -> dict[str, int]:
    return dict(sorted(table.items(), key=lambda row: (-row[1], row[0])))


def passages(documents: Documents, text: TrainingText) -> list[StageBalance]:
    """The way of one source through the stages, from raw records to training text."""
    stages = [*documents.stages, *text.stages]
    counts = {artifact.stage: counts_of(documents, artifact) for artifact in stages}
    way = [p for stage in counts if (p := passage(stage, counts[stage]))]
    written = counts["corpus"]["bytes.train"] + counts["corpus"]["bytes.heldout"]
    way = [replace(p, bytes_out=written) if p.stage == "dedup" else p for p in way]  # it reads keys, not text
    return way[:1] + [replace(after, came=before.handed) for before, after in pairwise(way)]


def balance(way: Sequence[StageBalance]) -> list[dict[str, str]]:
    """A row for each stage, for a table."""
    return [
        {
            "stage": p.stage,
            "in": f"{p.into:,} {p.unit}",
            "out": f"{p.handed:,} documents",
            "text": "" if p.bytes_out is None else size(p.bytes_out),
            "held out": f"{p.aside:,}" if p.aside else "",
            "left out": ", ".join(f"{named(k)} {v:,}" for k, v in p.lost.items()),
            "counted": ", ".join(f"{named(k)} {v:,}" for k, v in islice(p.noted.items(), NOTED)),
            "balance": "holds" if p.holds else "DOES NOT HOLD",
        }
        for p in way
    ]


def named(reason: str) -> str:
    """A reason as a person reads it."""
    return reason.replace("_", " ").replace(".", " ")


def size(n_bytes: int) -> str:
    """As `12.3 MB`."""
    scaled, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if scaled < 1000:
            break
        scaled, unit = scaled / 1000, larger
    return f"{scaled:.0f} {unit}" if unit == "B" or scaled >= 100 else f"{scaled:.3g} {unit}"


def counts_of(documents: Documents, artifact: Artifact) -> Counter[str]:
    """The counts of a stage that are about one source."""
    counts: Counter[str] = Counter()
    for shard in documents.shards_of(artifact):
        counts.update(shard.counts)
    return counts


def merged_facts(documents: Documents, artifact: Artifact, name: str) -> Counter[str]:
    """A table that each shard keeps of its documents, such as `languages`, for the whole source."""
    merged: Counter[str] = Counter()
    for shard in documents.shards_of(artifact):
        merged.update(shard.facts.get(name, {}))
    return merged


def evaluation_sets(decontaminated: Artifact) -> list[dict[str, str]]:
    """A row for each evaluation set, for a table: what of it was compared, and with what result."""
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


def measures(documents: Documents) -> dict[str, list[dict[str, str]]]:
    """What stages have measured of a source's documents: tables, by their titles."""
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


def clusters(sources: Sequence[Documents]) -> list[dict[str, str]]:
    """A row, for a table, on the clusters of duplicates that dedup, the last stage, has found."""
    decided = sources[0].decided[-1:] if sources else ()
    if not decided or "clusters" not in (facts := decided[0].facts):
        return []
    lost = passage("dedup", decided[0].counts)
    assert lost is not None
    return [
        {
            "left out": ", ".join(f"{named(k)} {v:,}" for k, v in lost.lost.items()) or "none",
            "clusters of two documents or more": f"{facts['clusters']:,}",
            "documents in the largest": f"{facts['largest_cluster']:,}",
            "near-duplicates under 70 % like the one that stayed": _percent(facts["near_below_0.7"]),
        }
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


# --- texts to be read


@dataclass(frozen=True)
class Excerpt:
    what: str
    text: str


def kept_texts(documents: Documents, text: TrainingText) -> list[Excerpt]:
    """The beginnings of the first training documents of some shards."""
    shards = [s for s in documents.shards_of(text.corpus) if s.counts.get("documents.train")]
    chosen = _spread(shards, KEPT_TEXTS)
    found = []
    for shard in chosen:
        first = islice(text.read(shard.name), -(-KEPT_TEXTS // len(chosen)))
        found += [Excerpt(d.url or d.id, d.text[:EXCERPT]) for d in first]
    return found[:KEPT_TEXTS]


def dropped_texts(documents: Documents, text: TrainingText) -> list[Excerpt]:
    """A text for each reason that something was left out for, of the samples that the stages keep.

    Of too many reasons every stage shows its most frequent ones, in its turn.
    """
    by_stage = [
        [
            Excerpt(f"{a.stage}: {named(row['reason'])} ({row['record']})", row["text"][:EXCERPT])
            for row in _samples(a, documents.shards_of(a), "dropped", 1)
        ]
        for a in (*documents.stages, *text.stages)
    ]
    turns = [(turn, stage) for stage, found in enumerate(by_stage) for turn in range(len(found))]
    shown = sorted((stage, turn) for turn, stage in sorted(turns)[:DROPPED_TEXTS])
    return [by_stage[stage][turn] for stage, turn in shown]


def quarantined(documents: Documents) -> list[dict[str, Any]]:
    """Rows for a table: some records that could not be read, of each error."""
    shards = documents.shards_of(documents.ingested)
    return _samples(documents.ingested, shards, "quarantined", QUARANTINED)


def _samples(artifact: Artifact, shards: list[Shard], kind: str, each: int) -> list[dict[str, Any]]:
    """Of what was `dropped` or `quarantined`, some rows for each reason, the most frequent reason first."""
    ending, column = SAMPLED[kind]
    counts: Counter[str] = Counter()
    for shard in shards:
        counts.update({k: n for k, n in shard.counts.items() if k.startswith(f"{kind}.") and n})
    found: list[dict[str, Any]] = []
    for key in _most_first(counts):
        having = [s for s in shards if s.counts.get(key) and any(o.name.endswith(ending) for o in s.objects)]
        rows = (row for s in _spread(having, SHARDS_READ) for row in _rows(artifact, s.name, ending))
        found += islice((row for row in rows if f"{kind}.{row[column]}" == key), each)
    return found


def cut_texts(documents: Documents) -> list[Excerpt]:
    """What each stage has cut out of the first documents that it cut."""
    found = []
    for i, artifact in enumerate(documents.decided):
        before = Documents(documents.source, documents.ingested, documents.decided[:i])
        cut = (e for e in map(_cuts_of, _first_judged(before, artifact)) if e.text)
        found += [Excerpt(f"{artifact.stage}: {e.what}", e.text[:EXCERPT]) for e in islice(cut, CUT_TEXTS)]
    return found


def _first_judged(before: Documents, artifact: Artifact) -> Iterator[tuple[Document, Decision]]:
    """The first documents as they reached a stage, with its decisions."""
    for shard in before.shards[:1]:
        [judged] = before.about(artifact, shard.name)
        pairs = zip(before.read(shard.name), read_decisions(artifact, judged.name), strict=True)
        yield from islice(pairs, DOCUMENTS_READ)


def _cuts_of(judged: tuple[Document, Decision]) -> Excerpt:
    document, decision = judged
    cuts = [
        f"{document.text[cut.start : cut.end]!r}" + (f" → {cut.put!r}" if cut.put else "")
        for cut in decision.cuts[:CUTS]
        if decision.keep
    ]
    return Excerpt(document.url or document.id, "\n".join(cuts))


@dataclass(frozen=True)
class Pair:
    """A document that was dropped, and the one that it was found to be like; as they were ingested."""

    similarity: float
    dropped: Excerpt
    kept: Excerpt


def duplicates(sources: Sequence[Documents]) -> list[Pair]:
    """The examples of near-duplicates that dedup, the last stage, has noted."""
    by_name = {d.source: d for d in sources}
    pairs = sources[0].decided[-1].facts.get("pairs", []) if sources and sources[0].decided else []
    return [
        Pair(pair["similarity"], *(_ingested(by_name, pair[which]) for which in ("dropped", "kept")))
        for pair in pairs
    ]


def _ingested(sources: dict[str, Documents], where: Sequence[str]) -> Excerpt:
    source, shard, document_id = where
    artifact = sources[source].ingested
    place = find_id(artifact, [artifact.shard(shard)], "documents.parquet", document_id)
    assert place is not None, f"{source}.{shard} has no document {document_id}"
    row = read_row(place, ["url", "text"])
    return Excerpt(row["url"] or document_id, row["text"][:EXCERPT])


def _rows(artifact: Artifact, shard: str, ending: str) -> Iterator[dict[str, Any]]:
    for batch in read_batches(artifact, shard, ending):
        yield from batch.to_pylist()


def _spread(shards: list[Shard], n: int) -> list[Shard]:
    """At most n of them, evenly spread."""
    return [shards[i * len(shards) // n] for i in range(n)] if len(shards) > n else shards
