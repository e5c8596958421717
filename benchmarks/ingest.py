"""From WET files to clean documents on one core, beside datatrove: parse, duplicate lines, language, filters.

    python -m benchmarks.ingest [--mb 16] [--files 4] [--duplicates 0.5] [--repeat 3] [--peer-python PYTHON]
                                [--words spacy regex]

The pages are made from a seed; a stated share of their text is lines that stand in many pages. Both sides
read the same gzip WET files, drop duplicate lines (we every copy, as CCNet; datatrove all but the first),
identify the language by the same fastText model, apply Gopher's, C4's and FineWeb's filters and write what
stays as Parquet. Speed is in raw MB (10^6 bytes of decompressed WET) per CPU second of one process. The words
belong to no language, so the score that a page needs to pass as English is low on both sides.

`--peer-python` is a Python with `datatrove[io,processing]==0.10.1`, spacy and fasttext-numpy2-wheel. It
cannot be this one: our fastText package has the same name as datatrove's. datatrove is measured with its
default word tokenizer, spaCy, and with a regular expression in its place. The last line is JSON.
"""

import argparse
import gzip
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.text import documents as generated
from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.clean import language, lines, quality
from llama_core.corpus.clean.recipe import C4Filter, Clean, Filters, Language, Lines
from llama_core.corpus.document import write_documents
from llama_core.corpus.documents import Documents
from llama_core.corpus.recipe import CommonCrawl
from llama_core.phases import Plan, execute, one_phase
from llama_core.step import Step
from llama_core.store import Store

MENU_BYTES = 500_000  # size of the text whose lines, cut short, are repeated on many pages
MIN_SCORE = 0.05
WORDS = ("spacy", "regex")
CCNET = {"hashing": 600, "mining": 40}  # documents a second and core, as published (Wenzek et al. 2019)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=float, default=16, help="text (MB)")
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--duplicates", type=float, default=0.5, help="share of the text in duplicate lines")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peer-python", help="a Python that has datatrove 0.10 and what it needs")
    parser.add_argument(
        "--words", nargs="+", choices=WORDS, default=WORDS, help="datatrove's word tokenizers"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="llama-bench-") as folder:
        wet = Path(folder) / "wet"
        pages, raw = write_wet(wet, int(args.mb * 1e6), args.files, args.duplicates)
        print(f"{pages:,} pages in {args.files} WET files, {raw / 1e6:.1f} MB decompressed; ", end="")
        print(f"{args.duplicates:.0%} of the text in duplicate lines; one process, CPU seconds, medians")
        ours: list[dict[str, float]] = []
        theirs: dict[str, list[float]] = {words: [] for words in args.words}
        found: dict[str, Any] = {}
        for number in range(args.repeat):
            seconds, kept = measure(wet, Store(f"{folder}/ours{number}"))
            ours.append(seconds)
            for words in theirs if args.peer_python else ():
                found[words] = peer(args.peer_python, wet, f"{folder}/{words}{number}", words)
                theirs[words].append(found[words]["seconds"])
        report(ours, kept, theirs, found, raw, pages)


def write_wet(folder: Path, n_bytes: int, files: int, duplicates: float) -> tuple[int, int]:
    """Write WET files, each record a gzip member of its own as in Common Crawl's.

    Returns the number of pages, and of bytes before compression. `duplicates`: the share of the text that is
    lines repeated on many pages.
    """
    folder.mkdir(parents=True)
    paragraphs = [p for text in generated(MENU_BYTES, seed=2, near_copies=0) for p in text.split("\n")]
    menu = [" ".join(p.split(" ")[: 6 + i % 30]).rstrip(".") + "." for i, p in enumerate(paragraphs)]
    rng = np.random.default_rng(3)
    pages = raw = 0
    outs = [(folder / f"CC-MAIN-{i:05d}.warc.wet.gz").open("wb") for i in range(files)]
    for text in generated(int(n_bytes * (1 - duplicates)), near_copies=0):
        page = text.split("\n")
        missing = len(text) * duplicates / (1 - duplicates)
        while missing > 0:
            line = menu[rng.integers(len(menu))]
            page.insert(int(rng.integers(len(page) + 1)), line)
            missing -= len(line)
        record = _record(pages, "\n".join([f"Page {pages}", *page]))
        outs[pages % files].write(gzip.compress(record, 6))
        pages += 1
        raw += len(record)
    for out in outs:
        out.close()
    return pages, raw


