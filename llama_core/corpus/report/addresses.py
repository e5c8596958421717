"""Where the sources of a corpus are read from, in words that fit on a dataset card."""

import os
import re
from collections.abc import Iterable, Sequence
from itertools import islice, takewhile

from llama_core.corpus.recipe import Dataset, Packages, Source
from llama_core.markdown import code, escape

_REMOTE = re.compile(r"\b(https?|s3a?|gs|gcs|hf|ftp|az|abfss?)://[^/]+/?", re.IGNORECASE)
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")  # a dataset on the hub, or a format
_SEPARATOR = re.compile("([/#])")


def read_from(source: Source) -> str:
    """Return every public address of a source, in Markdown; of its local paths only the number is told."""
    if isinstance(source, Packages):
        names = escape(", ".join(source.packages))
        return f"the Python packages {names}, as installed where the corpus was made"
    if isinstance(source, Dataset):
        return _of_dataset(source)
    return _told(source.urls)


def _of_dataset(source: Dataset) -> str:
    on_hub = _NAME.fullmatch(source.path) and not os.path.exists(source.path)
    told = f"{code(source.path)} by the library `datasets`" if on_hub else _told([source.path])
    files = _data_files(source)
    if not files:
        return told
    # Files of a dataset on the hub are names inside it; those of a format, as json, are paths or URLs.
    inside = on_hub and "/" in source.path
    return f"{told}: " + (", ".join(map(code, files)) if inside else _told(files))


def _data_files(source: Dataset) -> list[str]:
    given = source.data_files
    of_splits = given.values() if isinstance(given, dict) else [given or []]
    return [file for files in of_splits for file in ([files] if isinstance(files, str) else files)]


def _told(addresses: Sequence[str]) -> str:
    """Return the addresses of each server together, by what they share, and the number of local paths."""
    of_server: dict[str, list[str]] = {}
    for address in addresses:
        if found := _REMOTE.search(address):
            of_server.setdefault(address[: found.end()], []).append(address)
    parts = [_together(of_it) for of_it in of_server.values()]
    if n_local := len(addresses) - sum(map(len, of_server.values())):
        parts.append("a local path" if n_local == 1 else f"{n_local} local paths")
    return "; ".join(parts) or "nowhere"


def _together(addresses: list[str]) -> str:
    """Return addresses of one server as "`https://server/…/end` of `a`, `b`, `c`"."""
    if len(addresses) == 1:
        return code(addresses[0])
    parts = [_SEPARATOR.split(address) for address in addresses]
    shortest = min(map(len, parts)) - 1  # something is left of each
    first = _equal(zip(*parts, strict=False), shortest)
    last = _equal(zip(*(reversed(p) for p in parts), strict=False), shortest - first)
    rests = ["".join(p[first : len(p) - last]) for p in parts]
    start, end = "".join(parts[0][:first]), "".join(parts[0][len(parts[0]) - last :])
    return f"{code(f'{start}…{end}')} of {', '.join(map(code, rests))}"


def _equal(columns: Iterable[tuple[str, ...]], most: int) -> int:
    """Count how many columns, from the first on, hold one value each."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, islice(columns, most)))
