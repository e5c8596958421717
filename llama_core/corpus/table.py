"""The project's own objects of Parquet, read a row group at a time. One that cannot be read is damaged."""

import contextlib
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from llama_core.errors import DamagedError
from llama_core.file_system import brief
from llama_core.objects import Object
from llama_core.store import Store


def read_groups(
    store: Store, entry: Object, columns: Sequence[str] | None = None, *, checked: bool = True
) -> Iterator[pa.RecordBatch]:
    """Yield the row groups of an object, with these columns or all. Raises DamagedError.

    `checked`: its digest is checked first, for which all of it is read.
    """
    url = store.url_of(entry.name)
    with contextlib.ExitStack() as stack:
        opened = store.checked(entry.name, entry) if checked else store.open(entry.name)
        file = stack.enter_context(opened)
        with _named(url):
            parquet = stack.enter_context(pq.ParquetFile(file))
            missing = set(columns or ()) - set(parquet.schema_arrow.names)
        if missing:
            raise DamagedError(f"{url} is damaged: it has no column {', '.join(sorted(missing))}")
        for group in range(parquet.num_row_groups):
            with _named(url):
                table = parquet.read_row_group(group, columns=columns and list(columns)).combine_chunks()
            yield from table.to_batches()


def read_table(store: Store, entry: Object) -> pa.Table:
    """Return all rows of an object, whose digest is checked first. Raises DamagedError."""
    data = store.read(entry.name, expect=entry)
    with _named(store.url_of(entry.name)):
        return pq.read_table(pa.BufferReader(data)).combine_chunks()


@contextlib.contextmanager
def _named(url: str) -> Iterator[None]:
    """Turn what Arrow raises for bytes that are no Parquet into a DamagedError that names the object."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise DamagedError(f"{url} is damaged: delete its step's folder ({brief(error)})") from error
