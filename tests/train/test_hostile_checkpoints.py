"""A checkpoint that somebody has changed is never read as weights, and has nothing of others deleted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from trained import Trained

from llama_core.errors import DamagedError, LlamaError
from llama_core.generate.load import load
from llama_core.model.llama import Llama
from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store, to_json
from llama_core.train import checkpoint
from llama_core.train.distributed import World
from llama_core.train.metrics.record import SHARD, Record, records, segments
from llama_core.train.optimizer import make_optimizer

ALONE = World(0, 1, torch.device("cpu"))
WORDS = 300
Parts = tuple[Step, Llama, torch.optim.Optimizer]


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("micro", {"model.dim": 16, "model.n_layers": 1, "model.n_heads": 2})


@pytest.fixture
def parts(store: Store, recipe: Recipe) -> Parts:
    model = Llama(recipe.model, WORDS)
    return Step(store, "train", 1, {}), model, make_optimizer(model, recipe.train)


def save(parts: Parts, n: int) -> None:
    checkpoint.save(*parts, checkpoint.TrainState(n, 10 * n, "none"), ALONE)


def forge(step: Step, name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a commit."""
    commit = f"shards/{name}.json"
    value = step.folder.read_json(commit)
    change(value)
    step.folder.publish_json(commit, value)


def put(step: Step, name: str, ending: str, data: bytes) -> None:
    """Put another object into a checkpoint, with the size and the digest that it has."""

    def change(commit: dict[str, Any]) -> None:
        [old] = [o for o in commit["objects"] if o["name"].endswith(ending)]
        old |= step.folder.publish_bytes(old["name"], data).as_dict()

    forge(step, name, change)


def test_the_next_save_deletes_nothing_outside(parts: Parts, store: Store) -> None:
    step = parts[0]
    store.publish_bytes("theirs", b"1")
    save(parts, 1)
    forge(step, "step-00000001", lambda c: c["objects"][0].update(name=f"{step.attempt}/../../../theirs"))
    for n in (2, 3, 4):
        save(parts, n)
        checkpoint.retain(step, 1)
    assert checkpoint.committed(step) == ["step-00000003", "step-00000004"]
    assert store.read("theirs") == b"1"


@pytest.mark.parametrize("what", ["of another checkpoint", "of another attempt", "of the record"])
def test_a_commit_has_no_objects_of_another_shard_deleted(parts: Parts, what: str) -> None:
    step = parts[0]
    save(parts, 1)
    save(parts, 2)
    other = {
        "of another checkpoint": [o.as_dict() for o in step.committed("step-00000002").objects],  # type: ignore[union-attr]
        "of another attempt": [step.folder.publish_bytes("a-2/step-00000002/x", b"1").as_dict()],
        "of the record": [step.folder.publish_bytes(step.place_of("metrics/metrics.jsonl"), b"1").as_dict()],
    }[what]
    forge(step, "step-00000001", lambda c: c.update(objects=other))
    save(parts, 3)
    checkpoint.retain(step, 1)
    assert checkpoint.committed(step) == ["step-00000002", "step-00000003"]
    sizes = step.folder.sizes()
    assert all(sizes[entry["name"]] == entry["size"] for entry in other)
    assert not [name for name in sizes if "/step-00000001/" in name and "of" not in what]


def output(**changes: Any) -> Callable[[Any], Any]:
    """Change what the layout says of the output matrix, (300, 16)."""

    def all_of_it(value: dict[str, Any]) -> dict[str, Any]:
        value["parameters"]["output.weight"] |= changes
        return value

    return all_of_it


