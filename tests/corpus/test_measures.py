"""What the stages have measured of themselves stands on the corpus page."""

import random
import re
from functools import partial
from pathlib import Path

from corpus.stages import finish, ingest_recipe, recipe_of_files

from llama_core.artifact import Artifact
from llama_core.corpus.clean import language_model, perplexity, references
from llama_core.corpus.clean.recipe import Perplexity, References
from llama_core.corpus.dedup import plan as dedup
from llama_core.corpus.documents import Documents
from llama_core.corpus.report.measures import duplicate_clusters, measures
from llama_core.corpus.report.page import page
from llama_core.corpus.training_text import TrainingText
from llama_core.phases import execute
from llama_core.step import Step
from llama_core.store import Store

SOBER = "study report journal evidence history theory published university survey archive".split()  # noqa: SIM905
SHOP = "buy cheap sale click free shipping discount order cart deal".split()  # noqa: SIM905


def text(rng: random.Random, words: list[str]) -> dict[str, str]:
    return {"text": " ".join(rng.choices([*words, "the", "of", "and"], k=60)), "language": "en"}


def run(store: Store, stage: str, plan: partial, inputs: dict[str, Documents]) -> Artifact:  # type: ignore[type-arg]
    step = Step(store, stage, 1, {}, inputs)
    return execute(step, plan(step))


def test_the_page_tells_cut_offs_classifier_and_clusters(store: Store, tmp_path: Path) -> None:
    rng = random.Random(1)
    web = [text(rng, SOBER if i % 2 else SHOP) for i in range(60)]
    web += [dict(web[1], text=f"{web[1]['text']} indeed"), web[3]]  # one near, one equal
    wiki = [text(rng, SOBER) for _ in range(60)]
    recipe = recipe_of_files(tmp_path / "raw", {"web": web, "wiki": wiki})
    documents = ingest_recipe(store, recipe)
    small = Perplexity(train_on="wiki", vocab_size=40, order=3, keep=["head", "middle", "tail"])
    train = partial(language_model.plan, documents=documents["wiki"], languages=["en"], cfg=small)
    models = run(store, "language_models", train, {"wiki": documents["wiki"]})
    scored = partial(perplexity.plan, documents=documents["web"], models=models, cfg=small)
    documents["web"] = documents["web"].after(run(store, "perplexity", scored, {"web": documents["web"]}))
    like = partial(
        references.plan,
        documents=documents["web"],
        wikipedia=None,
        positives=documents["wiki"],
        cfg=References(positives="wiki", min_examples=10, threshold=0),
    )
    documents["web"] = documents["web"].after(run(store, "references", like, {"web": documents["web"]}))
    deduped = run(store, "dedup", partial(dedup.plan, documents=documents, cfg=recipe.corpus), documents)
    documents = {name: d.after(deduped) for name, d in documents.items()}

    assert measures(documents["wiki"]) == {}
    buckets, classifier = measures(documents["web"]).values()
    [of_english] = buckets
    assert of_english["language"] == "en" and float(of_english["head"]) < float(of_english["middle"])
    assert classifier == [
        {
            "examples": "12",
            "accuracy": f"{100 * documents['web'].decided[1].facts['accuracy']:.4g} %",
            "AUC": f"{documents['web'].decided[1].facts['auc']:.4g}",
            "cited pages that it keeps": "100 %",
            "random pages that it keeps": "100 %",
        }
    ]
    [row] = duplicate_clusters(list(documents.values()))
    assert row["left out"] == "exact 1, near 1" and row["clusters of two documents or more"] == "2"
    assert row["documents in the largest"] == "2" and list(row.values())[-1] == "0 %"
    shown = page(recipe, documents.values(), TrainingText(finish(store, documents, recipe)))
    for title in ("Perplexity, up to which", "The classifier of references", "Duplicates"):
        assert re.search(f"<h[23]>{title}[^<]*</h[23]><table>", shown), title
    assert of_english["head"] in shown and row["left out"] in shown
