"""What somebody has written into a step's folder is one error that names the file, and leads nowhere else."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import programs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llama_core.artifact import INDEX, Artifact
from llama_core.errors import DamagedError, StoreError
from llama_core.job import Job
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store, to_json

UP = "../../outside"


def step(store: Store) -> Step:
    return Step(store, "letters", 1, {"a": 1}, {"x": "d"})


def written(store: Store) -> Artifact:
    one = step(store)
    with one.shard("s1") as shard:
        shard.publish_bytes("s1.bin", b"data")
        shard.counts["raw"] = 2
    return one.commit(["s1"])


def put(path: str, value: Any) -> Callable[[Any], Any]:
    """Put a value at a path of keys, such as `index.name`."""

    def change(whole: Any) -> Any:
        *way, last = path.split(".")
        inner = whole
        for key in way:
            inner = inner[int(key) if isinstance(inner, list) else key]
        inner[last] = value
        return whole

    return change


def drop(key: str) -> Callable[[Any], Any]:
    return lambda whole: {k: v for k, v in whole.items() if k != key}


MANIFESTS = {
    "a list": lambda whole: [whole],
    "a text": lambda whole: "manifest",
    "no id": drop("id"),
    "no index": drop("index"),
    "no parents": drop("parents"),
    "no finish": drop("finished"),
    "id number": put("id", 5),
    "id of another": put("id", "0" * 64),
    "id up": put("id", UP),
    "stage up": put("stage", ".."),
    "stage of another": put("stage", "words"),
    "counts text": put("counts.raw", "2"),
    "counts true": put("counts.raw", True),
    "counts huge": put("counts.raw", 10**4000),
    "facts list": put("facts", [1]),
    "inputs numbers": put("inputs.x", 1),
    "parent up": put("parents.x", [f"corpus/{'..'}"]),
    "parent absolute": put("parents.x", ["/etc/passwd"]),
    "parent deep": put("parents.x", ["a/b/c"]),
    "parent text": put("parents.x", "corpus/0000000000000000"),
    "index up": put("index.name", UP),
    "index absolute": put("index.name", "/etc/passwd"),
    "index zero": put("index.name", "/dev/zero"),
    "index size negative": put("index.size", -1),
    "index size float": put("index.size", 1e3),
    "index size huge": put("index.size", 2**70),
    "index sha short": put("index.sha256", "abc"),
    "index list": put("index", ["a", 1, "b"]),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_hostile_manifest_is_named(store: Store, name: str) -> None:
    folder = written(store).store
    folder.publish_json("manifest.json", MANIFESTS[name](folder.read_json("manifest.json")))
    with pytest.raises(DamagedError, match=r"manifest\.json"):
        step(store).finished()


TEXTS = {
    "empty": b"",
    "no json": b"{",
    "deep": b'{"id":' * 3000 + b"1" + b"}" * 3000,
    "nan": b'{"counts": NaN}',
    "twice": b'{"id": "a", "id": "b"}',
    "latin": '{"id": "é"}'.encode("latin-1"),
    "half a pair": b'{"id": "\\ud800"}',
    "wide": b"[" + b"{}," * 2_000_000 + b"1]",
}


@pytest.mark.parametrize("file", ["manifest.json", "shards/s1.json", "job.json"])
@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_json_names_its_file(store: Store, file: str, name: str) -> None:
    one, folder = step(store), written(store).store
    folder.publish_bytes(file, TEXTS[name])
    reads = {"manifest.json": one.finished, "shards/s1.json": lambda: one.committed("s1")}
    with pytest.raises(DamagedError, match=rf"{file} is damaged"):
        reads.get(file, lambda: Job.load(folder.url_of(file)))()
    with pytest.raises(DamagedError, match=rf"{file} is damaged"):
        folder.read_json(file)


COMMITS = {
    "object up": put("objects.0.name", f"a-1/{UP}"),
    "object absolute": put("objects.0.name", "/etc/passwd"),
    "object back": put("objects.0.name", "a-1\\..\\x"),
    "object of control": put("objects.0.name", "a-1/x\n"),
    "the manifest": put("objects.0.name", "manifest.json"),
    "another commit": put("objects.0.name", "shards/s2.json"),
    "no size": put("objects", [{"name": "a-1/x", "sha256": "0" * 64}]),
    "a size of text": put("objects.0.size", "4"),
    "objects text": put("objects", "s1.bin"),
    "another name": put("name", "s2"),
    "a name up": put("name", UP),
    "counts list": put("counts", [1]),
    "no facts": drop("facts"),
}


@pytest.mark.parametrize("name", COMMITS)
def test_a_hostile_commit_is_named_and_nothing_follows_it(store: Store, name: str) -> None:
    one, folder = step(store), written(store).store
    folder.publish_json("shards/s1.json", COMMITS[name](folder.read_json("shards/s1.json")))
    reads = (lambda: one.committed("s1"), lambda: one.committed_shards(["s1"]), lambda: one.commit(["s1"]))
    for read in reads:
        with pytest.raises(DamagedError, match=r"shards/s1\.json is damaged"):
            read()


def packed(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, store_schema=False, **options)
    return file.getvalue()


def rows(n: int = 1, **changes: str) -> pa.Table:
    row = {"name": "s1", "digest": "d", "objects": "[]", "counts": "{}", "facts": "{}"} | changes
    once = pa.array(np.zeros(n, np.int32))  # each text is there once, however many rows have it
    return pa.table({k: pa.DictionaryArray.from_arrays(once, pa.array([v])) for k, v in row.items()})


def an_object(name: str) -> str:
    return json.dumps([{"name": name, "size": 1, "sha256": "0" * 64}])


INDEXES: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "no parquet": lambda: b"PAR1" + b"x" * 100 + b"PAR1",
    "cut": lambda: packed(rows())[:-20],
    "no column": lambda: packed(rows().drop_columns(["facts"])),
    "a column more": lambda: packed(rows().append_column("x", pa.array(["y"]))),
    "numbers": lambda: packed(rows().set_column(0, "name", pa.array([1]))),
    "bytes": lambda: packed(rows().set_column(1, "digest", pa.array([b"\xff\xfe"]))),
    "no text": lambda: packed(rows().set_column(1, "digest", pa.array([None], pa.string()))),
    "lists": lambda: packed(rows().set_column(1, "digest", pa.array([["a"]]))),
    "no json": lambda: packed(rows(objects="[")),
    "deep": lambda: packed(rows(facts='{"a":' * 3000 + "1" + "}" * 3000)),
    "counts": lambda: packed(rows(counts='{"raw": 1.5}')),
    "object up": lambda: packed(rows(objects=an_object(f"a-1/{UP}"))),
    "object manifest": lambda: packed(rows(objects=an_object("manifest.json"))),
    "a name up": lambda: packed(rows(name=UP)),
    "many rows": lambda: packed(rows(1_200_000)),
    "many rows in a group": lambda: packed(rows(2000)),
    "one text many times": lambda: packed(rows(1000, facts='{"a": "' + "x" * (4 << 20) + '"}')),
    "a large text": lambda: packed(rows(facts='{"a": "' + "x" * (200 << 20) + '"}'), use_dictionary=False),
    "large names": lambda: packed(rows(200, name="x" * (1 << 20)), use_dictionary=False, compression="zstd"),
}

# Reads each index of argv[1] as a later stage does, and prints how that ended and what memory it took.
PROGRAM = """
import hashlib, json, signal, sys, time
from pathlib import Path
from llama_core.artifact import Artifact
from llama_core.errors import LlamaError
from llama_core.store import Store

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

