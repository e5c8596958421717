"""Documents as an ingest step leaves them, and dedup over them."""

import random
from collections.abc import Iterator
from typing import Any

from llama_core.artifact import Artifact
from llama_core.corpus.decisions import Decision, read_decisions
from llama_core.corpus.dedup import plan as dedup
from llama_core.corpus.document import Document, document_id, write_documents
from llama_core.corpus.documents import Documents
from llama_core.corpus.recipe import Corpus
from llama_core.phases import Engine, Plan, execute, in_turn
from llama_core.step import Step
from llama_core.store import Store

FILES = {"kind": "files"}


def ingested(store: Store, source: str, shards: list[list[str]], **facts: Any) -> Documents:
    """A source of these texts. Ids are those of the texts, copies by their number: they tell no place."""
    step = Step(store, "ingest", 1, {"source": source, "shards": shards, "facts": facts})
    seen: dict[str, int] = {}
    for number, texts in enumerate(shards):
        name = f"{number:03d}"
        with step.shard(name) as out:
            rows = []
            for text in texts:
                seen[text] = copy = seen.get(text, 0) + 1
                identity = document_id(source, f"{text}{copy}")
                rows.append(Document(identity, text, source, f"url:{identity}", "", "en", "", "{}"))
            with out.publish(f"{name}/documents.parquet") as writer:
                write_documents(writer, rows)
            out.counts.update(documents=len(rows), bytes=sum(len(t.encode()) for t in texts))
            out.facts |= {"group": None} | facts
    return Documents(source, step.commit([f"{n:03d}" for n in range(len(shards))]))


def corpus_of(documents: dict[str, Documents], **fields: Any) -> Corpus:
    return Corpus.model_validate({"sources": dict.fromkeys(documents, FILES)} | fields)


def step_of(store: Store, documents: dict[str, Documents], cfg: Corpus) -> Step:
    return Step(store, "dedup", dedup.REVISION, dedup.identity(cfg), documents)


def run(
    store: Store, documents: dict[str, Documents], cfg: Corpus | None = None, engine: Engine = in_turn
) -> Artifact:
    cfg = cfg or corpus_of(documents)
    step = step_of(store, documents, cfg)
    return execute(step, plan_of(step, documents, cfg), engine)


def plan_of(step: Step, documents: dict[str, Documents], cfg: Corpus) -> Plan:
    return dedup.plan(step, documents, cfg)


def decisions_of(decided: Artifact) -> dict[str, Decision]:
    return {d.id: d for shard in decided.shards for d in read_decisions(decided, shard.name)}


def families(seed: int, count: int, members: int, words: int = 150) -> Iterator[list[str]]:
    """Groups of near texts: each member has a few words of the first one changed, or is an exact copy."""
    rng = random.Random(seed)
    for _ in range(count):
        original = [f"term{rng.randrange(20_000)}" for _ in range(words)]
        group = [" ".join(original)]
        for _ in range(members - 1):
            changed = list(original)
            for _ in range(rng.choice([0, 0, 1, 2, 4, 7])):
                changed[rng.randrange(words)] = f"other{rng.randrange(20_000)}"
            group.append(" ".join(changed[: words - rng.randrange(3)]))
        yield group
