"""Near-dedup on one core: how fast it is beside datatrove, and how many of the near pairs it finds.

    python -m benchmarks.dedup [--mb 60] [--files GLOB ...] [--pairs 20000] [--peer-python PYTHON]

The text is made from a seed, or read from `--files` (each file one document; globs may have `**`). Both
sides read the same Parquet and write which documents to drop; speed is in MB (10^6 bytes of UTF-8) per CPU
second of one process. Without `--peer-python` datatrove is taken from the Python that runs this (`pip install
'llama-pretrain[bench]'`); where it has none, there is no comparison. It splits words by a regular expression.

Recall is measured against exact Jaccard similarities of 5-word shingles: on pairs that have no other near
text (`pairs`), where the theory 1 - (1 - J^8)^14 holds; on all pairs of a sample of the text, where a pair is
also found through others between the two; and on lone pairs in scripts that put no spaces between words,
where a shingle has five characters. `candidates` are the pairs that share a bucket, of which the theory
speaks, as the mean over eight draws of the hash functions; `found` are those that the recipe's own draw puts
into one cluster, once verified: far below the threshold none should be. The last line is JSON.
"""

import argparse
import glob
import importlib.util
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.text import SCRIPTS, unspaced
from benchmarks.text import documents as generated
from llama_core.artifact import Artifact
from llama_core.corpus.decisions import read_decisions
from llama_core.corpus.dedup import plan as dedup
from llama_core.corpus.dedup.minhash import MinHash
from llama_core.corpus.document import Document, document_id, write_documents
from llama_core.corpus.documents import Documents
from llama_core.corpus.recipe import Corpus
from llama_core.phases import execute
from llama_core.step import Step
from llama_core.store import Store

