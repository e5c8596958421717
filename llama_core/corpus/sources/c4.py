"""C4 as it was published: JSONL of `text`, `timestamp` and `url`, packed with gzip. Nothing is dropped."""

from llama_core.corpus.recipe import C4
from llama_core.corpus.sources.files import FORMATS, read
from llama_core.corpus.sources.raw import Raw, find_files

__all__ = ["ENDINGS", "raw_files", "read"]

ENDINGS = tuple(ending for ending, form in FORMATS.items() if form == "jsonl")


def raw_files(source: C4, key: str) -> list[Raw]:
    """Return the files of a source. Raises InputError."""
    return find_files(source, key, ENDINGS)
