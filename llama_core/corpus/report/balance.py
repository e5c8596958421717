"""The balance of the stages: what came into each, what it passed on, and what it left out and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise

from llama_core.artifact import Artifact, Counts
from llama_core.corpus.documents import Documents
from llama_core.corpus.training_text import TrainingText

LOST = ("non_content.", "dropped.", "quarantined.")  # what the names of counts of what is left out begin with
NOTED = 12  # other counts of a stage that are shown


@dataclass(frozen=True)
class StageBalance:
    """The sums of a stage: `into` is `out` + `held_out` + all of `lost`, if nothing is lost by mistake."""

    stage: str
    into: int
    """Documents that the stage was given; of ingest, raw records."""
    out: int
    """Documents that the stage kept; of ingest, the raw records that are in a document."""
    passed_on: int
    """Documents that go on to the next stage. Ingest may make one of several raw records."""
    lost: dict[str, int] = field(default_factory=dict)
    """What was left out, by reason, the most frequent first."""
    held_out: int = 0
    """Documents that are kept for evaluation."""
    bytes_out: int | None = None
    """Bytes of text that go on; None where the stage does not count them."""
    noted: dict[str, int] = field(default_factory=dict)
    """What else the stage counted, the largest number first."""
    expected: int | None = None
    """Documents that the stage before passed on; None where that is not known."""

    @property
    def unit(self) -> str:
        """What `into`, `out` and `lost` count."""
        return "records" if self.stage == "ingest" else "documents"

    @property
    def holds(self) -> bool:
        """True if nothing is missing, neither inside the stage nor between it and the stage before."""
        balanced = self.into == self.out + self.held_out + sum(self.lost.values())
        return balanced and self.expected in (None, self.into)


def stage_balance(stage: str, counts: Counts) -> StageBalance | None:
    """Return the balance of a stage by its counts, or None if it passes no documents on."""
    lost = most_first({k.split(".", 1)[1]: v for k, v in counts.items() if k.startswith(LOST) and v})
    documents, n_bytes = counts.get("documents", 0), counts.get("bytes")
    if stage == "ingest":
        raw, members = counts.get("raw", 0), counts.get("members", 0)
        noted = {k: v for k, v in counts.items() if k in ("skipped_bytes", "mended_rows") and v}
        return StageBalance(stage, raw, members, documents, lost, bytes_out=n_bytes, noted=noted)
    if stage == "corpus":
        train, heldout = counts.get("documents.train", 0), counts.get("documents.heldout", 0)
        n_bytes = counts.get("bytes.train", 0)
        return StageBalance(stage, documents, train, train, lost, heldout, n_bytes)
    if "documents" in counts and "tokens" not in counts:
        kept = sum(v for k, v in counts.items() if k == "kept" or k.startswith("kept."))
        known = ("documents", "bytes", "kept", *LOST)
        noted = most_first({k: v for k, v in counts.items() if not k.startswith(known)})
        return StageBalance(stage, documents, kept, kept, lost, bytes_out=n_bytes, noted=noted)
    return None


def source_balances(documents: Documents, text: TrainingText) -> list[StageBalance]:
    """Return the balance of every stage for one source, from raw records to training text."""
    stages = [*documents.stages, *text.stages]
    counts = {artifact.stage: counts_of(documents, artifact) for artifact in stages}
    found = [b for stage in counts if (b := stage_balance(stage, counts[stage]))]
    written = counts["corpus"]["bytes.train"] + counts["corpus"]["bytes.heldout"]
    # Dedup reads keys, not text: what it kept is what the corpus wrote.
    found = [replace(b, bytes_out=written) if b.stage == "dedup" else b for b in found]
    return found[:1] + [replace(b, expected=before.passed_on) for before, b in pairwise(found)]


def balance_rows(balances: Sequence[StageBalance]) -> list[dict[str, str]]:
    """Return a row for each stage, for a table."""
    return [
        {
            "stage": b.stage,
            "in": f"{b.into:,} {b.unit}",
            "out": f"{b.passed_on:,} documents",
            "text": "" if b.bytes_out is None else size(b.bytes_out),
            "held out": f"{b.held_out:,}" if b.held_out else "",
            "left out": in_words(b.lost),
            "counted": in_words(dict(islice(b.noted.items(), NOTED))),
            "balance": "holds" if b.holds else "DOES NOT HOLD",
        }
        for b in balances
    ]


def counts_of(documents: Documents, artifact: Artifact) -> Counter[str]:
    """Return the counts of a stage that are about one source."""
    counts: Counter[str] = Counter()
    for shard in documents.shards_of(artifact):
        counts.update(shard.counts)
    return counts


def most_first(counts: dict[str, int]) -> dict[str, int]:
    """Return the counts with the largest first, and equal ones by name."""
    return dict(sorted(counts.items(), key=lambda row: (-row[1], row[0])))


def in_words(counts: dict[str, int]) -> str:
    """Return counts as a person reads them, such as `too short 70, empty 45`."""
    return ", ".join(f"{named(name)} {count:,}" for name, count in counts.items())


def named(reason: str) -> str:
    """Return the name of a reason as a person reads it."""
    return reason.replace("_", " ").replace(".", " ")


def size(n_bytes: int) -> str:
    """Return a number of bytes as a person reads it, such as `12.3 MB`."""
    scaled, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if scaled < 1000:
            break
        scaled, unit = scaled / 1000, larger
    return f"{scaled:.0f} {unit}" if unit == "B" or scaled >= 100 else f"{scaled:.3g} {unit}"
