"""What a stage makes of a fixed input. Output may change only together with the stage's REVISION."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import fsspec
from corpus.helpers import documents_of, recipe_of
from corpus.stages import decontaminated

from llama_core.artifact import Artifact
from llama_core.corpus import corpus as stage
from llama_core.corpus import ingest
from llama_core.corpus.decontaminate import plan as decontaminate
from llama_core.corpus.dedup import plan as dedup
from llama_core.corpus.document import read_batches
from llama_core.recipe import Recipe
from llama_core.store import Store

GOLDEN = {
    ("ingest", 8): "dd3eeaec0ebb6e62c24241f2ae70ec3c909196162c6e421aa183658eb44a3a9d",
    ("dedup", 4): "f1f493628f366002e3749d10bf1852912bf7e919756fb5c426a9ea6fde3809ad",
    ("corpus", 2): "88b073cbaecb72690514a7f9681f4fa5170e62aaf922a98d96a4abc9e076eb43",
    ("decontaminate", 1): "596afed0b7b58fb5f41ca99c5666ec6db266de16057e433566300e0b1877058a",
}
MODULE = '''# Copyright Somebody
"""A module about the weather, and about what it is for the people that are out in it."""
import math


def wind(speed: float) -> float:
    """The force of the wind, which is what it does to a person of ordinary size, at a speed."""
    return math.sqrt(speed) * {factor}


class Rain(Exception):
    """Falls."""
'''


def digest(rows: list[dict[str, object]]) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def test_output_changes_only_with_the_revision(
    site: Callable[..., Path],
    ingested: Callable[..., Artifact],
    corpus: Callable[[Recipe], tuple[Artifact, Artifact]],
    store: Store,
    tmp_path: Path,
) -> None:
    for name, factor in {"dry": 2, "wet": 2, "held": 3}.items():
        body = MODULE.format(factor=factor) + "\n".join(f"value_{i} = {i}" for i in range(60))
        site(name, {f"{name}/__init__.py": body + f"\nlast = '{name}'\n"})
    words = [f"word{i * i % 97}" for i in range(200)]
    lines = [" ".join(words), " ".join(words[1:]), " ".join(words), "\xe9t\xe9 " * 60, "short"]
    data = "".join(json.dumps({"text": t, "n": 1}) + "\n" for t in lines).encode() + b"\xff\n"
    fsspec.filesystem("memory").pipe("/golden/a.jsonl", data)
    packages = {"kind": "packages", "packages": ["dry", "wet", "held"]}
    sources = {
        "code": packages,
        "docs": packages | {"part": "docs"},
        "web": {"kind": "files", "urls": ["memory://golden/a.jsonl"]},
    }
    decided, whole = corpus(recipe_of(sources, holdout=["held"]))
    read = [
        documents_of(ingested(source, name)) for name, source in recipe_of(sources).corpus.sources.items()
    ]
    decisions = (b for s in decided.shards for b in read_batches(decided, s.name, "decisions.parquet"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "quiz.jsonl").write_text(json.dumps({"question": lines[2][:200]}))
    step = decontaminated(store, whole, recipe_of(sources, holdout=["held"]), tmp_path / "data")
    found = (b for s in step.shards for b in read_batches(step, s.name, "decisions.parquet"))
    kept = [d for split in stage.SPLITS for d in documents_of(whole, f"{split}.parquet")]
    assert {
        ("ingest", ingest.REVISION): digest([asdict(d) for documents in read for d in documents]),
        ("dedup", dedup.REVISION): digest([row for b in decisions for row in b.to_pylist()]),
        ("corpus", stage.REVISION): digest([asdict(d) for d in kept]),
        ("decontaminate", decontaminate.REVISION): digest([row for b in found for row in b.to_pylist()]),
    } == GOLDEN
    assert step.counts["dropped.contaminated"] == 1
    assert decided.counts["dropped.near"] and decided.counts["dropped.heldout_near"]
