"""From a document to the raw file and every decision about it; from a snippet to the documents that hold it.

    python -m llama_core.corpus.trace STORE --id 3f0c...        whatever became of the document
    python -m llama_core.corpus.trace STORE --text "a snippet"  in the text of the final corpus

With --source NAME only that source is read, which at terabytes is so much less. STORE is the URL of a store,
of which the last corpus is taken, or of a corpus on it.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from threading import Event

import pyarrow.compute as pc

from llama_core.corpus.corpus import SPLITS
from llama_core.corpus.decisions import ENDING, Decision, Documents, apply_cuts, decision_of
from llama_core.corpus.decisions import SCHEMA as DECISION
from llama_core.corpus.document import SCHEMA, Document, document_id
from llama_core.corpus.lookup import RowAddress, batches, find_id, read_row, side_by_side
from llama_core.corpus.sources.places import take_place
from llama_core.errors import InputError, LlamaError
from llama_core.step import MANIFEST, Artifact, Shard
from llama_core.store import Store

CONTEXT = 100  # characters shown around a snippet
CUTS = 10  # shown of a decision
CUT_CHARS = 80
NAME = 32  # characters of a stage and its id
NEXT = "\nwhat became of one of them: give its id to --id, and its source to --source"


@dataclass(frozen=True)
class StageDecision:
    """What a stage decided about a document, whose text reached it as `text`."""

    artifact: Artifact
    shard: str
    decision: Decision
    text: str


@dataclass(frozen=True)
class Trace:
    """All that a store knows of a document of a corpus."""

    document: Document  # as ingested
    place: RowAddress
    judged: list[StageDecision]  # in the order of the stages, up to the one that dropped it
    corpus: RowAddress | None  # where it lies in the final corpus
    contaminated: list[StageDecision]  # of each decontamination of this corpus


@dataclass(frozen=True)
class Hit:
    """A document of the corpus that holds a snippet, with the text around it."""

    source: str
    shard: str
    split: str
    id: str
    url: str
    around: str


def open_corpus(url: str) -> tuple[Store, Artifact]:
    """The store and the corpus that a URL names. Raises InputError where there is none."""
    store = Store(url)
    if store.exists(MANIFEST):
        root, stage, folder = store.url.rsplit("/", 2)
        if stage != "corpus":
            raise InputError(f"{store.url} is no corpus: give the URL of a store, or of a corpus on it")
        return Store(root), Artifact.load(Store(root), f"{stage}/{folder}")
    found = artifacts(store, "corpus")
    if not found:
        raise InputError(f"there is no corpus in {store.url}: give the URL of a store, or of a corpus on it")
    return store, found[-1]


def artifacts(store: Store, stage: str) -> list[Artifact]:
    """The finished steps of a stage, the last one last."""
    names = [name for name in store.list(stage) if name.endswith(f"/{MANIFEST}")]
    found = [Artifact.load(store, name.rsplit("/", 1)[0]) for name in names]
    return sorted(found, key=lambda a: (a.manifest["finished"], a.id))


def sources_of(store: Store, corpus: Artifact) -> list[Documents]:
    """The artifacts that a corpus was made from, as its manifest names them."""
    found = []
    for source, folders in corpus.parents.items():
        ingested, *decided = (Artifact.load(store, folder) for folder in folders)
        found.append(Documents(source, ingested, tuple(decided)))
    return found


def chosen(corpus: Artifact, source: str | None) -> list[str]:
    """The names of the corpus's sources, or of the one. Raises InputError where it has no such source."""
    names = list(corpus.parents)
    if source is not None and source not in names:
        raise InputError(f"{corpus.url} has no source {source}: its sources are {', '.join(names)}")
    return names if source is None else [source]


def decontaminations(store: Store, corpus: Artifact) -> list[Artifact]:
    """Those of this corpus, the last one last."""
    return [a for a in artifacts(store, "decontaminate") if a.parents["corpus"] == [corpus.name]]