def _record(number: int, text: str) -> bytes:
    body = text.encode()
    head = (
        "WARC/1.0\r\nWARC-Type: conversion\r\n"
        f"WARC-Target-URI: https://site-{number % 997}.example/{number}\r\n"
        "WARC-Date: 2020-01-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012d}>\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"


def measure(wet: Path, store: Store) -> tuple[dict[str, float], dict[str, int]]:
    """Run our stages in this process, and return CPU seconds and the documents left, each by stage."""
    clean = Clean(
        lines=Lines(),
        language=Language(keep=["en"], min_score=MIN_SCORE),
        filters=Filters(gopher_repetition=True, gopher_quality=True, c4=C4Filter(), fineweb=True),
    )
    source = CommonCrawl(kind="commoncrawl", urls=[f"{wet}/*.warc.wet.gz"], clean=clean)
    seconds: dict[str, float] = {}
    kept: dict[str, int] = {}

    def timed(stage: str, plan: Callable[[Step], Plan]) -> Artifact:
        started = time.process_time()
        step = Step(store, stage, 0, {})
        artifact = execute(step, plan(step))
        seconds[stage] = time.process_time() - started
        kept[stage] = artifact.counts.get("kept", artifact.counts["documents"])
        return artifact

    raws = ingest.raw_files("web", source)
    ingested = timed("parse", lambda s: ingest.plan(s, "web", source, raws))
    documents = Documents("web", ingested)
    cfg = clean.lines or Lines()
    documents = documents.after(timed("lines", lambda s: lines.plan(s, documents, cfg, source.min_chars)))
    documents = documents.after(timed("quality", lambda s: quality.plan(s, documents, clean)))
    names = {shard.name: shard.name for shard in documents.shards}
    timed("write", lambda s: one_phase(names, partial(_write, s, documents)))
    return seconds, kept


def _write(step: Step, documents: Documents, name: str) -> None:
    with step.shard(name) as out, out.publish(f"{name}/documents.parquet") as writer:
        left = list(documents.read(name))
        out.counts["documents"] += len(left)
        write_documents(writer, left)


def peer(python: str, wet: Path, scratch: str, words: str) -> dict[str, Any]:
    """Run datatrove on the same files, and return its `seconds`, `kept` and `version`.

    `words`: its word tokenizer, `spacy` or `regex`. Raises SystemExit with datatrove's errors if it fails.
    """
    script = Path(__file__).with_name("ingest_datatrove.py")
    # -P: tokenize.py in this folder would hide the standard library's
    command = [python, "-P", str(script), str(wet), scratch, str(language.embedded()), str(MIN_SCORE), words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"datatrove failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def report(
    ours: list[dict[str, float]],
    kept: dict[str, int],
    theirs: dict[str, list[float]],
    found: dict[str, Any],
    raw: int,
    pages: int,
) -> None:
    """Print the times, the speeds and the results as JSON.

    `raw`: bytes of decompressed WET. `theirs`, `found`: datatrove's CPU seconds and what `peer` returned
    last, by word tokenizer.
    """
    for row in _rows(ours, kept):
        print(row)
    mine = raw / 1e6 / statistics.median(sum(seconds.values()) for seconds in ours)
    print(f"ours: {mine:.2f} MB/s, {pages * mine * 1e6 / raw:,.0f} pages/s; ", end="")
    print(f"CCNet as published: {CCNET['hashing']} documents/s hashing, then {CCNET['mining']} mining")
    results = []
    for words, seconds in theirs.items():
        row = {"what": "WET to clean documents, one core", "ours": round(mine, 2), "unit": "raw MB per CPU s"}
        if not seconds:
            results.append(row | {"peer": f"datatrove ({words} words)", "theirs": None, "ratio": None})
            continue
        name = f"datatrove {found[words]['version']} ({words} words)"
        speed = raw / 1e6 / statistics.median(seconds)
        print(f"{name}: {speed:.2f} MB/s, ratio {mine / speed:.1f}; {found[words]['kept']:,} documents left")
        results.append(row | {"peer": name, "theirs": round(speed, 3), "ratio": round(mine / speed, 2)})
    print(json.dumps({"name": "ingest", "results": results}))


def _rows(ours: list[dict[str, float]], kept: dict[str, int]) -> Iterator[str]:
    for stage, left in kept.items():
        yield f"{stage:>8}: {statistics.median(s[stage] for s in ours):6.2f} s, {left:,} documents left"


if __name__ == "__main__":
    main()
