"""The card says where each source is read from: every public address, and no local path."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from llama_core.corpus.recipe import Source, UrlSource
from llama_core.corpus.report.addresses import read_from
from llama_core.recipes.load import load_recipe

PAPER = load_recipe("llama-v1").corpus.sources


def source(**fields: Any) -> Source:
    made: Source = TypeAdapter(Source).validate_python(fields)
    return made


def named(text: str) -> list[str]:
    """The addresses that a text stands for, written out."""
    found = []
    for part in text.split("; "):
        first, *names = re.findall("`([^`]+)`", part)
        found += [first.replace("…", name) for name in names] if "…" in first else [first, *names]
    return found


@pytest.mark.parametrize("name", PAPER)
def test_every_address_of_the_papers_sources_is_said_and_can_be_read_off(name: str) -> None:
    assert isinstance(PAPER[name], UrlSource)
    assert named(read_from(PAPER[name])) == PAPER[name].urls  # type: ignore[union-attr]


def test_what_addresses_share_is_said_once() -> None:
    told = read_from(PAPER["commoncrawl"])
    assert told.startswith(
        "`list+https://data.commoncrawl.org/crawl-data/…/wet.paths.gz` of `CC-MAIN-2017-30`"
    )
    assert read_from(PAPER["stackexchange"]).count("archive.org") == 1


def test_local_paths_stay_at_home_and_others_are_said_beside_them() -> None:
    here = ["/data/mine/a.jsonl", "file:///data/mine/b.jsonl", "list+/data/mine/list.txt", "mine/*.gz"]
    told = read_from(source(kind="files", urls=[*here, "s3://ours/a.jsonl", "gs://ours/b.jsonl"]))
    assert told == "`s3://ours/a.jsonl`; `gs://ours/b.jsonl`; 4 local paths"
    assert read_from(source(kind="files", urls=here[:1])) == "a local path"
    assert read_from(source(kind="files", urls=["zip://a/*.txt::https://a.org/b.zip"])) == (
        "`zip://a/*.txt::https://a.org/b.zip`"
    )


def test_a_dataset_is_said_by_its_name_and_a_folder_of_ones_own_is_not(tmp_path: Path) -> None:
    hub = source(kind="dataset", path="someone/texts", data_files=["a/*.parquet"])
    assert read_from(hub) == "`someone/texts` by the library `datasets`: `a/*.parquet`"
    assert read_from(source(kind="dataset", path=str(tmp_path))) == "a local path"
    files = source(kind="dataset", path="json", data_files={"train": [str(tmp_path / "a"), "hf://x/y/b"]})
    assert read_from(files) == "`json` by the library `datasets`: `hf://x/y/b`; a local path"


def test_packages_are_said_by_name() -> None:
    told = read_from(source(kind="packages", packages=["click", "rich"]))
    assert told == "the Python packages click, rich, as installed where the corpus was made"