store = Store(sys.argv[1])
for name, entry in store.read_json("indexes.json").items():
    Path("/proc/self/clear_refs").write_text("5")
    before, since = peak(), time.perf_counter()
    signal.alarm(20)
    artifact = Artifact(store, {"index": entry})
    kinds = []
    for use in (lambda: list(artifact.objects()), lambda: artifact.shards):
        try:
            kinds.append(["taken", repr(use())[:100]])
        except LlamaError as error:
            kinds.append(["ours", str(error)])
        except BaseException as error:
            kinds.append(["bare", repr(error)[:300]])
    print("@", json.dumps([name, kinds, time.perf_counter() - since, peak() - before]), flush=True)
"""


@pytest.fixture(scope="module")
def index_ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    store = Store(str(tmp_path_factory.mktemp("indexes")))
    entries = {
        name: store.publish_bytes(f"a-{n}/{INDEX}", make()).as_dict()
        for n, (name, make) in enumerate(INDEXES.items())
    }
    store.publish_json("indexes.json", entries)
    done = programs.run("-c", PROGRAM, store.url)
    found = [json.loads(line[2:]) for line in done.stdout.splitlines() if line.startswith("@ ")]
    assert done.returncode == 0 and len(found) == len(INDEXES), done.stdout[-3000:]
    return {name: rest for name, *rest in found}


@pytest.mark.parametrize("name", INDEXES)
def test_a_hostile_index_is_named_and_takes_little(index_ends: dict[str, Any], name: str) -> None:
    kinds, seconds, memory = index_ends[name]
    for kind, message in kinds:
        assert kind == "ours" and "index.parquet" in message and len(message) < 1000, kinds
    assert seconds < 10 and memory < 500 * 10**6, f"{seconds:.1f} s, {memory >> 20} MiB"


def test_a_fact_that_is_missing_is_named(store: Store) -> None:
    with pytest.raises(DamagedError, match="shard s1 tells no 'source'"):
        written(store).shards[0].fact("source")


def test_a_sweep_leaves_what_lies_behind_a_link(store: Store, tmp_path: Path) -> None:
    one = step(store)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"theirs")
    with one.shard("s1") as shard:
        shard.publish_bytes("s1.bin", b"data")
    os.symlink(tmp_path / "outside", one.folder.path("a-link"))
    os.symlink(tmp_path / "outside" / "x", one.folder.path(one.place_of("link")))
    one.commit(["s1"])
    assert (tmp_path / "outside" / "x").read_bytes() == b"theirs"
    assert not os.path.lexists(one.folder.path(one.place_of("link")))  # a link that is in no shard goes


def test_an_artifact_is_only_loaded_from_its_own_place(store: Store) -> None:
    found = written(store)
    assert Artifact.load(store, found.name).id == found.id
    os.rename(found.store.path(), store.path("letters/0000000000000000"))
    with pytest.raises(DamagedError, match="it belongs to letters/"):
        Artifact.load(store, "letters/0000000000000000")
    for name in (f"../{Path(store.path()).name}/{found.name}", "/etc", "letters/..", ""):
        with pytest.raises((StoreError, FileNotFoundError)):
            Artifact.load(store, name)


JOBS: dict[str, Callable[[Any], Any]] = {
    "another store": lambda job: put("step.root", "s3://theirs/store")(job),
    "a folder above": lambda job: put("step.root", os.path.dirname(job["step"]["root"]))(job),
    "a stage up": put("step.stage", ".."),
    "an attempt up": put("step.attempt", "../a-1"),
    "another attempt": put("step.attempt", "a-1"),
    "another identity": put("step.identity", {"a": 2}),
    "another address": put("step.address", {"a": 2}),
    "an address of less": put("step.address", {}),
    "a parent up": put("step.parents", {"tokens": ["../x"]}),
    "a revision of text": put("step.revision", "1"),
    "no step": drop("step"),
    "no recipe": drop("recipe"),
    "a recipe of text": put("recipe", "micro"),
    "a recipe's key": put("recipe.train.lr", "fast"),
    "an unknown key": put("recipe.train.speed", 1),
    "a list": lambda job: [job],
}


@pytest.mark.parametrize("name", JOBS)
def test_a_hostile_job_is_named_and_writes_nowhere(store: Store, name: str) -> None:
    url = Job(step(store), load_recipe("micro")).publish()
    assert Job.load(url).step.id == step(store).id
    folder, file = url.rsplit("/", 1)
    Store(folder).publish_bytes(file, to_json(JOBS[name](Store(folder).read_json(file))))
    with pytest.raises(DamagedError, match=r"job\.json"):
        Job.load(url)


def test_a_job_that_was_changed_while_it_waited_is_not_started(store: Store) -> None:
    job = Job(step(store), load_recipe("micro"))
    url = job.publish()
    assert Job.load(url, job.sha256).recipe == job.recipe
    folder, file = url.rsplit("/", 1)
    changed = put("recipe.train.lr", 1.0)(Store(folder).read_json(file))
    Store(folder).publish_bytes(file, to_json(changed))
    assert Job.load(url).recipe.train.lr == 1.0, "nothing else tells"
    with pytest.raises(DamagedError, match=r"job\.json is damaged: it is not the job that was submitted"):
        Job.load(url, job.sha256)
