"""What the tests of the corpus write and read."""

import gzip
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from llama_core.artifact import Artifact
from llama_core.corpus.document import (
    Document,
    Dropped,
    NonContent,
    Outcome,
    Quarantined,
    read_documents,
)
from llama_core.corpus.documents import Documents
from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe

# Real files in the public formats, where a machine has them: the suite passes without.
SAMPLES = Path(os.environ.get("LLAMA_SAMPLES") or Path(__file__).parents[3] / "shared" / "samples")
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples at {SAMPLES}")


def recipe_of(sources: dict[str, dict[str, Any]], **corpus: Any) -> Recipe:
    overrides = {
        "corpus.sources": sources,
        "corpus.holdout": [],
        "mixture": {n: 1 / len(sources) for n in sources},
    }
    return load_recipe("micro", overrides | {f"corpus.{k}": v for k, v in corpus.items()})


def write_jsonl(path: Path, records: list[dict[str, Any]]) -> Path:
    data = "".join(json.dumps(r) + "\n" for r in records).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def documents_of(artifact: Artifact, ending: str = "documents.parquet") -> list[Document]:
    shards = [s.name for s in artifact.shards if any(o.name.endswith(ending) for o in s.objects)]
    return [d for name in shards for d in read_documents(artifact, name, ending)]


def texts_of(documents: Documents) -> list[str]:
    """What every stage has kept, shard by shard."""
    return [d.text for shard in documents.shards for d in documents.read(shard.name)]


def documents_in(outcomes: Iterable[Outcome]) -> list[Document]:
    """The documents among what a source yields."""
    return [o for o in outcomes if isinstance(o, Document)]


def left_out(outcomes: Iterable[Outcome]) -> Counter[str]:
    """Count the outcomes that are not documents, by kind, reason or error."""
    found: Counter[str] = Counter()
    for o in outcomes:
        match o:
            case NonContent():
                found[o.kind] += o.count
            case Dropped():
                found[o.reason] += 1
            case Quarantined():
                found[o.error] += 1
    return found


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """A stream in pieces of such sizes, and what is left."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


def takes_linear_time(work: Callable[[int], object], size: int) -> bool:
    """Tell whether four times the size takes less than eight times as long.

    Linear work takes four times as long, quadratic work sixteen times. The best of three tries counts.
    """

    def seconds(n: int) -> float:
        start = time.process_time()
        work(n)
        return time.process_time() - start

    work(10)  # a first call, for work that is done only once
    return any(seconds(4 * size) < 8 * max(0.002, seconds(size)) for _ in range(3))


def is_conserved(counts: dict[str, int]) -> bool:
    lost = sum(v for k, v in counts.items() if k.startswith(("non_content.", "dropped.", "quarantined.")))
    return counts.get("raw", 0) == counts.get("members", 0) + lost
