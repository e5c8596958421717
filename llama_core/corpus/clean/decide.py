"""Writing a shard of decisions, which every stage of cleaning does for each ingest shard."""

from collections import Counter
from collections.abc import Iterable, Iterator

from llama_core.corpus.decisions import ENDING, Decision, bytes_left, write_decisions
from llama_core.corpus.document import DROPPED_SCHEMA, Document, RowWriter
from llama_core.corpus.ingest import SAMPLE_CHARS, SAMPLES
from llama_core.step import Step


def decide_shard(
    step: Step,
    shard: str,
    decisions: Iterable[tuple[Document, Decision]],
    tally: Counter[str] | None = None,
) -> None:
    """Commit the decisions on the documents of an ingest shard, and samples of what was dropped.

    `decisions`: each document as it reached the stage, with the decision on it. The counts of the shard are
    the `documents` that reached the stage, those `kept`, those `dropped.<reason>`, the `bytes` (UTF-8) of the
    text that stays, and those of `tally`, which is read when all decisions are written.
    """
    samples: list[tuple[str, str, str]] = []
    sampled: Counter[str] = Counter()
    with step.shard(shard) as out:
        counts = out.counts
        counts.update(documents=0, kept=0, bytes=0)

        def decided() -> Iterator[Decision]:
            for document, decision in decisions:
                counts["documents"] += 1
                if decision.keep:
                    counts["kept"] += 1
                    counts["bytes"] += bytes_left(document.text, decision.cuts)
                else:
                    reason = decision.reason
                    counts[f"dropped.{reason}"] += 1
                    if sampled[reason] < SAMPLES:
                        sampled[reason] += 1
                        samples.append((reason, document.id, document.text[:SAMPLE_CHARS]))
                yield decision

        with out.publish(f"{shard}/{ENDING}") as writer:
            write_decisions(writer, decided())
        counts.update(tally or {})
        if samples:
            with out.publish(f"{shard}/dropped.parquet") as writer, RowWriter(writer, DROPPED_SCHEMA) as rows:
                for sample in samples:
                    rows.append(sample)
