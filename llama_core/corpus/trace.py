"""Leads from a document to its raw file and every decision about it, and from a snippet to its documents.

    python -m llama_core.corpus.trace STORE --id 3f0c...        what became of the document
    python -m llama_core.corpus.trace STORE --text "a snippet"  in the text of the final corpus

With --source NAME only that source is read, which is much less in a corpus of terabytes. STORE is the URL of
a store, whose last corpus is taken, or of a corpus on it.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from threading import Event

import pyarrow.compute as pc

from llama_core.artifact import MANIFEST, Artifact, Shard
from llama_core.corpus.corpus import SPLITS
from llama_core.corpus.decisions import ENDING, Decision, apply_cuts, decision_of
from llama_core.corpus.decisions import SCHEMA as DECISION
from llama_core.corpus.document import SCHEMA, Document, document_id
from llama_core.corpus.documents import Documents
from llama_core.corpus.lookup import RowAddress, batches, find_id, read_row, side_by_side
from llama_core.corpus.sources.places import take_place
from llama_core.errors import InputError, LlamaError
from llama_core.output import until_unread
from llama_core.parse import json_fields
from llama_core.store import Store

CONTEXT = 100  # characters shown around a snippet
CUTS = 10  # cuts that are shown of a decision
CUT_CHARS = 80  # characters that are shown of a text
NAME = 32  # width of the column of artifacts, `<stage>/<id>`
NEXT = "\nwhat became of one of them: give its id to --id, and its source to --source"


@dataclass(frozen=True)
class StageDecision:
    """What a stage decided about a document."""

    artifact: Artifact
    shard: str
    decision: Decision
    text: str
    """The document's text as it reached the stage."""


@dataclass(frozen=True)
class Trace:
    """All that a store knows of a document of a corpus."""

    document: Document
    """The document as it was ingested."""
    place: RowAddress
    """Its row in the ingested documents."""
    judged: list[StageDecision]
    """What the stages decided, in their order, up to the one that dropped it."""
    corpus: RowAddress | None
    """Its row in the corpus, if it is in it."""
    contaminated: list[StageDecision]
    """What each decontamination of this corpus decided about it."""


@dataclass(frozen=True)
class Hit:
    """A document of the corpus that holds a snippet, with the text around it."""

    source: str
    shard: str
    split: str
    id: str
    url: str
    around: str
    """The snippet with up to `CONTEXT` characters on either side."""


def open_corpus(url: str) -> tuple[Store, Artifact]:
    """Return the store and the corpus that a URL names. Raises InputError where there is none."""
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
    """Return the artifacts of a stage, the one that was finished last at the end."""
    names = [name for name in store.list(stage) if name.endswith(f"/{MANIFEST}")]
    found = [Artifact.load(store, name.rsplit("/", 1)[0]) for name in names]
    return sorted(found, key=lambda a: (a.manifest["finished"], a.id))


def sources_of(store: Store, corpus: Artifact) -> list[Documents]:
    """Return the artifacts that a corpus was made from, as its manifest names them, by source."""
    found = []
    for source, folders in corpus.parents.items():
        ingested, *decided = (Artifact.load(store, folder) for folder in folders)
        found.append(Documents(source, ingested, tuple(decided)))
    return found


def chosen(corpus: Artifact, source: str | None) -> list[str]:
    """List the corpus's sources, or only `source`. Raises InputError where it has none of that name."""
    names = list(corpus.parents)
    if source is not None and source not in names:
        raise InputError(f"{corpus.url} has no source {source}: its sources are {', '.join(names)}")
    return names if source is None else [source]


def decontaminations(store: Store, corpus: Artifact) -> list[Artifact]:
    """Return the decontaminations of this corpus, the one that was finished last at the end."""
    return [a for a in artifacts(store, "decontaminate") if a.parents.get("corpus") == [corpus.name]]


