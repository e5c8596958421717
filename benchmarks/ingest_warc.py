"""From a WARC file of real pages to documents on one core, beside warcio with resiliparse.

    python -m benchmarks.ingest_warc --pages FOLDER [--repeat 5]

FOLDER is that of `benchmarks.extraction`. Its pages are put into one gzip WARC file, each record a member of
its own. Both sides read the file, decode each page and take its main content; we also check lengths, sniff
payloads, find formulas, and write documents as Parquet. Speed is in MB (10^6 bytes) of HTML per CPU second
of one process, the median of the repetitions, which take turns. The last line is JSON.
"""

import argparse
import gzip
import importlib.metadata
import io
import json
import statistics
import tempfile
import time
from pathlib import Path

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding
from resiliparse.parse.html import HTMLTree
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from llama_core.corpus import ingest
from llama_core.corpus.recipe import CommonCrawl
from llama_core.phases import execute
from llama_core.step import Step
from llama_core.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    pages = [gzip.decompress(path.read_bytes()) for path in sorted((args.pages / "html").glob("*.html.gz"))]
    size = sum(map(len, pages)) / 1e6
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory(prefix="llama-bench-") as folder:
        warc = Path(folder) / "pages.warc.gz"
        write_warc(warc, pages)
        for number in range(args.repeat):
            seconds, documents = measure(warc, Store(f"{folder}/ours{number}"))
            ours.append(seconds)
            seconds, read = peer(warc)
            theirs.append(seconds)
    mine, other = size / statistics.median(ours), size / statistics.median(theirs)
    name = " + ".join(f"{what} {importlib.metadata.version(what)}" for what in ("warcio", "resiliparse"))
    print(f"{len(pages)} pages, {size:.1f} MB of HTML; one process, CPU seconds, median of {args.repeat}")
    print(f"ours: {mine:.1f} MB/s, {documents} documents")
    print(f"{name}: {other:.1f} MB/s, {read} pages; ratio {mine / other:.2f}")
    row = {"what": "WARC of HTML to documents, one core", "ours": round(mine, 2), "unit": "HTML MB per CPU s"}
    results = [row | {"peer": name, "theirs": round(other, 2), "ratio": round(mine / other, 3)}]
    print(json.dumps({"name": "ingest_warc", "results": results}))


def write_warc(path: Path, pages: list[bytes]) -> None:
    """Write a WARC file with a response for each page."""
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for number, page in enumerate(pages):
            http = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
            url = f"https://site-{number}.example/"
            writer.write_record(
                writer.create_warc_record(url, "response", io.BytesIO(page), http_headers=http)
            )


def measure(warc: Path, store: Store) -> tuple[float, int]:
    """Ingest the file in this process, and return CPU seconds and the number of documents."""
    source = CommonCrawl(kind="commoncrawl", urls=[str(warc)])
    started = time.process_time()
    step = Step(store, "parse", 0, {})
    artifact = execute(step, ingest.plan(step, "web", source, ingest.raw_files("web", source)))
    return time.process_time() - started, artifact.counts["documents"]


def peer(warc: Path) -> tuple[float, int]:
    """Read the file with warcio and resiliparse, and return CPU seconds and the number of pages with text."""
    started = time.process_time()
    read = 0
    with warc.open("rb") as file:
        for record in ArchiveIterator(file):
            if record.rec_type == "response":
                data = record.content_stream().read()
                tree = HTMLTree.parse(bytes_to_str(data, detect_encoding(data) or "utf-8"))
                read += bool(extract_plain_text(tree, main_content=True))
    return time.process_time() - started, read


if __name__ == "__main__":
    main()