def trace(store: Store, corpus: Artifact, document_id: str, source: str | None = None) -> Trace:
    """Reads the ids of all ingested documents, or of one source's, and then one shard of each stage.

    Raises InputError where no source of the corpus has a document of this id.
    """
    names = chosen(corpus, source)
    for documents in (d for d in sources_of(store, corpus) if d.source in names):
        place = find_id(documents.ingested, documents.shards, "documents.parquet", document_id)
        if place:
            break
    else:
        raise InputError(f"no document of {corpus.url} ({', '.join(names)}) has the id {document_id}")
    document = Document(**read_row(place, SCHEMA.names))
    text, judged = document.text, []
    for artifact in documents.decided:
        found = _judged(documents, artifact, place.shard.name, document_id, text)
        if found is None:  # an earlier stage has dropped it
            break
        judged.append(found)
        text = apply_cuts(text, found.decision.cuts)
    [written] = documents.about(corpus, place.shard.name)
    places = [find_id(corpus, [written], f"/{split}.parquet", document_id) for split in SPLITS]
    found_in = [
        _judged(documents, a, place.shard.name, document_id, text) for a in decontaminations(store, corpus)
    ]
    return Trace(
        document,
        place,
        judged,
        next(filter(None, places), None),
        [found for found in found_in if found],
    )


def _judged(
    documents: Documents, artifact: Artifact, shard: str, document_id: str, text: str
) -> StageDecision | None:
    place = find_id(artifact, documents.about(artifact, shard), ENDING, document_id)
    return (
        StageDecision(artifact, place.shard.name, decision_of(read_row(place, DECISION.names)), text)
        if place
        else None
    )


def find_text(corpus: Artifact, snippet: str, limit: int, source: str | None = None) -> list[Hit]:
    """At most `limit` documents of the corpus, or of one source of it, that hold a snippet, exactly, in the
    order of their shards. Raises InputError where there is no such source."""
    names = chosen(corpus, source)
    enough = Event()

    def hits_in(shard: Shard) -> list[Hit]:
        found: list[Hit] = []
        for split in SPLITS:
            for batch in batches(corpus, shard, f"/{split}.parquet", ["id", "text", "url"]):
                for row in batch.filter(pc.match_substring(batch.column("text"), snippet)).to_pylist():
                    around = _around(row["text"], snippet)
                    found.append(Hit(shard.facts["source"], shard.name, split, row["id"], row["url"], around))
                    if len(found) == limit:
                        return found
                if enough.is_set():
                    return found
        return found

    shards = [shard for shard in corpus.shards if shard.facts["source"] in names]
    with contextlib.closing(side_by_side(hits_in, shards)) as found:
        try:
            return list(islice(chain.from_iterable(found), limit))
        finally:
            enough.set()  # for the shards after these, some of which are being read


def left_out(hit: Hit, decontaminated: list[Artifact]) -> list[str]:
    """By which of the decontaminations of its corpus a hit is left out of training, and why: a line each."""
    lines = []
    for artifact in decontaminated:
        shards = [artifact.shard(hit.shard)] if artifact.has(hit.shard) else []
        place = find_id(artifact, shards, ENDING, hit.id)
        reason = read_row(place, ["reason"])["reason"] if place else ""
        if reason:
            lines.append(f"left out of training by {artifact.name}: {reason}")
    return lines


def _around(text: str, snippet: str) -> str:
    at = text.index(snippet)
    return text[max(0, at - CONTEXT) : at + len(snippet) + CONTEXT]


def record_number(found: Trace) -> int | None:
    """Which record of its file a document was, counted from 0, where the file's records have no other name.

    Read off the id, which is made of the file and the number; None where `meta` says the place.
    """
    d, shard = found.document, found.place.shard
    names = ((n, f"{shard.facts['url']}#{n}") for n in range(shard.counts.get("raw", 0)))
    return next((n for n, name in names if document_id(d.source, name) == d.id), None)


