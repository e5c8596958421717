"""Whatever the library `datasets` can stream: a dataset of the Hugging Face hub, or files in its formats.

A raw file is a data file. One that `datasets` cannot read on is quarantined from there on, and reading it
takes the memory that `datasets` takes: for text and JSONL the kind `files` is safer, on `hf://` URLs too.
Parquet is read as that kind reads it.
"""

from collections.abc import Iterator
from gzip import BadGzipFile
from typing import Any

import datasets
import pyarrow as pa
from datasets.data_files import DataFilesDict, DataFilesList
from datasets.packaged_modules.parquet.parquet import Parquet

from llama_core.artifact import digest_of
from llama_core.corpus.document import Outcome, Quarantined
from llama_core.corpus.recipe import Dataset
from llama_core.corpus.sources import files
from llama_core.corpus.sources.raw import ANEW, Raw, open_url, shard_name
from llama_core.errors import InputError, LlamaError, StoreError

_NETWORK = ("aiohttp", "httpx", "httpcore", "requests", "urllib3", "huggingface_hub", "botocore", "asyncio")


def raw_files(source: Dataset, key: str) -> list[Raw]:
    """Return the data files of a split, known by name and by revision, ETag or time of change.

    Raises InputError.
    """
    try:
        found = _files(_builder(source), source)
    except LlamaError as error:
        raise type(error)(f"{key}: {error}") from error
    raws = [Raw(shard_name(url), url, _digest(url, origin)) for url, (_, origin) in found.items()]
    return sorted(raws, key=lambda raw: raw.name)


def read(source_name: str, source: Dataset, raw: Raw) -> Iterator[Outcome]:
    """Yield an outcome for each row of a data file.

    Raises InputError where it has changed since it was found or has no column of the source's name, and
    StoreError where it cannot be read.
    """
    builder = _builder(source)
    name, origin = _files(builder, source).get(raw.url, ("", ()))
    if _digest(raw.url, origin) != raw.digest:
        raise InputError(f"{raw.url} has changed since this run planned it: run again {ANEW}")
    if isinstance(builder, Parquet):
        yield from _read_parquet(source_name, source, raw)
        return
    builder.config.data_files = DataFilesDict({source.split: DataFilesList([name], [origin])})
    number = 0
    try:
        for row in _rows(builder, source):
            yield _outcome(row, source_name, source, f"{raw.url}#{number}", number)
            number += 1
    except LlamaError:
        raise
    except Exception as error:  # each format has errors of its own
        if _is_fault_of_store(error):
            raise StoreError(f"cannot read {raw.url}: {error}") from error
        yield Quarantined(f"{raw.url}#{number}", number, "damaged_file")


def _read_parquet(source_name: str, source: Dataset, raw: Raw) -> Iterator[Outcome]:
    with open_url(raw.url) as file:
        for number, _, row in files.read_parquet(file, raw.url, source.max_record_bytes, (source.column,)):
            place = f"{raw.url}#{number}"
            if isinstance(row, str):
                yield Quarantined(place, number, row)
            else:
                yield _outcome(row, source_name, source, place, number)


def _outcome(row: dict[str, Any], source_name: str, source: Dataset, place: str, number: int) -> Outcome:
    text = row.pop(source.column, None)
    if isinstance(text, str) and len(text) > source.max_record_bytes:
        return Quarantined(place, number, "too_long")
    fields = {name: value for name, value in row.items() if name != "text" and not _is_binary(value)}
    return files.to_outcome(fields | {"text": text}, source_name, source, place, number)


def _is_binary(value: Any) -> bool:
    """Tell whether a value is an image or a sound, which is not kept with a document."""
    return isinstance(value, bytes) or (isinstance(value, dict) and isinstance(value.get("bytes"), bytes))


def _rows(builder: datasets.DatasetBuilder, source: Dataset) -> Iterator[dict[str, Any]]:
    rows = builder.as_streaming_dataset(split=source.split)
    names = rows.column_names
    if names is not None and source.column not in names:
        raise InputError(f"{source.path} has no column `{source.column}`: its columns are {', '.join(names)}")
    yield from rows.decode(False) if rows.features else rows


def _builder(source: Dataset) -> datasets.DatasetBuilder:
    """Return what opens the dataset. Raises InputError."""
    try:
        return datasets.load_dataset_builder(
            source.path, source.name, revision=source.revision, data_files=source.data_files
        )
    except LlamaError:
        raise
    except Exception as error:  # the hub, the network and each format have errors of their own
        raise InputError(f"`datasets` cannot open {source.path}: {error}") from error


def _files(builder: datasets.DatasetBuilder, source: Dataset) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the data files of the split by URL: the name that `datasets` has for each, and its state.

    Raises InputError where there are none.
    """
    known = getattr(builder.config, "data_files", None)
    if not known:
        raise InputError(f"{source.path} is not made of data files, which are read one by one")
    if source.split not in known:
        raise InputError(
            f"{source.path} has no split {source.split!r}: there are {', '.join(map(str, known))}"
        )
    chosen = known[source.split]
    if not chosen:
        raise InputError(f"there is no file at data_files {source.data_files}")
    named = zip(chosen, chosen.origin_metadata, strict=True)
    return {name if "://" in name else f"file://{name}": (name, origin) for name, origin in named}


def _digest(url: str, origin: tuple[str, ...]) -> str:
    return digest_of([url, *map(str, origin)])


def _is_fault_of_store(error: BaseException | None) -> bool:
    """Tell whether an error comes from the network or the disk, and not from the data."""
    while error is not None:
        if isinstance(error, OSError) and not isinstance(error, BadGzipFile | pa.ArrowException):
            return True
        if type(error).__module__.partition(".")[0] in _NETWORK:
            return True
        error = error.__cause__
    return False