def trace(store: Store, corpus: Artifact, document_id: str, source: str | None = None) -> Trace:
    """Return what became of a document: reads the ids of all ingested documents, then a shard of each stage.

    With `source`, only the ids of that source are read. Raises InputError where there is no such document.
    """
    names = chosen(corpus, source)
    for documents in (d for d in sources_of(store, corpus) if d.source in names):
        place = find_id(documents.ingested, documents.shards, "documents.parquet", document_id)
        if place:
            break
    else:
        raise InputError(f"no document of {corpus.url} ({', '.join(names)}) has the id {document_id}")
    document = Document(**read_row(place, SCHEMA.names))
    judged: list[StageDecision] = []
    text = document.text
    for artifact in documents.decided:
        found = _judged(documents, artifact, place.shard.name, document_id, text)
        if found is None:  # an earlier stage has dropped it
            break
        judged.append(found)
        text = apply_cuts(text, found.decision.cuts)
    [written] = documents.about(corpus, place.shard.name)
    places = [find_id(corpus, [written], f"/{split}.parquet", document_id) for split in SPLITS]
    contaminated: list[StageDecision] = []
    for artifact in decontaminations(store, corpus):
        if found := _judged(documents, artifact, place.shard.name, document_id, text):
            contaminated.append(found)
    return Trace(document, place, judged, next(filter(None, places), None), contaminated)


def _judged(
    documents: Documents, artifact: Artifact, shard: str, document_id: str, text: str
) -> StageDecision | None:
    place = find_id(artifact, documents.about(artifact, shard), ENDING, document_id)
    if place is None:
        return None
    return StageDecision(artifact, place.shard.name, decision_of(read_row(place, DECISION.names)), text)


def find_text(corpus: Artifact, snippet: str, limit: int, source: str | None = None) -> list[Hit]:
    """Return at most `limit` documents of the corpus that hold a snippet, in the order of their shards.

    The snippet is looked for as it is. With `source`, only that source is searched. Raises InputError where
    there is no such source, and for a snippet that is not UTF-8.
    """
    names = chosen(corpus, source)
    try:
        snippet.encode()
    except UnicodeEncodeError:
        raise InputError("the snippet is not UTF-8, as the text of a corpus is") from None
    enough = Event()

    def hits_in(shard: Shard) -> list[Hit]:
        found: list[Hit] = []
        for split in SPLITS:
            for batch in batches(corpus, shard, f"/{split}.parquet", ["id", "text", "url"]):
                for row in batch.filter(pc.match_substring(batch.column("text"), snippet)).to_pylist():
                    around = _around(row["text"], snippet)
                    found.append(Hit(shard.fact("source"), shard.name, split, row["id"], row["url"], around))
                    if len(found) == limit:
                        return found
                if enough.is_set():
                    return found
        return found

    shards = [shard for shard in corpus.shards if shard.fact("source") in names]
    with contextlib.closing(side_by_side(hits_in, shards)) as found:
        try:
            return list(islice(chain.from_iterable(found), limit))
        finally:
            enough.set()  # ends the search of later shards that are being read


def left_out(hit: Hit, decontaminated: list[Artifact]) -> list[str]:
    """Return a line for each of the decontaminations that leaves a hit out of training, with the reason."""
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
    """Return which raw record of its file a document was, from 0, or None if its `meta` says the place.

    The number is found by trying: the id is made of the file's URL and the number.
    """
    document, shard = found.document, found.place.shard
    for number in range(shard.counts.get("raw", 0)):
        if document_id(document.source, f"{shard.fact('url')}#{number}") == document.id:
            return number
    return None


# --- what a person reads


def told(found: Trace) -> Iterator[str]:
    """Yield a trace as lines of text."""
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
    """Return what the document says of itself and its place in its raw file, by name."""
    d, url = found.document, found.place.shard.fact("url")
    meta = json_fields(d.meta, f"the field meta of document {d.id}")
    lines = {"url": d.url, "raw file": url}
    if (number := record_number(found)) is not None:
        lines["record"] = f"{number:,} of it, from 0"
    lines |= take_place(found.place.artifact.manifest["identity"].get("kind", ""), url, meta)
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
    """Print what was asked for. Returns 0 if something was found, 1 if nothing was, 2 on an error."""
    parser = argparse.ArgumentParser(prog="python -m llama_core.corpus.trace", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("url", help="URL of a store (its last corpus is taken) or of a corpus")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--id", help="a document's id: 32 hex digits")
    what.add_argument("--text", help="a snippet, as it stands in the text")
    parser.add_argument("--source", help="the source to look in (default: all of them)")
    parser.add_argument("--limit", type=int, default=20, help="show at most so many documents (default: 20)")
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
    sys.exit(until_unread(main))
