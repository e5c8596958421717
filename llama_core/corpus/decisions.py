"""Decisions: what the stages between ingest and the final corpus write instead of text.

A stage has one row for each document that reached it, in the order of ingest: keep or drop, the reason,
the evidence, and the spans to cut. Spans are in characters of the text as it reached the stage, so that
decisions are applied one after another.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from llama_core.artifact import Artifact
from llama_core.corpus.document import RowWriter, read_batches
from llama_core.store import Writer

ENDING = "decisions.parquet"


@dataclass(frozen=True, slots=True)
class Cut:
    """Characters [start, end) of a text give way to `put`."""

    start: int
    end: int
    put: str = ""


@dataclass(slots=True)
class Decision:
    """`reason` is empty where the document is kept. `evidence`: JSON, what the decision was made on."""

    id: str
    reason: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    cuts: Sequence[Cut] = ()
    language: str = ""  # where this stage has identified it

    @property
    def keep(self) -> bool:
        return not self.reason


_CUT = pa.struct([("start", pa.int64()), ("end", pa.int64()), ("put", pa.string())])
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("keep", pa.bool_()),
        ("reason", pa.string()),
        ("evidence", pa.string()),
        ("cuts", pa.list_(_CUT)),
        ("language", pa.string()),
    ]
)


def write_decisions(writer: Writer, decisions: Iterable[Decision]) -> None:
    with RowWriter(writer, SCHEMA) as rows:
        for d in decisions:
            cuts = [{"start": c.start, "end": c.end, "put": c.put} for c in d.cuts]
            evidence = json.dumps(d.evidence, sort_keys=True) if d.evidence else ""
            rows.append((d.id, d.keep, d.reason, evidence, cuts, d.language))


def read_decisions(artifact: Artifact, shard: str) -> Iterator[Decision]:
    """The decisions of one shard, streamed; their digest is checked first. Raises DamagedError."""
    for batch in read_batches(artifact, shard, ENDING):
        yield from map(decision_of, batch.to_pylist())


def decision_of(row: dict[str, Any]) -> Decision:
    """A row of SCHEMA as a decision."""
    cuts = [Cut(c["start"], c["end"], c["put"]) for c in row["cuts"]]
    evidence = json.loads(row["evidence"]) if row["evidence"] else {}
    return Decision(row["id"], row["reason"], evidence, cuts, row["language"])


def apply_cuts(text: str, cuts: Sequence[Cut]) -> str:
    """`text` without the spans, which stand in order and do not overlap."""
    if not cuts:
        return text
    parts: list[str] = []
    at = 0
    for cut in cuts:
        parts += (text[at : cut.start], cut.put)
        at = cut.end
    return "".join((*parts, text[at:]))


def compose(first: Sequence[Cut], then: Sequence[Cut]) -> list[Cut]:
    """One sequence of cuts that does what `first`, and `then` on what it left, do together."""
    pieces: list[tuple[int, int, str]] = []  # of what is left: spans of the text, or strings put into it
    rest = _pieces_after(first)
    at = 0
    for cut in then:
        pieces += _take(rest, cut.start - at)
        _take(rest, cut.end - cut.start)
        pieces.append((0, 0, cut.put))
        at = cut.end
    composed: list[Cut] = []
    at, put = 0, ""
    for start, end, string in (*pieces, *reversed(rest)):
        if start == end:
            put += string
            continue
        if start > at or put:
            composed.append(Cut(at, start, put))
        at, put = end, ""
    return composed


def _pieces_after(cuts: Sequence[Cut]) -> list[tuple[int, int, str]]:
    """Last piece first; it has no end, as the text's length is not known."""
    pieces: list[tuple[int, int, str]] = []
    at = 0
    for cut in cuts:
        pieces += ((at, cut.start, ""), (0, 0, cut.put))
        at = cut.end
    return [*pieces, (at, sys.maxsize, "")][::-1]


def _take(rest: list[tuple[int, int, str]], n: int) -> list[tuple[int, int, str]]:
    """The next n characters."""
    taken: list[tuple[int, int, str]] = []
    while n > 0:
        start, end, string = rest.pop()
        size = end - start or len(string)
        if size > n:
            rest.append((start + n, end, "") if end else (0, 0, string[n:]))
            end, string = (start + n, "") if end else (0, string[:n])
        taken.append((start, end, string))
        n -= min(n, size)
    return taken
