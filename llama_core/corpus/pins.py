"""Pins: what a run has resolved of the outside world, so that another start of it sees the same world.

    <store>/pins/<key of the sources>/<number>.parquet             the raw files, as they were found once
    <store>/pins/<key of the sources>/runs/<key of the run>/<number>    which of these a run is made from

A run keeps its pin; a new one takes the newest of its sources. Lists, checksums, ETags and versions of
packages are pinned. Files of this machine that a recipe names by their paths are a person's own, and may be
edited between two starts: they are looked at each time.
"""

import io
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from llama_core.artifact import FACTS, digest_of
from llama_core.corpus import ingest
from llama_core.corpus.recipe import Dataset, Source, UrlSource
from llama_core.corpus.sources.listing import LISTED, ListedFile
from llama_core.corpus.sources.raw import Raw
from llama_core.errors import DamagedError
from llama_core.file_system import brief
from llama_core.objects import FileName
from llama_core.parse import damaged, json_fields, shaped
from llama_core.section import in_address
from llama_core.store import Store

MOST_BYTES = 256 << 20  # of a pin: 300,000 files take some 30 MB
MOST_SHOWN = 3  # names of files that a message about a change has
_TEXTS = ("source", "name", "url", "digest", "checksum", "facts")
_SCHEMA = pa.schema([*((name, pa.string()) for name in _TEXTS), ("size", pa.int64())])
_NAME = TypeAdapter(FileName)

Raws = dict[str, list[Raw]]


@dataclass(frozen=True)
class Resolved:
    """The raw files of a run's sources."""

    raws: Raws
    since: str = ""
    """When those of the outside world were resolved, where that was before this start of the run."""
    changes: tuple[str, ...] = ()
    """What is another one now than before, a line for each source that was resolved anew and has changed."""


def resolve(
    store: Store,
    identity: Mapping[str, Any],
    sources: Mapping[str, Source],
    *,
    refresh: bool = False,
    by: str = "",
) -> Resolved:
    """Return the raw files of all sources, those of the outside world as the run's pin has them.

    `identity`: that of the run's recipe. `refresh`: the world is looked at anew, once for all starts `by` the
    same flow run; a pin that has changed is a new one. Raises InputError, StoreError and DamagedError.
    """
    outside = [name for name, source in sources.items() if is_outside(source)]
    raws = {name: ingest.raw_files(name, sources[name]) for name in sources if name not in outside}
    if not outside:
        return Resolved(raws)
    # As addresses are made: a field that a later version adds leaves them as they are.
    known = [ingest.REVISION, {name: in_address(sources[name].identity()) for name in outside}]
    folder, run = store.at(f"pins/{digest_of(known)[:16]}"), digest_of(in_address(dict(identity)))[:16]
    while True:
        names = folder.list()
        there = _numbers(names, r"(\d{6})\.parquet")
        newest = max(there, default=0)
        mine = _numbers(names, rf"runs/{run}/(\d{{6}})")
        number = max(set(mine) & set(there), default=newest)  # a damaged pin may have been deleted
        pin = _read(folder, number, outside) if number else None
        if pin is None or (refresh and not (by and pin.by == by)):
            found = {name: ingest.raw_files(name, sources[name]) for name in outside}
            changes = tuple(_changes(pin.raws, found)) if pin else ()
            if pin is None or changes:
                number = newest + 1
                made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
                if not folder.create(f"{number:06}.parquet", _written(found, made, by)):
                    continue  # another flow was first
                pin = _Pin(found, "", by)
        else:
            changes = ()
        if number not in mine:
            folder.create(f"runs/{run}/{number:06}", b"{}")
        everything = raws | pin.raws
        return Resolved({name: everything[name] for name in sources}, pin.made, changes)


def _numbers(names: Iterable[str], pattern: str) -> list[int]:
    return [int(found[1]) for name in names if (found := re.fullmatch(pattern, name))]


def is_outside(source: Source) -> bool:
    """Tell whether what a source is read from may change without the person who runs the recipe."""
    if isinstance(source, UrlSource):
        return any(url.startswith(LISTED) or _is_remote(url) for url in source.urls)
    if isinstance(source, Dataset):
        named = _strings(source.data_files)
        return any(map(_is_remote, named)) if named else not Path(source.path).exists()
    return True  # the versions of packages


def _is_remote(url: str) -> bool:
    return "://" in url and not url.startswith("file://")


def _strings(value: Any) -> list[str]:
    """Return the strings in a JSON value."""
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value or ()
    return [text for one in inside for text in _strings(one)]


@dataclass(frozen=True)
class _Pin:
    raws: Raws
    made: str
    by: str


def _written(raws: Raws, made: str, by: str) -> bytes:
    rows = [
        {
            "source": source,
            "name": raw.name,
            "url": raw.url,
            "digest": raw.digest,
            "checksum": raw.listed.checksum if raw.listed else None,
            "size": raw.listed.size if raw.listed else None,
            "facts": json.dumps(raw.facts),
        }
        for source, some in raws.items()
        for raw in some
    ]
    schema = _SCHEMA.with_metadata({"made": made, "by": by})
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd")
    return file.getvalue()


def _read(folder: Store, number: int, sources: Iterable[str]) -> _Pin:
    """Return a pin that has all of these sources. Raises DamagedError."""
    name = f"{number:06}.parquet"
    url, data = folder.url_of(name), folder.read(name, most=MOST_BYTES)
    try:
        table = pq.read_table(pa.BufferReader(data))
        said = table.schema.metadata or {}
        made, by = said[b"made"].decode(), said[b"by"].decode()
        rows = table.select(_SCHEMA.names).cast(_SCHEMA).to_pylist()
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise DamagedError(
            f"{url} is damaged: delete it, and the run resolves anew ({brief(error)})"
        ) from error
    raws: Raws = {name: [] for name in sources}
    for row in rows:
        if row["source"] not in raws:
            raise damaged(url, f"it has a source {row['source']!r}, which the run has not")
        raws[row["source"]].append(_raw(row, url))
    return _Pin(raws, made, by)


def _raw(row: dict[str, Any], url: str) -> Raw:
    """Return the raw file of a row. Raises DamagedError where its name or its digest cannot be right."""
    name = shaped(_NAME, row["name"], url)
    if row["url"] is None or row["digest"] is None or row["facts"] is None:
        raise damaged(url, f"it says too little of {name}")
    facts = shaped(FACTS, json_fields(row["facts"], url), url)
    if row["checksum"] is None:
        return Raw(name, row["url"], row["digest"], facts=facts)
    listed = ListedFile(row["url"], row["size"], row["checksum"])
    if digest_of(listed.identity()) != row["digest"]:
        raise damaged(url, f"what it says of {name} is not what the digest was made of")
    return Raw(name, row["url"], row["digest"], listed, facts=facts)


def _changes(before: Raws, now: Raws) -> Iterable[str]:
    """Yield a line for each source whose raw files are others now."""
    for source, some in now.items():
        old, new = ({raw.name: raw for raw in raws} for raws in (before.get(source, []), some))
        kinds = {
            "new": [new[n].url for n in new if n not in old],
            "gone": [old[n].url for n in old if n not in new],
            "changed": [new[n].url for n in new if n in old and new[n].digest != old[n].digest],
        }
        parts = [f"{len(urls):,} {kind} ({_some(urls)})" for kind, urls in kinds.items() if urls]
        if parts:
            yield f"{source}: {', '.join(parts)}"


def _some(urls: list[str]) -> str:
    return ", ".join(urls[:MOST_SHOWN]) + (", ..." if len(urls) > MOST_SHOWN else "")
