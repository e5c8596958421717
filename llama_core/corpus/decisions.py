"""Decisions: what the stages between ingest and the final corpus write instead of text.

A stage writes one row for each document that reached it, in the order of ingest: whether it is kept, the
reason, the evidence, and the spans to cut. Spans are in characters of the text as it reached the stage, so
that decisions are applied one after another.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pyarrow as pa

from llama_core.artifact import Artifact
from llama_core.corpus.document import RowWriter, read_batches
from llama_core.objects import Writer
from llama_core.parse import json_fields

ENDING = "decisions.parquet"
_to_json = json.JSONEncoder(sort_keys=True).encode  # `json.dumps` would make an encoder for each


@dataclass(frozen=True, slots=True)
class Cut:
    """A span of a text, characters [start, end), that is replaced by `put`."""

    start: int
    end: int
    put: str = ""


@dataclass(slots=True)
class Decision:
    """What a stage decides about one document."""

    id: str
    """The document's id."""
    reason: str = ""
    """Why it is dropped; empty if it is kept."""
    evidence: dict[str, Any] = field(default_factory=dict)
    """What the decision was made on, as JSON values."""
    cuts: Sequence[Cut] = ()
    """What is cut out of its text, in order and without overlap."""
    language: str = ""
    """Its language, if this stage has identified it."""

    @property
    def keep(self) -> bool:
        """True if the document is kept."""
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
    """Write decisions as an object of Parquet, one row of SCHEMA for each."""
    with RowWriter(writer, SCHEMA) as rows:
        for d in decisions:
            cuts = [{"start": c.start, "end": c.end, "put": c.put} for c in d.cuts]
            evidence = _to_json(d.evidence) if d.evidence else ""
            rows.append((d.id, d.keep, d.reason, evidence, cuts, d.language))


def read_decisions(artifact: Artifact, shard: str) -> Iterator[Decision]:
    """Yield the decisions of one shard. Their digest is checked first: raises DamagedError."""
    for batch in read_batches(artifact, shard, ENDING, SCHEMA.names):
        # A column at a time: rows of dictionaries take twice as long.
        names = ("id", "reason", "evidence", "language")
        columns = [batch.column(name).to_pylist() for name in names]
        spans = pairwise(batch.column("cuts").offsets.to_pylist())
        cuts = [*map(Cut, *(part.to_pylist() for part in batch.column("cuts").values.flatten()))]
        for id, reason, evidence, language, (first, last) in zip(*columns, spans, strict=True):
            yield Decision(id, reason, _evidence(id, evidence), cuts[first:last], language)


def decision_of(row: dict[str, Any]) -> Decision:
    """Return the decision in a row of SCHEMA."""
    cuts = [Cut(c["start"], c["end"], c["put"]) for c in row["cuts"]]
    return Decision(row["id"], row["reason"], _evidence(row["id"], row["evidence"]), cuts, row["language"])


def _evidence(id: str, text: str) -> dict[str, Any]:
    return json_fields(text, f"the evidence on {id}") if text else {}


def apply_cuts(text: str, cuts: Sequence[Cut]) -> str:
    """Return `text` with its cuts made. They are in order and do not overlap."""
    if not cuts:
        return text
    parts: list[str] = []
    at = 0
    for cut in cuts:
        parts += (text[at : cut.start], cut.put)
        at = cut.end
    return "".join((*parts, text[at:]))


def bytes_left(text: str, cuts: Sequence[Cut]) -> int:
    """Return how many bytes of UTF-8 a text has once its cuts are made."""
    if not text.isascii():
        return len(apply_cuts(text, cuts).encode())
    return len(text) + sum([cut.start - cut.end + len(cut.put.encode()) for cut in cuts])


def compose(first: Sequence[Cut], then: Sequence[Cut]) -> list[Cut]:
    """Return one sequence of cuts that does what `first` does, and then `then` on the text that it leaves."""
    # The parts of the resulting text: spans (start, end) of the original, or strings that were put into it.
    pieces: list[tuple[int, int, str]] = []
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
    """Return the parts of a text that cuts leave or put in, the last part first.

    The text's length is not known here, so the last part has no end.
    """
    pieces: list[tuple[int, int, str]] = []
    at = 0
    for cut in cuts:
        pieces += ((at, cut.start, ""), (0, 0, cut.put))
        at = cut.end
    return [*pieces, (at, sys.maxsize, "")][::-1]


def _take(rest: list[tuple[int, int, str]], n: int) -> list[tuple[int, int, str]]:
    """Take the next n characters off the end of `rest`, and return their parts in order."""
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
