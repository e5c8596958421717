"""A run sees the outside world as it was when the run was first started."""

import threading
from pathlib import Path
from typing import Any

import pytest
from corpus.helpers import write_jsonl

from llama_core.corpus import pins
from llama_core.corpus.recipe import Dataset, Files, Packages, Source
from llama_core.errors import DamagedError
from llama_core.section import Identity
from llama_core.store import Store

RUN = {"model": {"dim": 64}}
MD5 = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def listed(tmp_path: Path) -> Files:
    """A published list of two files with checksums."""
    publish(tmp_path, a=MD5, b=MD5)
    return Files(kind="files", urls=[f"list+{tmp_path}/mirror/sums.txt"])


def publish(tmp_path: Path, **sums: str) -> None:
    """Write the list: the md5 sum of each file by the name of the file."""
    (tmp_path / "mirror").mkdir(exist_ok=True)
    lines = [f"{md5}  {name}.jsonl\n" for name, md5 in sums.items()]
    (tmp_path / "mirror" / "sums.txt").write_text("".join(lines))


def resolve(store: Store, source: Source, run: dict[str, Any] = RUN, **asked: Any) -> pins.Resolved:
    return pins.resolve(store, run, {"web": source}, **asked)


def test_a_list_that_changes_changes_no_run_until_it_is_asked_to_look(
    tmp_path: Path, store: Store, listed: Files
) -> None:
    first = resolve(store, listed)
    assert not first.since and not first.changes and len(first.raws["web"]) == 2
    publish(tmp_path, a=MD5[::-1], c=MD5)
    again = resolve(store, listed)
    assert again.raws == first.raws and again.since and not again.changes

    anew = resolve(store, listed, refresh=True)
    [change] = anew.changes
    assert change.startswith("web: 1 new (") and "1 gone (" in change and "1 changed (" in change
    assert "c.jsonl" in change and "b.jsonl" in change and "a.jsonl" in change
    assert {raw.url[-7:] for raw in anew.raws["web"]} == {"a.jsonl", "c.jsonl"}
    assert resolve(store, listed).raws == anew.raws
    assert not resolve(store, listed, refresh=True).changes


def test_a_run_keeps_its_pin_when_another_one_looks_anew(tmp_path: Path, store: Store, listed: Files) -> None:
    first = resolve(store, listed)
    other = RUN | {"lr": 1.0}
    assert resolve(store, listed, other).raws == first.raws, "a new run takes the newest pin"
    publish(tmp_path, a=MD5[::-1])
    anew = resolve(store, listed, other, refresh=True)
    assert anew.raws != first.raws
    assert resolve(store, listed).raws == first.raws
    assert resolve(store, listed, other).raws == anew.raws


def test_one_flow_run_looks_once_however_often_it_is_started(
    tmp_path: Path, store: Store, listed: Files
) -> None:
    resolve(store, listed)
    publish(tmp_path, a=MD5[::-1])
    anew = resolve(store, listed, refresh=True, by="flow 1")
    publish(tmp_path, a=MD5)
    assert resolve(store, listed, refresh=True, by="flow 1").raws == anew.raws
    assert resolve(store, listed, refresh=True, by="flow 2").raws != anew.raws


def test_flows_that_start_at_once_see_the_same_world(tmp_path: Path, store: Store, listed: Files) -> None:
    found: list[pins.Resolved] = []
    flows = [threading.Thread(target=lambda: found.append(resolve(store, listed))) for _ in range(8)]
    for flow in flows:
        flow.start()
    for flow in flows:
        flow.join()
    assert len(found) == 8 and all(one.raws == found[0].raws for one in found)
    assert len([name for name in store.list("pins") if name.endswith("000001.parquet")]) == 1


def test_what_is_pinned_comes_back_as_it_was(store: Store) -> None:
    source = Packages(kind="packages", packages=["numpy"], part="code")
    assert pins.is_outside(source)
    first, again = resolve(store, source), resolve(store, source)
    assert again.since and again.raws == first.raws
    assert [raw.facts for raw in again.raws["web"]] == [raw.facts for raw in first.raws["web"]]


def test_files_of_this_machine_are_looked_at_each_time(tmp_path: Path, store: Store) -> None:
    path = write_jsonl(tmp_path / "own.jsonl", [{"text": "mine"}])
    source = Files(kind="files", urls=[str(path)])
    before = resolve(store, source).raws["web"][0].digest
    write_jsonl(path, [{"text": "mine, and more"}])
    assert resolve(store, source).raws["web"][0].digest != before
    assert store.list("pins") == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Files(kind="files", urls=["~/text/*.txt", "file:///data/a.txt"]), False),
        (Files(kind="files", urls=["~/a.txt", "https://example.org/b.txt"]), True),
        (Files(kind="files", urls=["list+/mirror/files.xml"]), True),
        (Files(kind="files", urls=["s3://bucket/a.jsonl"]), True),
        (Dataset(kind="dataset", path="allenai/c4"), True),
        (Dataset(kind="dataset", path="/"), False),
        (Dataset(kind="dataset", path="json", data_files={"train": ["a.json", "b.json"]}), False),
        (Dataset(kind="dataset", path="json", data_files={"train": "hf://datasets/a/b.json"}), True),
    ],
)
def test_the_outside_world_is_what_may_change_without_us(source: Source, expected: bool) -> None:
    assert pins.is_outside(source) == expected


def test_a_damaged_pin_is_named(store: Store, listed: Files) -> None:
    resolve(store, listed)
    [name] = [name for name in store.list("pins") if name.endswith(".parquet")]
    store.publish_bytes(name, b"PAR1 no table")
    with pytest.raises(DamagedError, match="000001.parquet is damaged: delete it"):
        resolve(store, listed)


def test_a_pin_that_was_deleted_is_made_anew(tmp_path: Path, store: Store, listed: Files) -> None:
    """As the message about a damaged one says."""
    resolve(store, listed)
    [pin] = [name for name in store.list() if name.endswith(".parquet")]
    store.delete([pin])
    publish(tmp_path, c=MD5)
    [raw] = resolve(store, listed).raws["web"]
    assert raw.url.endswith("c.jsonl")
    publish(tmp_path, a=MD5)
    assert resolve(store, listed).raws["web"] == [raw], "it is kept as the first one was"


def test_a_field_that_a_later_version_adds_leaves_a_run_its_pin(
    tmp_path: Path, store: Store, listed: Files
) -> None:
    class Later(Files):
        """A source with one more setting, at its default."""

        added: Identity[int] = 1

    first = resolve(store, listed, run={"corpus": listed.identity()})
    publish(tmp_path, c=MD5)
    later = Later.model_validate(listed.model_dump())
    assert resolve(store, later, run={"corpus": later.identity()}).raws == first.raws
    assert {name.split("/")[2] for name in store.list("pins")} == {"000001.parquet", "runs"}
    assert len(store.list("pins")) == 2
