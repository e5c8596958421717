"""The corpus as it lies on the store: conserved, readable by `datasets`, the same bytes each time."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from corpus.helpers import documents_of, recipe_of

from llama_core.recipe import Recipe
from llama_core.step import Artifact
from llama_core.store import Store

Run = Callable[[Recipe], tuple[Artifact, Artifact]]

LOAD = """
import datasets, json, sys
whole = datasets.load_dataset(sys.argv[1])
code = datasets.load_dataset(sys.argv[1], "code")
splits = {k: [v.num_rows, v.column_names] for k, v in whole.items()}
print(json.dumps(splits | {"code": code["train"].num_rows}))
"""


def small() -> Recipe:
    """httpcore holds itself twice, once made from the other: real near-duplicates."""
    names = ["httpcore", "s3fs"]
    sources = {part: {"kind": "packages", "part": part, "packages": names} for part in ("code", "docs")}
    return recipe_of(sources, holdout=["s3fs"])


def test_the_corpus_is_conserved_and_is_the_same_again(corpus: Run, store: Store) -> None:
    decided, whole = corpus(small())
    counts = decided.counts
    assert counts["documents"] == sum(v for k, v in counts.items() if k != "documents")
    assert counts["dropped.near"] > 0 and decided.facts["examples"]
    train, heldout = documents_of(whole, "train.parquet"), documents_of(whole, "heldout.parquet")
    assert whole.counts["documents.in"] == counts["documents"]
    assert whole.counts["documents.train"] == counts["kept.train"] == len(train)
    assert whole.counts["bytes.heldout"] == sum(len(d.text.encode()) for d in heldout)
    assert {json.loads(d.meta)["package"] for d in heldout} == {"s3fs"}
    shutil.rmtree(store.path())
    again_decided, again = corpus(small())
    assert (again_decided.digest, again.digest) == (decided.digest, whole.digest)


def test_the_folder_of_the_corpus_is_a_dataset(corpus: Run, tmp_path: Path) -> None:
    _, whole = corpus(small())
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    folder = whole.store.path()
    run = subprocess.run(
        [sys.executable, "-c", LOAD, folder], capture_output=True, text=True, env=environment, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["train"][0] == whole.counts["documents.train"]
    assert found["heldout"][0] == whole.counts["documents.heldout"]
    assert found["train"][1] == ["id", "text", "source", "url", "license", "language", "date", "meta"]
    assert 0 < found["code"] < found["train"][0]
    card = (Path(folder) / "README.md").read_text()
    assert str(tmp_path) not in card
