"""Programs that `test_memory.py` starts to learn how much memory they take. Each prints JSON in one line.

peaks.py ingest SOURCE STORE          ingest a source of one file: the peak in bytes, and the counts
peaks.py partition LABEL STORE SHARE  work on a partition of dedup: the peak, its bytes and the default's
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from llama_core.corpus import ingest
from llama_core.corpus.dedup import books, buckets, components, exact, scratch, survivors
from llama_core.corpus.partition import publish_runs
from llama_core.corpus.recipe import Corpus
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store

PIECES = 20


def ingest_one(source: str, store: str) -> list[Any]:
    override = {"corpus.sources": {"s": json.loads(source)}, "mixture": {"s": 1}, "corpus.holdout": []}
    cfg = load_recipe("micro", override).corpus.sources["s"]
    [raw] = ingest.raw_files("s", cfg)
    step = Step(Store(store), "ingest", 1, {}, {raw.name: raw.digest})
    ingest.ingest_shard(step, "s", cfg, raw)
    return [peak(), step.commit([raw.name]).counts]


def work_on_a_partition(label: str, store: str, share: str) -> list[Any]:
    """Put keys in groups through a phase of dedup: as many bytes as a `share` of the recipe's default."""
    whole = Corpus.model_validate({"sources": {}})
    dedup = whole.dedup.model_copy(update={"partition_bytes": whole.dedup.partition_bytes // int(share)})
    cfg = whole.model_copy(update={"dedup": dedup})
    step = scratch.Scratch(Step(Store(store), "dedup", 1, {}), cfg, "x")
    dtype, group, work = {
        "exact": (scratch.texts_dtype(), 3, lambda: exact.group_texts(step, runs, PIECES, 0)),
        "shared": (np.dtype([("key", "<u8")]), 3, lambda: buckets.find_shared(step, runs, PIECES, 0)),
        "links": (scratch.bucket_dtype(dedup), 50, lambda: buckets.link_buckets(step, runs, 4, 0)),
        "large1": (scratch.edge_dtype(), 3, lambda: components.large_star(step, "large1", runs, 4, 0)),
        "near": (scratch.member_dtype(dedup), 3, lambda: survivors.choose_survivors(step, layout, runs, 0)),
        "pairs": (books.SHINGLES, 50, lambda: books.pair_books(step, runs, 4, 0)),
    }[label]
    n = dedup.partition_bytes // dtype.itemsize // PIECES
    layout = scratch.RowLayout(np.arange(PIECES) * n, 1, 1)
    rng = np.random.default_rng(0)
    for number in range(PIECES):
        rows = np.zeros(n, dtype)
        for name in dtype.names:
            most = n * PIECES // group if name in ("key", "label", "digest", "hash") else n * PIECES
            if rows[name].dtype.kind == "u":
                rows[name] = rng.integers(0, 256 if name == "sketch" else most, rows[name].shape)
        with step.shard("made", number) as out:
            publish_runs(out, "rows", rows, np.zeros(n, np.int64), 1)
    runs = step.runs("made", PIECES, "rows", np.dtype("<u8") if label == "shared" else dtype)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    work()
    return [peak(), n * PIECES * dtype.itemsize, whole.dedup.partition_bytes]


def peak() -> int:
    """Bytes. By Linux, because ru_maxrss has the parent's peak in it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


if __name__ == "__main__":
    program = {"ingest": ingest_one, "partition": work_on_a_partition}[sys.argv[1]]
    print(json.dumps(program(*sys.argv[2:])), flush=True)
    os._exit(0)  # as our programs end: a thread of pyarrow's may abort an interpreter that ends as usual
