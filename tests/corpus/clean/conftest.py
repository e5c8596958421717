"""Documents of a source as ingest would have left them, and a way to run a stage over them."""

from collections.abc import Callable

import pytest

from llama_core.artifact import Artifact
from llama_core.corpus import document as docs
from llama_core.corpus.documents import Documents
from llama_core.phases import Engine, Plan, execute, in_turn
from llama_core.step import Step
from llama_core.store import Store

Plans = Callable[[Step, Documents], Plan]


@pytest.fixture
def documents(store: Store) -> Callable[..., Documents]:
    """`documents({"shard": ["a text", ...]}, name="web")`; `fields` gives more columns by text."""

    def write(
        shards: dict[str, list[str]],
        name: str = "web",
        urls: dict[str, str] | None = None,
        fields: dict[str, dict[str, str]] | None = None,
    ) -> Documents:
        step = Step(store, "ingest", 0, {"texts": shards, "name": name, "fields": fields, "urls": urls})
        for shard, texts in shards.items():
            with step.shard(shard) as out, out.publish(f"{shard}/documents.parquet") as writer:
                rows = [
                    docs.Document(
                        **{
                            "id": docs.document_id(name, f"{shard}#{i}"),
                            "text": text,
                            "source": name,
                            "url": f"https://{shard}.example/{i}",
                            "license": "",
                            "language": "",
                            "date": "",
                            "meta": "{}",
                        }
                        | (fields or {}).get(text, {})
                    )
                    for i, text in enumerate(texts)
                ]
                docs.write_documents(writer, rows)
                out.facts |= {
                    "source": name,
                    "group": None,
                    "url": (urls or {}).get(shard, f"file:///{shard}"),
                }
                out.counts.update(documents=len(texts), bytes=sum(len(t.encode()) for t in texts))
        return Documents(name, step.commit(list(shards)))

    return write


@pytest.fixture
def decide(store: Store) -> Callable[..., Artifact]:
    """Run a stage's plan to its end: `decide(documents, lambda step, documents: plan(...))`."""

    def run(documents: Documents, plan: Plans, engine: Engine = in_turn, at: Store | None = None) -> Artifact:
        step = Step(at or store, "decided", 0, {}, {documents.source: documents})
        return execute(step, plan(step, documents), engine)

    return run
