"""What the stages of cleaning make of a fixed input. It may change only together with a stage's REVISION."""

import hashlib
import json
import random
from collections.abc import Callable
from functools import partial

from llama_core.artifact import Artifact
from llama_core.corpus.clean import language_model, lines, perplexity, quality, references
from llama_core.corpus.clean.recipe import (
    C4Filter,
    Clean,
    Filters,
    Language,
    Lines,
    Perplexity,
    Pii,
    References,
)
from llama_core.corpus.document import read_batches
from llama_core.corpus.documents import Documents
from llama_core.phases import execute
from llama_core.step import Step
from llama_core.store import Store

GOLDEN = {
    ("lines", 1): "cab1bf7acd19bb0fd298d2cd295d7b0b7c68fa68dcfc498e28587e0ca286510a",
    ("quality", 4): "658ddd9d2819e45d4e3e30f7106211ed4d0053a39ae7f796a8b6af88c2a7cab7",
    ("perplexity", 1): "2048c946d3fd89ba0676d8a618cdafb4b4fc3e28462fc1f19d0ec8898fac9d55",
    ("references", 1): "480e77bc88eabb3afa17ff587eb671f8f9df98fce165560f70bd00b1845e68da",
}
WORDS = "the river of a town and its old bridge that was built to hold with stone by men who had come".split()  # noqa: SIM905


def page(rng: random.Random, number: int) -> str:
    sentences = [" ".join(rng.choices(WORDS, k=12)).capitalize() + "." for _ in range(12)]
    rows = [" ".join(sentences[i : i + 3]) for i in range(0, 12, 3)]
    return "\n".join(
        ["Menu of the page that is here.", *rows, f"Write to someone{number}@mail.org or 8.8.4.4."]
    )


def digest(decided: Artifact) -> str:
    """Return a hash of the decisions. Their numbers are rounded: the last digits differ between machines."""
    rows = [
        row
        for s in decided.shards
        for b in read_batches(decided, s.name, "decisions.parquet")
        for row in b.to_pylist()
    ]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def test_output_changes_only_with_the_revision(documents: Callable[..., Documents], store: Store) -> None:
    rng = random.Random(5)
    texts = [page(rng, i) for i in range(40)] + [
        "Ein deutscher Satz, der hier nichts zu suchen hat. " * 8,
        "short",
    ]
    shards = {"a": texts[::2], "b": texts[1::2]}
    web = documents(shards)
    articles = {
        f"{page(rng, i)} {i}": {
            "language": "en",
            "meta": json.dumps({"references": [f"http://a.example/{i}"]}),
        }
        for i in range(30)
    }
    wikipedia = documents({"dump": list(articles)}, name="wikipedia", fields=articles)
    ppl = Perplexity(vocab_size=100, order=3)
    clean = Clean(
        language=Language(min_score=0.3),
        filters=Filters(gopher_repetition=True, gopher_quality=True, c4=C4Filter(), fineweb=True),
        pii=Pii(email=True, ip=True),
    )

    def run(stage: str, plan: Callable[[Step], object], inputs: Documents) -> Artifact:
        step = Step(store, stage, 0, {}, {inputs.source: inputs})
        return execute(step, plan(step))  # type: ignore[arg-type]

    one = run("lines", lambda s: lines.plan(s, web, Lines(), 100), web)
    web = web.after(one)
    two = run("quality", lambda s: quality.plan(s, web, clean), web)
    web = web.after(two)
    models = run("language_models", lambda s: language_model.plan(s, wikipedia, ["en"], ppl), wikipedia)
    three = run("perplexity", partial(perplexity.plan, documents=web, models=models, cfg=ppl), web)
    web = web.after(three)
    cfg = References(min_examples=3, threshold=0.4)
    four = run("references", lambda s: references.plan(s, web, wikipedia, None, cfg), web)
    assert {
        ("lines", lines.REVISION): digest(one),
        ("quality", quality.REVISION): digest(two),
        ("perplexity", perplexity.REVISION): digest(three),
        ("references", references.REVISION): digest(four),
    } == GOLDEN
    dropped = [name for a in (one, two, three, four) for name in a.counts if name.startswith("dropped.")]
    assert len(dropped) >= 4, dropped
