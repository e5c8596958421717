"""A corpus whose texts were kept, cut, dropped or found in an evaluation set; some of them are hostile."""

import json
from pathlib import Path

from corpus.stages import Decide, decide_all, decontaminated, finish, ingest_recipe, keep, recipe_of_files

from llama_core.corpus.clean.decide import decide_shard
from llama_core.corpus.decisions import Cut, Decision
from llama_core.corpus.document import Document
from llama_core.corpus.documents import Documents
from llama_core.corpus.training_text import TrainingText
from llama_core.phases import execute, one_phase
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.store import Store

HOSTILE = "<script>alert(1)</script>\x00\x1b[31m & 'quoted' \"text\" \u202e ]]>"
QUESTION = " ".join(f"question{i}" for i in range(20))
Made = tuple[Recipe, list[Documents], TrainingText]


def judge(document: Document) -> Decision:
    cuts = [Cut(0, 8, "[was cut]")] if document.text.startswith("document 7 ") else []
    return Decision(document.id, "not_wanted" if "drop" in document.text else "", cuts=cuts)


def cleaned(store: Store, stage: str, documents: Documents, decide: Decide) -> Documents:
    """Return the documents after a stage of cleaning, which keeps samples of what it drops."""
    step = Step(store, stage, 1, {}, {documents.source: documents})

    def work(name: str) -> None:
        decide_shard(step, name, ((d, decide(d)) for d in documents.read(name)))

    return documents.after(execute(step, one_phase({s.name: s.name for s in documents.shards}, work)))


def make(store: Store, folder: Path) -> Made:
    """Make a corpus of the sources `web` and `books` through every stage."""
    texts = [f"quoted {QUESTION}", f"{HOSTILE} kept"]
    texts += [f"document {i} to be {'dropped' if i % 4 == 0 else 'kept'} here" for i in range(20)]
    texts += [f"{HOSTILE} dropped"]
    rows = [{"text": text.replace("\0", ""), "url": f"https://a.org/{HOSTILE}"} for text in texts]
    recipe = recipe_of_files(folder / "raw", {"web": [*rows, {"text": "short"}], "books": rows[3:5]})
    documents = ingest_recipe(store, recipe)
    for stage, decide in (("quality", judge), ("dedup", keep)):
        artifact = decide_all(store, stage, documents, decide)
        documents = {name: d.after(artifact) for name, d in documents.items()}
    corpus = finish(store, documents, recipe)
    (folder / "data").mkdir()
    (folder / "data" / "quiz.jsonl").write_text(json.dumps({"q": QUESTION}) + "\n")
    decided = decontaminated(store, corpus, recipe, folder / "data")
    return recipe, list(documents.values()), TrainingText(corpus, decided)