TWICE = [{"axis": "tp", "dim": 0}] * 2
FORGED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a list": ("layout.json", lambda v: [v]),
    "no parameters": ("layout.json", lambda v: v | {"parameters": {}}),
    "a later format": ("layout.json", lambda v: v | {"format": 2}),
    "another dtype": ("layout.json", output(dtype="float64")),
    "a smaller dtype": ("layout.json", output(dtype="bfloat16")),
    "a dtype of code": ("layout.json", output(dtype="__class__")),
    "another shape": ("layout.json", output(shape=[16, 300])),
    "a huge shape": ("layout.json", output(shape=[1 << 40, 1 << 40])),
    "a negative shape": ("layout.json", output(shape=[-300, -16])),
    "a shape of text": ("layout.json", output(shape="300")),
    "no shape": ("layout.json", output(shape=[])),
    "a split of nobody": ("layout.json", output(splits=[{"axis": "tp", "dim": 2}])),
    "a split twice": ("layout.json", output(splits=TWICE)),
    "a split by replicas": ("layout.json", output(splits=[{"axis": "dp_replicate", "dim": 0}])),
    "a stage of nobody": ("layout.json", output(pp=1)),
    "a grid of none": ("layout.json", lambda v: v | {"grid": v["grid"] | {"tp": 0}}),
    "a huge grid": ("layout.json", lambda v: v | {"grid": v["grid"] | {"tp": 1 << 60}}),
    "half a grid": ("layout.json", lambda v: v | {"grid": {"tp": 1}}),
    "another grid": ("layout.json", lambda v: output(splits=TWICE[:1])(v | {"grid": v["grid"] | {"tp": 2}})),
    "no weights": ("layout.json", lambda v: v | {"kinds": ["exp_avg"]}),
    "no moments": ("layout.json", lambda v: v | {"kinds": ["model"]}),
    "a moment twice": ("layout.json", lambda v: v | {"kinds": ["model", "exp_avg", "exp_avg"]}),
    "pieces of nothing": ("layout.json", lambda v: v | {"piece": 0}),
    "other pieces": ("layout.json", lambda v: v | {"piece": 64}),
    "a table of nothing": ("00000.table", lambda v: b""),
    "a table that is cut": ("00000.table", lambda v: v[:-1]),
    "a table without a digest": ("00000.table", lambda v: v[:-32]),
    "a table of another kind": ("00000.table", lambda v: b"pickle!!" + v[8:]),
    "another count": ("00000.table", lambda v: v[:8] + bytes(8) + v[16:]),
    "another digest": ("00000.table", lambda v: v[:-1] + bytes([v[-1] ^ 1])),
    "digests in another order": ("00000.table", lambda v: v[:16] + v[48:] + v[16:48]),
    "data that are cut": ("00000.data", lambda v: v[:-1]),
    "more data": ("00000.data", lambda v: v + b"0"),
    "another bit": ("00000.data", lambda v: v[:-1] + bytes([v[-1] ^ 1])),
    "a step of text": ("state.json", lambda v: v | {"step": "1"}),
    "a step before": ("state.json", lambda v: v | {"step": -1}),
    "no tokens": ("state.json", lambda v: {"step": 1, "data": "none"}),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_parts_are_not_read(parts: Parts, name: str) -> None:
    step = parts[0]
    save(parts, 1)
    ending, change = FORGED[name]
    shard = step.committed("step-00000001")
    assert shard
    data = step.folder.read(shard.object(ending).name)
    changed = to_json(change(json.loads(data))) if ending.endswith("json") else change(data)
    put(step, "step-00000001", ending, changed)
    with pytest.raises(DamagedError, match="no checkpoint of .* is whole"):
        checkpoint.load(*parts, ALONE)


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[" * 5000, b"\x80\x04cos\nsystem\n", b"null"])
@pytest.mark.parametrize("ending", ["layout.json", "00000.table", "state.json"])
def test_what_is_no_json_and_no_table_sends_the_training_back(parts: Parts, ending: str, data: bytes) -> None:
    save(parts, 1)
    save(parts, 2)
    put(parts[0], "step-00000002", ending, data)
    found = checkpoint.load(*parts, ALONE)
    assert found and found.step == 1


@pytest.mark.parametrize("ending", ["layout.json", "00000.table", "00000.data", "state.json"])
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_each_kind_of_damage_is_named_and_the_checkpoint_before_is_taken(
    parts: Parts, ending: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    step = parts[0]
    save(parts, 1)
    save(parts, 2)
    name = step.committed("step-00000002").object(ending).name  # type: ignore[union-attr]
    data = step.folder.read(name)
    if damage == "missing":
        step.folder.delete([name])
    else:
        step.folder.publish_bytes(name, data[:-1] if damage == "cut" else data[:-3] + b"?" + data[-2:])
    found = checkpoint.load(*parts, ALONE)
    assert found and found.step == 1
    assert "checkpoint step-00000002 is left out, step-00000001 goes on instead" in caplog.text
    assert ending in caplog.text
    assert checkpoint.committed(step) == ["step-00000001"]


def test_a_commit_that_is_damaged_takes_no_place_of_another_and_does_not_keep_the_step_from_its_end(
    parts: Parts,
) -> None:
    step = parts[0]
    for n in range(1, 6):
        save(parts, n)
    step.folder.publish_bytes("shards/step-00000004.json", b"{")
    checkpoint.retain(step, 1)
    assert checkpoint.committed(step) == ["step-00000003", "step-00000005"]
    step.folder.publish_bytes("shards/step-00000003.json", b"{")
    checkpoint.finish(step, checkpoint.TrainState(5, 50, "none"), 1, "digest", {})
    finished = step.finished()
    assert finished and checkpoint.final(finished).name == "step-00000005"
    step.folder.publish_bytes("shards/step-00000005.json", b"{")
    with pytest.raises(DamagedError, match="step-00000005"):
        checkpoint.finish(step, checkpoint.TrainState(5, 50, "none"), 1, "digest", {})


def test_a_checkpoint_of_an_older_writer_is_named_and_the_one_before_is_taken(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    step = parts[0]
    save(parts, 1)
    with step.shard("step-00000002") as old:
        for name in ("__0_0.distcp", "__0_0.digests.json", "metadata.json", "state.json"):
            old.publish_bytes(f"{old.name}/{name}", b"{}")
    found = checkpoint.load(*parts, ALONE)
    assert found and found.step == 1
    assert "step-00000002, was written by an earlier version of this project" in caplog.text


@pytest.mark.parametrize("line", [b'{"step": NaN}', b"[1]", b"\xff"])
def test_a_record_that_is_no_json_names_its_segment(store: Store, line: bytes) -> None:
    step = Step(store, "train", 1, {})
    with step.shard(SHARD) as shard:
        shard.publish_bytes("metrics/00000001-00000002.jsonl", b'{"before": null}\n{"step": 1}\n' + line)
    read = records(step.commit([SHARD]))
    assert next(read) == {"step": 1}
    with pytest.raises(DamagedError, match=r"metrics/00000001-00000002\.jsonl.* is damaged"):
        next(read)


@pytest.mark.parametrize(
    "first", [b"{}", b"null", b'{"before": {"name": "../x", "size": 1, "sha256": ""}}', b'{"before": 1}']
)
def test_a_segment_that_names_no_segment_ends_the_record_there(store: Store, first: bytes) -> None:
    """The weights are whole without it."""
    step = Step(store, "train", 1, {})
    damaged = step.folder.publish_bytes(step.place_of("metrics/00000001-00000001.jsonl"), first + b"\n")
    record = Record(step, damaged)
    record.add({"step": 2})
    record.seal()
    newest = record.publish()
    assert segments(step.folder, newest) == [newest]


IDENTITIES: dict[str, Any] = {
    "no model": {"train": {}},
    "a model of text": {"model": "7b", "train": {}},
    "a size of text": {"model": {"dim": "wide", "n_layers": 1, "n_heads": 1}, "train": {}},
    "a huge model": {"model": {"dim": 1 << 40, "n_layers": 1, "n_heads": 1 << 20}, "train": {}},
    "many layers": {"model": {"dim": 64, "n_layers": 10**12, "n_heads": 4}, "train": {}},
    "another size": {"model": {"dim": 128, "n_layers": 2, "n_heads": 4}, "train": {}},
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_a_train_step_that_claims_another_model_is_not_loaded(
    trained: Trained, tmp_path: Path, name: str
) -> None:
    theirs = trained.inputs["train"]
    root = Store(str(tmp_path))
    for artifact in trained.inputs.values():
        for file in artifact.store.list():
            root.at(artifact.name).publish_bytes(file, artifact.store.read(file))
    folder = root.at(theirs.name)
    assert load(folder.url).seq_len == trained.recipe.train.seq_len
    folder.publish_json("manifest.json", theirs.manifest | {"identity": IDENTITIES[name]})
    with pytest.raises(LlamaError, match=r"manifest\.json is damaged|are not those of the model"):
        load(folder.url)