# --- what a person reads


def told(found: Trace) -> Iterator[str]:
    """A trace, line by line."""
    d, place = found.document, found.place
    yield f"document {d.id}"
    for name, value in _facts(found).items():
        yield f"  {name:<10} {value}"
    yield f"{place.artifact.name:<{NAME}} {place.shard.name}, row {place.row + 1:,}"
    for judged in found.judged:
        yield from _told(judged)
    if found.corpus:
        where = found.corpus
        split = where.ending.removeprefix("/").removesuffix(".parquet")
        yield f"{where.artifact.name:<{NAME}} {where.shard.name}, {split}, row {where.row + 1:,}"
    else:
        yield f"{'corpus':<{NAME}} it is not in it"
    for judged in found.contaminated:
        yield from _told(judged)


def _facts(found: Trace) -> dict[str, str]:
    """What the document says of itself, and where it lies in its raw file."""
    d, url, meta = found.document, found.place.shard.facts["url"], json.loads(found.document.meta)
    lines = {"url": d.url, "raw file": url}
    if (number := record_number(found)) is not None:
        lines["record"] = f"{number:,} of it, from 0"
    lines |= take_place(found.place.artifact.manifest["identity"]["kind"], url, meta)
    if meta:
        lines["meta"] = json.dumps(meta, ensure_ascii=False)
    about = {"license": d.license, "language": d.language, "date": d.date}
    lines["source"] = ", ".join((d.source, *(f"{name} {value}" for name, value in about.items() if value)))
    return lines | {"text": f"{len(d.text):,} characters: {_short(d.text)}"}


def _told(judged: StageDecision) -> Iterator[str]:
    decision = judged.decision
    what = "kept" if decision.keep else f"dropped: {decision.reason}"
    yield f"{judged.artifact.name:<{NAME}} {judged.shard}: {what}"
    if decision.language:
        yield f"    language {decision.language}"
    for key, value in decision.evidence.items():
        if (key, value) != ("language", decision.language):
            yield f"    {key} {json.dumps(value, ensure_ascii=False)}"
    for cut in decision.cuts[:CUTS]:
        put = f" -> {cut.put!r}" if cut.put else ""
        yield f"    cut {cut.start:,} to {cut.end:,}: {_short(judged.text[cut.start : cut.end])}{put}"
    if len(decision.cuts) > CUTS:
        yield f"    and {len(decision.cuts) - CUTS:,} more cuts"


def _short(text: str) -> str:
    return repr(text if len(text) <= CUT_CHARS else text[: CUT_CHARS - 1] + "…")


def main(argv: list[str] | None = None) -> int:
    """0: found; 1: nothing found; 2: an error."""
    parser = argparse.ArgumentParser(prog="python -m llama_core.corpus.trace", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("url", help="of a store (its last corpus is taken) or of a corpus")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--id", help="a document's id: 32 hex digits")
    what.add_argument("--text", help="a snippet, as it stands in the text")
    parser.add_argument("--source", help="the source to look in (default: all of them)")
    parser.add_argument("--limit", type=int, default=20, help="of documents that are shown (default: 20)")
    options = parser.parse_args(argv)
    try:
        store, corpus = open_corpus(options.url)
        if options.id:
            print("\n".join(told(trace(store, corpus, options.id, options.source))))
            return 0
        hits = find_text(corpus, options.text, options.limit, options.source)
        decontaminated = decontaminations(store, corpus) if hits else []
        for hit in hits:
            print(f"{hit.id}  {hit.source}, {hit.split}  {hit.url}")
            for line in (*left_out(hit, decontaminated), repr(hit.around)):
                print(f"    {line}")
    except LlamaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    more = ", maybe more" if len(hits) == options.limit else ""
    print(f"{len(hits):,} documents of {corpus.name}{more}" + (NEXT if hits else ""))
    return 0 if hits else 1


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
