"""Documents in and out of each file of a folder, and the markup that is left in their text.

    python -m benchmarks.samples FOLDER

A subfolder is named after a kind of source (`wikipedia`, `stackexchange`, `arxiv`, `commoncrawl`, `c4`,
`gutenberg` for books); files that the kind does not read are passed over. `records` are the raw records,
`counted` what another reader finds (ElementTree, warcio, tarfile, py7zr, a count of lines), - where there is
none, and with a `*` where it cannot read the file to its end. `per 100 kB` are residues of markup by the
patterns of `tests/corpus/sources/residues.py`, outside of formulas and code. Two commits are compared by the
two tables. The last line is JSON.
"""

import argparse
import bz2
import gzip
import html
import io
import json
import re
import sys
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

from pydantic import TypeAdapter

from llama_core.corpus import ingest
from llama_core.corpus.document import Document, Dropped, NonContent, Outcome, Quarantined
from llama_core.corpus.recipe import Source
from llama_core.corpus.sources.raw import raw_file

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from corpus.sources.residues import residues

KINDS = {"gutenberg": "books"}  # folders of another name than their kind
_KINDS_OF_SOURCES = ("wikipedia", "stackexchange", "arxiv", "commoncrawl", "c4", "books")
PATTERNS = {"commoncrawl": "stackexchange"}  # kinds of whose residues others' patterns tell
MIN_CHARS = {"stackexchange": 1}
_CODE = {
    "wikipedia": re.compile(r"<(code|pre|syntaxhighlight|source)\b[^>]*>(.*?)</", re.DOTALL),
    "stackexchange": re.compile(r"<(pre|code)\b[^>]*>(.*?)</\1>", re.DOTALL),
    "arxiv": re.compile(
        r"\\begin\{(lstlisting|verbatim\*?|minted)\}(?:\[[^]\n]*\])?\n?(.*?)\\end\{\1\}", re.DOTALL
    ),
}
_TAG = re.compile(r"<[^<>]*>")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    print(f"{'file':66}{'records':>9}{'counted':>9}{'docs':>7}{'kB':>9}{'per 100 kB':>12}  left out")
    rows = [row for path in files_of(args.folder) for row in [measured(*path)]]
    for row in rows:
        share = "" if row["residues"] is None else f"{row['residues'] * 1e5 / max(1, row['bytes']):.3f}"
        left = ", ".join(f"{name} {n:,}" for name, n in row["left_out"].items())
        print(
            f"{row['what'][-64:]:66}{row['records']:>9,}{row['counted']:>9}{row['ours']:>7,}"
            f"{row['bytes'] / 1e3:>9,.0f}{share:>12}  {left}"
        )
    print(json.dumps({"name": "samples", "results": rows}))


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files that are read, each with its kind of source."""
    for inside in sorted(path for path in folder.iterdir() if path.is_dir()):
        kind = KINDS.get(inside.name, inside.name)
        if kind not in _KINDS_OF_SOURCES:
            continue
        endings = getattr(ingest.reader(kind), "ENDINGS", ())
        for path in sorted(inside.iterdir()):
            if path.name.endswith(tuple(endings)):
                yield kind, path


def measured(kind: str, path: Path) -> dict[str, Any]:
    """Read a file, and return a row of the table."""
    fields: dict[str, Any] = {"kind": kind, "urls": [str(path)]}
    if kind in MIN_CHARS:
        fields["min_chars"] = MIN_CHARS[kind]
    source: Any = TypeAdapter(Source).validate_python(fields)
    module = ingest.reader(kind)
    raw = raw_file(source, path.absolute().as_uri())
    more = []
    if kind == "wikipedia":
        groups = list(module.collect(source, raw))  # type: ignore[attr-defined]
        more = [lambda _: module.gathered(row for _, row in groups)]  # type: ignore[attr-defined]
    outcomes = list(module.read("sample", source, raw, *more))
    texts = [outcome.text for outcome in outcomes if isinstance(outcome, Document)]
    pattern = PATTERNS.get(kind, kind)
    left: int | None = None
    if pattern in _CODE:
        left = sum(residues("\n".join(texts), pattern, code_of(kind, path)).values())
    return {
        "what": f"{path.parent.name}/{path.name}", "ours": len(texts), "peer": None, "theirs": None,
        "ratio": None, "unit": "documents", "records": records_in(outcomes), "counted": counted(kind, path),
        "bytes": sum(len(text.encode()) for text in texts), "residues": left,
        "left_out": dict(sorted(left_out(outcomes).items())),
    }  # fmt: skip


def records_in(outcomes: Iterable[Outcome]) -> int:
    """Return the number of raw records that outcomes account for."""
    return sum(o.members if isinstance(o, Document) else 0 for o in outcomes) + left_out(outcomes).total()


def left_out(outcomes: Iterable[Outcome]) -> Counter[str]:
    """Count the raw records that became no document, by reason."""
    found: Counter[str] = Counter()
    for outcome in outcomes:
        if isinstance(outcome, NonContent):
            found[outcome.kind] += outcome.count
        elif isinstance(outcome, Dropped):
            found[outcome.reason] += 1
        elif isinstance(outcome, Quarantined):
            found[outcome.error] += 1
    return found


def counted(kind: str, path: Path) -> str:
    """Return how many raw records another reader finds, as a word of the table."""
    data = path.read_bytes()
    if path.name.endswith((".jsonl", ".json", ".json.gz", ".jsonl.gz")):
        plain = gzip.decompress(data) if path.suffix == ".gz" else data
        return str(sum(1 for line in plain.split(b"\n") if line.strip()))
    if kind == "commoncrawl":
        return _warc_records(path)
    if kind in ("wikipedia", "stackexchange"):
        file, others = _seven_zip(path) if path.suffix == ".7z" else (_unpacked(path), 0)
        return _elements(file, "page" if kind == "wikipedia" else "row", others)
    if kind == "arxiv" and path.name.endswith(".gz"):
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                return str(len(archive.getmembers()))
        except tarfile.ReadError:
            return "1"
    return "1"


def _elements(file: BinaryIO, name: str, others: int) -> str:
    found = others
    try:
        for _, element in ElementTree.iterparse(file):
            if element.tag.rpartition("}")[2] == name:
                found += 1
                element.clear()
    except (ElementTree.ParseError, EOFError):
        return f"{found}*"
    return str(found)


def _warc_records(path: Path) -> str:
    """Count with warcio, which wants a gzip member for each record: the file is unpacked for it."""
    import warcio
    from warcio.exceptions import ArchiveLoadFailed

    found, data, plain = 0, path.read_bytes(), b""
    while data:
        member = zlib.decompressobj(wbits=31)
        plain, data = plain + member.decompress(data), member.unused_data
    try:
        for record in warcio.ArchiveIterator(io.BytesIO(plain)):
            record.content_stream().read()
            found += 1
    except ArchiveLoadFailed:
        return f"{found}*"
    return str(found)


def _seven_zip(path: Path) -> tuple[BinaryIO, int]:
    """Return Posts.xml of an archive, and how many other members there are."""
    import py7zr

    with py7zr.SevenZipFile(path) as archive:
        names = archive.getnames()
        made = py7zr.io.BytesIOFactory(1 << 30)
        archive.extract(targets=["Posts.xml"], factory=made)
    return made.get("Posts.xml"), len(names) - 1


def _unpacked(path: Path) -> BinaryIO:
    openers: dict[str, Any] = {".bz2": bz2.open, ".gz": gzip.open}
    return openers.get(path.suffix, open)(path, "rb")


def code_of(kind: str, path: Path) -> list[str]:
    """Return the passages of code in a file, which its text holds as they are."""
    if kind not in _CODE:
        return []
    if kind == "arxiv":
        text = "\n".join(_tex_of(path))
        return [found[2].strip("\n") for found in _CODE[kind].finditer(text)]
    plain = (_seven_zip(path)[0] if path.suffix == ".7z" else _unpacked(path)).read()
    text = html.unescape(plain.decode("utf-8", "replace"))
    if kind == "wikipedia":
        return [found[2] for found in _CODE[kind].finditer(text)]
    return [html.unescape(_TAG.sub("", found[2])).strip() for found in _CODE[kind].finditer(text)]


def _tex_of(path: Path) -> Iterator[str]:
    if path.suffix != ".gz":
        yield path.read_text("utf-8", "replace")
        return
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.endswith(".tex") and (file := archive.extractfile(member)):
                yield file.read().decode("utf-8", "replace")


if __name__ == "__main__":
    main()
