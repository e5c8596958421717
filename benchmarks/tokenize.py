"""The tokens stage on worker processes, Parquet in to `.bin` and `.idx` out, beside SentencePiece's batches.

    python -m benchmarks.tokenize [--mb 100] [--urls URL ...] [--workers 2] [--repeat 3]

The text is made from a seed, or read from `--urls` (text, JSONL or Parquet, as a source of kind `files`).
The peer has the same model and runs in as many processes at once, so that both have the same share of the
machine; each has a shard's texts in memory and encodes them as one batch, with one thread. Speed is in MB
(10^6 bytes of UTF-8) per second of CPU time, which is reliable on a shared machine too, and per second of
wall clock. The start of workers is not timed, nor is the peer's reading. Our workers cache what they have
encoded from shard to shard, but not from one repetition to the next. The last line is JSON.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

from benchmarks.text import documents as generated
from llama_core import recipe
from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.document import Document, document_id, read_documents, write_documents
from llama_core.corpus.recipe import Files
from llama_core.corpus.training_text import TrainingText
from llama_core.phases import Engine, Phase, execute, in_turn, one_phase
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokenizer.model import MODEL
from llama_core.tokenizer.train import REVISION, train_tokenizer
from llama_core.tokens import shards
from tasks.fanout import on_processes

SHARDS_PER_WORKER = 4
SAMPLE_BYTES = 20_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=float, default=100, help="text to encode, at most (MB)")
    parser.add_argument("--urls", nargs="*", default=[], help="files to take the text from")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--vocab", type=int, default=32_000)
    args = parser.parse_args()
    texts = list(_limited(_read(args.urls) if args.urls else generated(int(args.mb * 1e6)), args.mb * 1e6))
    megabytes = sum(len(t.encode()) for t in texts) / 1e6
    engine: Engine = partial(on_processes, workers=args.workers) if args.workers > 1 else in_turn
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        corpus = _corpus(store, texts, args.workers * SHARDS_PER_WORKER)
        model = _tokenizer(store, corpus, args.vocab)
        print(
            f"{len(texts):,} documents, {megabytes:.1f} MB, {args.workers} workers, median of {args.repeat}"
        )
        _tokens(store, corpus, model, engine, "warm")
        ours, theirs, tokens = [], [], 0
        for number in range(args.repeat):  # both in turn, because a shared machine changes its speed
            made, spent = _tokens(store, corpus, _named(store, model, str(number)), engine, str(number))
            ours.append(spent)
            tokens, spent = _peer(corpus, model, engine, args.workers)
            theirs.append(spent)
            assert made.counts["tokens"] == tokens, "both must encode the same text"
    print(f"{tokens:,} tokens, {megabytes * 1e6 / tokens:.2f} bytes each")
    results = []
    for at, what in enumerate(("CPU", "wall clock")):
        mine = megabytes / statistics.median(spent[at] for spent in ours)
        peer = megabytes / statistics.median(spent[at] for spent in theirs)
        results.append(
            {"what": f"tokenise, {what}", "ours": round(mine, 2), "peer": "SentencePiece"}
            | {"theirs": round(peer, 2), "ratio": round(mine / peer, 3), "unit": f"MB per second of {what}"}
        )  # fmt: skip
    print(f"{'':<24}{'ours':>8}{'SentencePiece':>16}{'ratio':>8}")
    for row in results:
        print(f"{row['what']:<24}{row['ours']:>8}{row['theirs']:>16}{row['ratio']:>8}  {row['unit']}")
    print(json.dumps({"name": "tokenize", "results": results}))


def _tokens(
    store: Store, corpus: Artifact, model: Artifact, engine: Engine, name: str
) -> tuple[Artifact, tuple[float, float]]:
    """Run the tokens stage, and return its output, the CPU seconds of its shards, and wall-clock seconds."""
    step = Step(store, "tokens", shards.REVISION, {"run": name}, {"corpus": corpus})
    with tempfile.TemporaryDirectory() as spent:
        work = partial(_timed, step, corpus, model, spent)
        start = time.perf_counter()
        made = execute(step, one_phase({s.name: s.name for s in corpus.shards}, work), engine)
        wall = time.perf_counter() - start
        return made, (sum(float(path.read_text()) for path in Path(spent).iterdir()), wall)


def _timed(step: Step, corpus: Artifact, model: Artifact, spent: str, shard: str) -> None:
    """Make one shard of tokens, and write its CPU seconds to a file in the folder `spent`."""
    start = time.process_time()
    shards.tokens_shard(step, TrainingText(corpus), model, shard)
    (Path(spent) / shard).write_text(str(time.process_time() - start))


def _peer(corpus: Artifact, model: Artifact, engine: Engine, workers: int) -> tuple[int, tuple[float, float]]:
    """Encode the corpus with SentencePiece, and return its tokens, CPU seconds and wall-clock seconds.

    BOS and EOS count as tokens. The wall clock is the sum of the shards' divided by `workers`, as if all
    processes were busy from the start to the end.
    """
    with tempfile.TemporaryDirectory() as spent:
        phase = Phase("peer", {s.name: s.name for s in corpus.shards}, partial(_encode, corpus, model, spent))
        list(engine(phase, list(phase.shards)))
        found = [json.loads(path.read_text()) for path in Path(spent).iterdir()]
    tokens, cpu, wall = (sum(column) for column in zip(*found, strict=True))
    return tokens, (cpu, wall / workers)


def _encode(corpus: Artifact, model: Artifact, spent: str, shard: str) -> None:
    """Encode one shard, and write its tokens, CPU and wall-clock seconds to a file in the folder `spent`."""
    proto = model.read(model.shard("tokenizer").object(MODEL))
    processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
    texts = [document.text for document in read_documents(corpus, shard, "train.parquet")]
    cpu, wall = time.process_time(), time.perf_counter()
    encoded = processor.encode(texts, out_type="numpy", num_threads=1, add_bos=True, add_eos=True)
    used = sum(map(len, encoded)), time.process_time() - cpu, time.perf_counter() - wall
    (Path(spent) / shard).write_text(json.dumps(used))


def _corpus(store: Store, texts: list[str], n_shards: int) -> Artifact:
    step = Step(store, "corpus", 1, {})
    names = [f"text.{i:03}" for i in range(n_shards)]
    for number, name in enumerate(names):
        part = texts[number::n_shards]
        with step.shard(name) as shard:
            with shard.publish(f"{name}/train.parquet") as file:
                ids = (document_id("text", f"{number} {i}") for i in range(len(part)))
                rows = zip(ids, part, strict=False)
                write_documents(file, (Document(i, t, "text", "", "", "", "", "{}") for i, t in rows))
            shard.counts.update({"documents.train": len(part), "bytes.train": sum(len(t) for t in part)})
            shard.facts = {"source": "text"}
    return step.commit(names)


def _tokenizer(store: Store, corpus: Artifact, vocab: int) -> Artifact:
    step = Step(store, "tokenizer", REVISION, {})
    cfg = recipe.TokenizerSection(vocab_size=vocab, sample_bytes=SAMPLE_BYTES)
    train_tokenizer(step, TrainingText(corpus), cfg, {"text": 1.0})
    return step.commit(["tokenizer"])


def _named(store: Store, model: Artifact, name: str) -> Artifact:
    """Copy the tokenizer to a file with other bytes, so that no worker has text cached for it."""
    proto = ModelProto.FromString(model.read(model.shard("tokenizer").object(MODEL)))
    proto.trainer_spec.model_prefix = name
    step = Step(store, "tokenizer", REVISION, {"run": name})
    with step.shard("tokenizer") as shard:
        shard.publish_bytes(MODEL, proto.SerializeToString())
    return step.commit(["tokenizer"])


def _read(urls: list[str]) -> Iterator[str]:
    source = Files(kind="files", urls=urls, min_chars=1)
    for raw in ingest.raw_files("text", source):
        for outcome in ingest.reader("files").read("text", source, raw):
            if isinstance(outcome, Document):
                yield outcome.text


def _limited(texts: Iterator[str], limit: float) -> Iterator[str]:
    left = limit
    for text in texts:
        if left <= 0:
            return
        left -= len(text.encode())
        yield text


if __name__ == "__main__":
    main()
