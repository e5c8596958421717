"""Where in its raw file a document is, in words: an `offset` counts another thing in each format."""

from typing import Any

from llama_core.corpus.formats import archives
from llama_core.corpus.sources import files

_PACKED = (".gz", ".tgz", ".zst", ".bz2")


def take_place(kind: str, url: str, meta: dict[str, Any]) -> dict[str, str]:
    """Take out of a document's `meta` what says where it is in the raw file at `url`, and return it in words.

    Returns what is to be read by a person, under its name.
    """
    lines: dict[str, str] = {}
    if "offset" in meta:
        counted = _counted(kind, url.lower(), meta)
        offset = meta.pop("offset")
        if counted:
            lines["offset"] = f"{offset:,} {counted}"
    if kind == "arxiv" and (member := meta.pop("member", "")):
        lines["member"] = f"{member} of the tar"
    if kind == "commoncrawl" and meta.get("segment") == url:
        del meta["segment"]
    return lines


def _counted(kind: str, url: str, meta: dict[str, Any]) -> str:
    """Return what an offset counts; empty where there is nothing to count, as in a file of a checkout."""
    if kind == "dataset" or url.endswith(".parquet"):
        return "rows into the file"
    if kind == "commoncrawl":
        is_direct = meta.pop("offset_in") == "file"
        return "bytes into the file as it lies" if is_direct else "bytes into the file, decompressed"
    if kind == "stackexchange" and url.endswith(".7z"):
        return "bytes into the Posts.xml of the archive, decompressed"
    if kind == "github" and not url.endswith((*archives.ENDINGS, *files.ENDINGS)):
        return ""
    if kind == "arxiv" and meta.get("member"):
        return "bytes into the tar, decompressed"
    return "bytes into the file, decompressed" if url.endswith(_PACKED) else "bytes into the file as it lies"
