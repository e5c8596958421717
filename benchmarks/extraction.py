"""The main content of real pages: how much of it our reader and others find, and how fast.

    pip install 'llama-pretrain[bench]'
    python -m benchmarks.extraction --pages FOLDER [--repeat 3]

FOLDER is a copy of Scrapinghub's article-extraction-benchmark: `ground-truth.json`, and `html/NAME.html.gz`.
F1 is that benchmark's: shares of sequences of four words, averaged over pages. The pages are articles, and
the gold text has neither their headings of first rank nor the captions of their pictures. Speed is in MB
(10^6 bytes) of HTML per CPU second of one process, decoding included; the median of the repetitions. The last
line is JSON: a row for each peer, and one for speed.
"""

import argparse
import gzip
import importlib.metadata
import importlib.util
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding
from resiliparse.parse.html import HTMLTree

from llama_core.corpus.markup.webpage.extract import extract

Extract = Callable[[bytes], str]
Shares = tuple[float, float, float]  # F1, precision, recall
OURS = "ours"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    truth = json.loads((args.pages / "ground-truth.json").read_text())
    paths = {name: args.pages / "html" / f"{name}.html.gz" for name in truth}
    pages = {name: gzip.decompress(path.read_bytes()) for name, path in paths.items() if path.exists()}
    gold = {name: truth[name]["articleBody"] for name in pages}
    size = sum(map(len, pages.values())) / 1e6
    print(f"{len(pages)} pages, {size:.1f} MB; one process, CPU seconds, median of {args.repeat}")
    print(f"{'':52}{'F1':>7}{'precision':>11}{'recall':>8}{'MB/s':>8}")
    found: dict[str, tuple[Shares, float]] = {}
    for name, run in extractors().items():
        seconds, texts = [], {}
        for _ in range(args.repeat):
            started = time.process_time()
            texts = {page: run(data) for page, data in pages.items()}
            seconds.append(time.process_time() - started)
        shares, speed = score(texts, gold), size / statistics.median(seconds)
        found[name] = (shares, speed)
        print(f"{name:52}{shares[0]:7.4f}{shares[1]:11.4f}{shares[2]:8.4f}{speed:8.1f}", flush=True)
    print(json.dumps({"name": "extraction", "results": rows(found)}))


def extractors() -> dict[str, Extract]:
    """Return what is compared, by name: ours, resiliparse, and trafilatura where it is installed."""

    def ours(data: bytes) -> str:
        found = extract(data, "")
        return found[1] if isinstance(found, tuple) else ""

    def resiliparse(**options: Any) -> Extract:
        def run(data: bytes) -> str:
            return extract_plain_text(HTMLTree.parse(bytes_to_str(data, detect_encoding(data))), **options)

        return run

    bare = {"main_content": True, "alt_texts": False, "comments": False}
    name = f"resiliparse {importlib.metadata.version('resiliparse')}"
    compared: dict[str, Extract] = {
        OURS: ours,
        f"{name}, no comments, no meta": resiliparse(**bare, post_meta=False),
        f"{name}, no comments": resiliparse(**bare),
        f"{name}, main content": resiliparse(main_content=True),
        f"{name}, all text": resiliparse(main_content=False),
    }
    if importlib.util.find_spec("trafilatura"):
        import trafilatura

        def peer(**options: Any) -> Extract:
            return lambda data: trafilatura.extract(data, **options) or ""

        name = f"trafilatura {importlib.metadata.version('trafilatura')}"
        compared |= {
            f"{name}": peer(),
            f"{name}, no comments": peer(include_comments=False),
            f"{name}, fast": peer(fast=True),
            f"{name}, fast, no comments": peer(fast=True, include_comments=False),
            f"{name}, fast, no comments, precision": peer(
                fast=True, include_comments=False, favor_precision=True
            ),
            f"{name}, fast, no comments, recall": peer(fast=True, include_comments=False, favor_recall=True),
        }
    return compared


def score(texts: dict[str, str], gold: dict[str, str]) -> Shares:
    """Return F1, precision and recall of the texts of pages against what they should be."""
    right = missed = wrong = 0.0
    for page, text in texts.items():
        found, wanted = _shingles(text), _shingles(gold[page])
        all_of = (found | wanted).total()
        right += (found & wanted).total() / all_of
        wrong += (found - wanted).total() / all_of
        missed += (wanted - found).total() / all_of
    precision, recall = right / (right + wrong), right / (right + missed)
    return 2 * precision * recall / (precision + recall), precision, recall


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    if len(words) < 4:
        return Counter([(*words,)])
    return Counter(zip(*(words[i:] for i in range(4)), strict=False))


def rows(found: dict[str, tuple[Shares, float]]) -> list[dict[str, Any]]:
    """Return the rows of the results: the F1 and the speed of ours beside those of each peer."""
    (mine, _, _), my_speed = found.pop(OURS)
    results = []
    for peer, ((theirs, _, _), speed) in found.items():
        for what, own, other, unit in (
            ("main content of articles", mine, theirs, "F1 of 4-grams"),
            ("HTML to main content, one core", my_speed, speed, "MB per CPU s"),
        ):
            ratio = round(own / other, 3)
            row = {"what": what, "ours": round(own, 4), "peer": peer, "theirs": round(other, 4)}
            results.append(row | {"ratio": ratio, "unit": unit})
    return results


if __name__ == "__main__":
    main()
