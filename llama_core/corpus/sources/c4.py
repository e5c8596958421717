"""C4 as it was published: JSONL of `text`, `timestamp` and `url`, packed with gzip. Nothing is dropped."""

from llama_core.corpus.sources.files import FORMATS, read

__all__ = ["ENDINGS", "read"]

ENDINGS = tuple(ending for ending, form in FORMATS.items() if form == "jsonl")
