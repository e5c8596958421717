"""How many pages would each node fetch in training, and what does an index of 300,000 shards cost a rank?

    python -m benchmarks.order [--batches 300] [--shards 300000]

The order, the deal of a batch's sequences and the pages are those of the loader, over the token index of a
made-up corpus in shards of unequal length, with the paper's seven sources, shares and epochs at 1.4T tokens
(Touvron et al. 2023, Table 1). Batches of 2,048 sequences of 2,048 tokens start from an empty cache. A node
has eight ranks. The peer is what a node would fetch if each rank took a range of the sequences.
The last line is JSON.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llama_core.artifact import Artifact, Shard, write_index
from llama_core.recipes import training
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokens.loader import Loader, deal
from llama_core.tokens.node_cache import MOST_BYTES, Key, NodeCache
from llama_core.tokens.shards import PAGE_BYTES

MIXTURE = {
    "commoncrawl": 0.67, "c4": 0.15, "github": 0.045, "wikipedia": 0.045,
    "books": 0.045, "arxiv": 0.025, "stackexchange": 0.02,
}  # fmt: skip
EPOCHS = {
    "commoncrawl": 1.10, "c4": 1.06, "github": 0.64, "wikipedia": 2.45,
    "books": 2.23, "arxiv": 1.06, "stackexchange": 1.03,
}  # fmt: skip
TRAIN = training.Train(tokens=1_400_000_000_000, lr=1.5e-4)
RANKS = (8, 128, 2048)
NODE = 8  # ranks of a node
MOST = 0.05  # fetches a sequence that are allowed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--shards", type=int, default=300_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="llama-order-") as folder:
        made = corpus(Store(folder), options.shards)
        before, start = _resident(), time.perf_counter()
        cache = NodeCache("order", place=Path(folder))
        loader = Loader(made, TRAIN, MIXTURE, cache=cache)
        seconds, grown = time.perf_counter() - start, _resident() - before
        print(f"index of {options.shards:,} shards: {made.manifest['index']['size'] / 1e6:.0f} MB packed")
        print(f"a rank's loader: {seconds:.1f} s to start, {grown / 1e6:.0f} MB")
        start = time.perf_counter()
        for row in np.random.default_rng(0).integers(0, options.shards, 20).tolist():
            made.shard_at(row)
        print(f"the facts of a shard: {(time.perf_counter() - start) / 20 * 1000:.1f} ms")
        results = []
        for ranks in RANKS:
            ours, most = fetches(loader, ranks, options.batches)
            theirs, _ = fetches(loader, ranks, options.batches, dealt=False)
            print(
                f"{ranks:>5} ranks, {ranks // NODE:>3} nodes: {ours:.4f} fetches a sequence, {theirs:.4f} by "
                f"ranges; at most {most:,} pages ({most * PAGE_BYTES / 2**30:.2f} GiB) in use on a node, "
                f"whose cache has room for {MOST_BYTES // PAGE_BYTES:,}",
                flush=True,
            )
            what = f"page fetches a sequence at {ranks} ranks"
            row = {"what": what, "ours": round(ours, 4), "peer": "ranges", "theirs": round(theirs, 4)}
            results.append(row | {"ratio": round(theirs / ours, 1), "unit": "fetches"})
        loader.close()
    print(json.dumps({"name": "order", "results": results}))


def corpus(store: Store, shards: int, digests: bool = True) -> Artifact:
    """Return a tokens artifact of which only the index is there. `digests`: with those of its pages."""
    step = Step(store, "tokens", 1, {"shards": shards})
    tokens = {name: 1.4e12 * share / EPOCHS[name] for name, share in MIXTURE.items()}
    rng, total = np.random.default_rng(0), sum(tokens.values())

    def each() -> Iterator[Shard]:
        for source in sorted(MIXTURE):
            count = max(2, round(shards * tokens[source] / total))
            mean = tokens[source] / count
            for i, size in enumerate(rng.integers(int(mean / 2), int(mean * 1.5), count).tolist()):
                name = f"{source}.{i:06}"
                pages = [rng.bytes(32).hex() for _ in range(-(-2 * size // PAGE_BYTES))] if digests else []
                entry = {"name": f"a-0/{name}.bin", "size": 2 * size, "sha256": rng.bytes(32).hex()}
                facts = {"source": source, "dtype": "uint16", "pages": pages}
                value = {"name": name, "digest": rng.bytes(32).hex(), "objects": [entry]}
                yield Shard.from_dict(value | {"counts": {"tokens": size}, "facts": facts}, store.url, name)

    with step.folder.publish("a-0/index.parquet") as file:
        write_index(file, each())
    assert file.object is not None
    manifest = {"stage": "tokens", "id": step.id, "digest": "made up", "index": file.object.as_dict()}
    return Artifact(step.folder, manifest)


def fetches(loader: Loader, ranks: int, batches: int, dealt: bool = True) -> tuple[float, int]:
    """Return the page fetches a sequence over all nodes, and the most pages that one node has in use.

    A page is in use on a node from the first to the last batch, of `batches`, for which it is needed there.
    """
    nodes = ranks // NODE
    spans: list[dict[Key, list[int]]] = [{} for _ in range(nodes)]
    sequences = 0
    for n in range(batches):
        source, shard, start, _ = loader._part(n, [0], 1)
        sequences += len(source)
        rows = deal(source, shard, start, nodes) if dealt else np.arange(len(source)).reshape(nodes, -1)
        for of_node, mine in zip(spans, rows, strict=True):
            for key in loader._places.pages(shard[mine], start[mine]):
                of_node.setdefault(key, [n, n])[1] = n
    return sum(map(len, spans)) / sequences, max(_most_at_once(s, batches) for s in spans)


def _most_at_once(spans: dict[Key, list[int]], batches: int) -> int:
    change: NDArray[np.int64] = np.zeros(batches + 1, np.int64)
    for first, last in spans.values():
        change[first] += 1
        change[last + 1] -= 1
    return int(np.cumsum(change).max())


def _resident() -> int:
    """Return the bytes of memory that this process has at its peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