SHARD_BYTES = 20_000_000
LARGEST_FILE = 1_000_000
DRAWS = 8  # draws of the hash functions, over which `candidates` is averaged
SAMPLE = 4000  # the most documents that are compared pair by pair
BINS = [round(0.5 + 0.05 * i, 2) for i in range(10)]  # the lowest similarity of each bin
CFG = Corpus(sources={"text": {"kind": "files"}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=float, default=60, help="text to deduplicate, at most (MB)")
    parser.add_argument("--files", nargs="*", default=[], help="files to take the text from")
    parser.add_argument("--pairs", type=int, default=20_000, help="pairs without other near texts")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peer-python", help="a Python that has datatrove 0.10")
    args = parser.parse_args()
    texts = list(_limited(_read(args.files) if args.files else generated(int(args.mb * 1e6)), args.mb * 1e6))
    megabytes = sum(len(t.encode()) for t in texts) / 1e6
    print(f"{len(texts):,} documents, {megabytes:.1f} MB; one process, CPU seconds, median of {args.repeat}")
    peer_python = args.peer_python or (sys.executable if importlib.util.find_spec("datatrove") else None)
    with tempfile.TemporaryDirectory() as folder:
        ingested = ingest(Store(f"{folder}/store"), texts)
        ours, theirs = [], []
        for number in range(args.repeat):  # both in turn, so that noise from other programs hits both alike
            seconds, decided = timed(ingested, f"{folder}/ours{number}")
            ours.append(megabytes / seconds)
            if peer_python:
                found = peer(peer_python, ingested, f"{folder}/theirs{number}")
                theirs.append(megabytes / found["seconds"])
        results = [speed(ours, theirs, found if peer_python else None)]
        dropped = sum(n for name, n in decided.counts.items() if name.startswith("dropped."))
        print(f"dropped: {dropped:,}" + (f"; by datatrove {found['dropped']:,}" if peer_python else ""))
        facts = {k: v for k, v in decided.facts.items() if k not in ("pairs", "examples")}
        print(f"clusters: {facts}")
        results += [
            {
                "what": name.replace("_", " "),
                "ours": value,
                "peer": None,
                "theirs": None,
                "ratio": None,
                "unit": "",
            }
            for name, value in facts.items()
        ]
        sampled = texts if len(texts) <= SAMPLE else random.Random(1).sample(texts, SAMPLE)
        results += recall("all pairs of a sample", sampled, all_pairs(sampled), f"{folder}/sample")
        made, pairs = lone_pairs(args.pairs)
        results += recall("lone pairs", made, pairs, f"{folder}/pairs")
        for script in SCRIPTS:
            made, pairs = lone_pairs_unspaced(args.pairs // 5, script)
            results += recall(f"lone pairs in {script}", made, pairs, f"{folder}/{script}")
    print(json.dumps({"name": "dedup", "results": results}))


def speed(ours: list[float], theirs: list[float], found: dict[str, Any] | None) -> dict[str, Any]:
    """Print the median speeds, and return them as a row of the results.

    `ours`, `theirs`: MB per CPU second, one for each repetition. `found`: what `peer` returned, None without
    datatrove.
    """
    mine = statistics.median(ours)
    row = {"what": "near-dedup, Parquet in to keep-list out", "ours": round(mine, 2), "unit": "MB/CPU-s"}
    if not found:
        print(f"speed: {mine:.1f} MB/s (no datatrove here)")
        return row | {"peer": None, "theirs": None, "ratio": None}
    peer_speed = statistics.median(theirs)
    name = f"datatrove {found['version']}, regex words, xxhash"
    print(f"speed: {mine:.1f} MB/s; {name}: {peer_speed:.2f} MB/s; ratio {mine / peer_speed:.1f}")
    return row | {"peer": name, "theirs": round(peer_speed, 2), "ratio": round(mine / peer_speed, 2)}


def timed(ingested: Artifact, folder: str) -> tuple[float, Artifact]:
    """Run dedup in this process, and return its CPU seconds and its decisions."""
    documents = {"text": Documents("text", ingested)}
    step = Step(Store(folder), "dedup", dedup.REVISION, dedup.identity(CFG), documents)
    started = time.process_time()
    decided = execute(step, dedup.plan(step, documents, CFG))
    return time.process_time() - started, decided


def peer(python: str, ingested: Artifact, scratch: str) -> dict[str, Any]:
    """Run datatrove on the same shards, and return its `seconds`, `dropped` and `version`.

    `python`: the interpreter that has datatrove. Raises SystemExit with datatrove's errors if it fails.
    """
    files = Path(f"{scratch}/in")
    files.mkdir(parents=True)
    for number, shard in enumerate(ingested.shards):
        path = ingested.store.path(shard.object("documents.parquet").name)
        (files / f"{number:05d}.parquet").symlink_to(path)
    program = Path(__file__).with_name("dedup_datatrove.py")
    command = [python, "-P", str(program), str(files), scratch]  # -P: tokenize.py here would hide Python's
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"datatrove failed:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.strip().splitlines()[-1])


def ingest(store: Store, texts: list[str]) -> Artifact:
    """Write the texts as an ingest step would, in shards of about SHARD_BYTES, and return the artifact."""
    step = Step(store, "ingest", 1, {})
    shard_of = np.cumsum([len(t) for t in texts]) // SHARD_BYTES
    names = []
    for number in np.unique(shard_of):
        some = [texts[i] for i in np.flatnonzero(shard_of == number)]
        name = f"{number:05d}"
        names.append(name)
        with step.shard(name) as out:
            with out.publish(f"{name}/documents.parquet") as writer:
                write_documents(writer, (_document(f"{name}#{i}", t) for i, t in enumerate(some)))
            out.counts.update(documents=len(some), bytes=sum(len(t.encode()) for t in some))
            out.facts["group"] = None
    return step.commit(names)


def _document(place: str, text: str) -> Document:
    return Document(document_id("text", place), text, "text", place, "", "en", "", "{}")


def _read(patterns: list[str]) -> Iterator[str]:
    for path in sorted({p for pattern in patterns for p in glob.glob(pattern, recursive=True)}):
        data = Path(path).read_bytes() if Path(path).is_file() else b""
        if 200 <= len(data) <= LARGEST_FILE:
            try:
                yield data.decode()
            except UnicodeDecodeError:
                continue


def _limited(texts: Iterable[str], n_bytes: float) -> Iterator[str]:
    for text in texts:
        n_bytes -= len(text.encode())
        if n_bytes < 0:
            return
        yield text


Pairs = list[tuple[int, int, float]]  # the indices of two texts, and their exact Jaccard similarity


def lone_pairs(count: int) -> tuple[list[str], Pairs]:
    """Return the texts of `count` pairs, and the pairs: each text is similar only to the other of its pair.

    The pairs' similarities are spread from 0.5 to 1.
    """
    rng = random.Random(1)
    texts: list[str] = []
    for text in generated(count * 1300, seed=2, near_copies=0.0, mean_words=150):
        words = text.split()
        changed = list(words)
        share = rng.random() * 0.07
        for at in range(len(words)):
            if rng.random() < share:
                changed[at] = f"{rng.choice(words)}{at}"
        texts += [text, " ".join(changed)]
        if len(texts) >= 2 * count:
            break
    return texts, _paired(texts)


def lone_pairs_unspaced(count: int, script: str) -> tuple[list[str], Pairs]:
    """Return what `lone_pairs` does, of texts in one of SCRIPTS. A shingle has five characters there."""
    rng = random.Random(1)
    texts: list[str] = []
    for words in unspaced(count, script):
        share = rng.random() * 0.12
        changed = [rng.choice(words) if rng.random() < share else word for word in words]
        texts += ["".join(words), "".join(changed)]
    return texts, _paired(texts)


def _paired(texts: list[str]) -> Pairs:
    """Return the pairs of texts that follow one another, with their similarities."""
    sets = _shingle_sets(texts)
    return [(i, i + 1, _jaccard(sets[i], sets[i + 1])) for i in range(0, len(texts), 2)]


def all_pairs(texts: list[str]) -> Pairs:
    """Return all pairs of texts whose similarity is at least the lowest of BINS.

    They are found through an index from each shingle to the texts that contain it.
    """
    sets = _shingle_sets(texts)
    owners = np.repeat(np.arange(len(texts)), [len(s) for s in sets])
    hashes = np.concatenate(sets)
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    pairs: Pairs = []
    for text, own in enumerate(sets):
        first, last = np.searchsorted(hashes, own), np.searchsorted(hashes, own, side="right")
        shared = np.zeros(len(texts), np.int64)
        for start, end in zip(first[last - first > 1], last[last - first > 1], strict=True):
            shared[owners[start:end]] += 1
        for other in np.flatnonzero(shared[:text]):
            similarity = shared[other] / (len(own) + len(sets[other]) - shared[other])
            if similarity >= BINS[0]:
                pairs.append((int(other), text, float(similarity)))
    return pairs


def _shingle_sets(texts: list[str]) -> list[npt.NDArray[np.uint64]]:
    """Return the distinct 64-bit hashes of each text's shingles, sorted."""
    minhash = MinHash(CFG.dedup)
    return [np.unique(minhash.shingles(text)) for text in texts]


def _jaccard(left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]) -> float:
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / max(1, len(left) + len(right) - shared)


def recall(what: str, texts: list[str], pairs: Pairs, folder: str) -> list[dict[str, Any]]:
    """Measure which pairs dedup finds, print it, and return rows of the results for each bin of similarity.

    `candidates` is the share of the bin's pairs that meet in a bucket, `recall` the share that dedup puts
    into one cluster.
    """
    ingested = ingest(Store(f"{folder}/store"), texts)
    _, decided = timed(ingested, f"{folder}/dedup")
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.get(node, node) != node:
            node = parent[node]
        return node

    ids: list[str] = []
    for shard in ingested.shards:
        for decision in read_decisions(decided, f"text.{shard.name}"):
            ids.append(decision.id)
            if not decision.keep:
                parent[root(decision.id)] = root(decision.evidence["kept"])
    similar = np.array([s for _, _, s in pairs])
    together = np.array([root(ids[i]) == root(ids[j]) for i, j, _ in pairs], bool)
    candidate = np.mean([_candidates(texts, pairs, seed) for seed in range(DRAWS)], axis=0)
    theory = 1 - (1 - similar**CFG.dedup.rows) ** CFG.dedup.bands
    print(f"\n{what}: {len(pairs):,} pairs among {len(texts):,} documents")
    print(f"{'Jaccard':>12} {'pairs':>8} {'theory':>7} {'candidates':>11} {'found':>7}")
    rows = []
    for low in BINS:
        chosen = (similar >= low) & (similar < low + 0.05 + (low == BINS[-1]))
        if not chosen.any():
            continue
        expected = float(theory[chosen].mean())
        shares = {"candidates": float(candidate[chosen].mean()), "recall": float(together[chosen].mean())}
        bin_ = f"{low:.2f} to {low + 0.05:.2f}"
        print(
            f"{bin_} {chosen.sum():8,} {expected:7.3f} {shares['candidates']:11.3f} {shares['recall']:7.3f}"
        )
        rows += [
            {
                "what": f"{name}, {what}, Jaccard {bin_}, n={chosen.sum()}",
                "ours": round(share, 4),
                "peer": "bands-and-rows theory",
                "theirs": round(expected, 4),
                "ratio": round(share / expected, 3),
                "unit": "share of pairs",
            }
            for name, share in shares.items()
        ]
    return rows


def _candidates(texts: list[str], pairs: Pairs, seed: int) -> npt.NDArray[np.bool_]:
    """Tell which pairs share a bucket under the hash functions drawn with `seed`: bool (pairs,)."""
    minhash = MinHash(CFG.dedup.model_copy(update={"seed": seed}))
    keys = minhash.keys(minhash.sign(texts))
    return np.array([(keys[i] == keys[j]).any() for i, j, _ in pairs], bool)


if __name__ == "__main__":
    main()
