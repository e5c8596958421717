"""Texts to be read by eye: what was kept, what was left out, what could not be read and what was cut."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from llama_core.artifact import Artifact, Shard
from llama_core.corpus.decisions import Decision, read_decisions
from llama_core.corpus.document import Document, read_batches
from llama_core.corpus.documents import Documents
from llama_core.corpus.lookup import find_id, read_row
from llama_core.corpus.report.balance import most_first, named
from llama_core.corpus.training_text import TrainingText

KEPT_TEXTS = 6  # shown of a source
DROPPED_TEXTS = 12
QUARANTINED = 3  # records shown of each error
CUT_TEXTS, CUTS = 3, 5  # documents of each stage whose cuts are shown, and cuts of each
EXCERPT = 900  # characters of a text that are shown
SHARDS_READ = 20  # of a source, for samples of what was left out for a reason
DOCUMENTS_READ = 2000  # of a source, for samples of cuts
# The object of a shard that holds samples, and its column that says why.
SAMPLED = {"dropped": ("/dropped.parquet", "reason"), "quarantined": ("/quarantine.parquet", "error")}


@dataclass(frozen=True)
class Excerpt:
    """The beginning of a text, and a line that says what it is: an address, or why it was left out."""

    what: str
    text: str


@dataclass(frozen=True)
class Pair:
    """A document that was dropped, and the one that it was found to be like; as they were ingested."""

    similarity: float
    dropped: Excerpt
    kept: Excerpt


def kept_texts(documents: Documents, text: TrainingText) -> list[Excerpt]:
    """Return the beginnings of the first training documents of some shards."""
    shards = [s for s in documents.shards_of(text.corpus) if s.counts.get("documents.train")]
    chosen = _spread(shards, KEPT_TEXTS)
    found = []
    for shard in chosen:
        first = islice(text.read(shard.name), -(-KEPT_TEXTS // len(chosen)))
        found += [Excerpt(d.url or d.id, d.text[:EXCERPT]) for d in first]
    return found[:KEPT_TEXTS]


def dropped_texts(documents: Documents, text: TrainingText) -> list[Excerpt]:
    """Return a text for each reason to leave something out, from the samples that the stages keep.

    If there are too many reasons, the most frequent ones of every stage are shown, stage by stage.
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
    """Return some records that could not be read, for each error, as rows for a table."""
    shards = documents.shards_of(documents.ingested)
    return _samples(documents.ingested, shards, "quarantined", QUARANTINED)


def cut_texts(documents: Documents) -> list[Excerpt]:
    """Return what each stage has cut out of the first documents that it cut."""
    found = []
    for i, artifact in enumerate(documents.decided):
        before = Documents(documents.source, documents.ingested, documents.decided[:i])
        cut = (e for e in map(_cuts_of, _first_judged(before, artifact)) if e.text)
        found += [Excerpt(f"{artifact.stage}: {e.what}", e.text[:EXCERPT]) for e in islice(cut, CUT_TEXTS)]
    return found


def duplicates(sources: Sequence[Documents]) -> list[Pair]:
    """Return the examples of near-duplicates that dedup, the last stage, has noted."""
    by_name = {d.source: d for d in sources}
    pairs = sources[0].decided[-1].facts.get("pairs", []) if sources and sources[0].decided else []
    return [
        Pair(pair["similarity"], _ingested(by_name, pair["dropped"]), _ingested(by_name, pair["kept"]))
        for pair in pairs
    ]


def _samples(artifact: Artifact, shards: list[Shard], kind: str, each: int) -> list[dict[str, Any]]:
    """Return `each` rows for every reason that something was `dropped` or `quarantined` for, as `kind` says.

    The most frequent reason comes first.
    """
    ending, column = SAMPLED[kind]
    counts: Counter[str] = Counter()
    for shard in shards:
        counts.update({k: n for k, n in shard.counts.items() if k.startswith(f"{kind}.") and n})
    found: list[dict[str, Any]] = []
    for key in most_first(counts):
        having = [s for s in shards if s.counts.get(key) and any(o.name.endswith(ending) for o in s.objects)]
        rows = (row for s in _spread(having, SHARDS_READ) for row in _rows(artifact, s.name, ending))
        found += islice((row for row in rows if f"{kind}.{row[column]}" == key), each)
    return found


def _rows(artifact: Artifact, shard: str, ending: str) -> Iterator[dict[str, Any]]:
    for batch in read_batches(artifact, shard, ending):
        yield from batch.to_pylist()


def _first_judged(before: Documents, artifact: Artifact) -> Iterator[tuple[Document, Decision]]:
    """Yield the first documents as they reached a stage, with its decisions."""
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


def _ingested(sources: dict[str, Documents], where: Sequence[str]) -> Excerpt:
    source, shard, document_id = where
    artifact = sources[source].ingested
    place = find_id(artifact, [artifact.shard(shard)], "documents.parquet", document_id)
    assert place is not None, f"{source}.{shard} has no document {document_id}"
    row = read_row(place, ["url", "text"])
    return Excerpt(row["url"] or document_id, row["text"][:EXCERPT])


def _spread(shards: list[Shard], n: int) -> list[Shard]:
    """Return at most n of the shards, evenly spread."""
    return [shards[i * len(shards) // n] for i in range(n)] if len(shards) > n else shards
