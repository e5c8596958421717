"""A step is there whole or not at all, and its address says what went into it."""

import pickle
import tracemalloc

import pyarrow as pa
import pytest

from llama_core.artifact import INDEX, Artifact, Shard, write_index
from llama_core.errors import DamagedError
from llama_core.objects import Object
from llama_core.step import Step
from llama_core.store import Store


def step(store: Store, **changes: object) -> Step:
    values = {"stage": "letters", "revision": 1, "identity": {"a": 1}, "inputs": {"x": "d"}} | changes
    return Step(store, **values)  # type: ignore[arg-type]


def write(of: Step, name: str, data: bytes = b"data") -> None:
    with of.shard(name) as shard:
        shard.publish_bytes(f"{name}.bin", data)
        shard.counts["raw"] = 2


def test_only_identity_inputs_and_revision_make_the_address(store: Store) -> None:
    same = step(store)
    assert same.id == step(store, execution={"workers": 7}).id
    others = [step(store, revision=2), step(store, identity={"a": 2}), step(store, inputs={"x": "e"})]
    assert len({same.id, *(o.id for o in others)}) == 4


def test_without_a_manifest_there_is_no_artifact(store: Store) -> None:
    one = step(store)
    write(one, "s1")
    assert one.finished() is None
    one.commit(["s1"])
    artifact = step(store).finished()
    assert artifact is not None
    assert artifact.counts == {"raw": 2}
    assert artifact.read(artifact.shard("s1").object(".bin")) == b"data"
    assert Artifact.load(store, one.name).digest == artifact.digest


def test_the_digest_depends_on_the_output_and_not_on_the_attempt(store: Store, tmp_path) -> None:
    elsewhere = Store(str(tmp_path / "other"))
    digests = []
    for root in (store, elsewhere):
        one = step(root)
        write(one, "s1")
        digests.append(one.commit(["s1"]).digest)
    other = step(elsewhere, revision=2)
    write(other, "s1", b"other data")
    assert digests[0] == digests[1] != other.commit(["s1"]).digest


def test_a_second_attempt_goes_on_with_the_shards_of_the_first(store: Store) -> None:
    write(step(store), "s1")
    second = step(store)
    assert second.committed("s1") is not None
    assert second.committed("s2") is None
    write(second, "s2")
    assert second.commit(["s1", "s2"]).counts == {"raw": 4}


def test_the_loser_of_a_race_leaves_nothing_behind(store: Store) -> None:
    winner, loser = step(store), step(store)
    write(winner, "s1")
    write(loser, "s1")
    artifact = winner.commit(["s1"])
    loser.commit(["s1"])
    assert artifact.shard("s1").objects[0].name.startswith(winner.attempt)
    assert not [n for n in store.list() if loser.attempt in n]


def test_a_worker_that_was_taken_for_lost_takes_nothing_from_the_one_in_its_place(store: Store) -> None:
    one = step(store)
    another = Step.from_dict(one.as_dict())  # the same attempt, on another machine
    with another.shard("s1") as late:
        late.publish_bytes("s1.bin", b"data")
        write(one, "s1")
    artifact = one.commit(["s1"])
    assert artifact.read(artifact.shard("s1").object(".bin")) == b"data"
    assert step(store).finished() is not None


def test_a_shard_that_fails_is_not_committed_and_is_swept_later(store: Store) -> None:
    failing = step(store)
    with pytest.raises(RuntimeError), failing.shard("s1") as shard:
        shard.publish_bytes("s1.bin", b"half")
        raise RuntimeError
    assert failing.committed("s1") is None
    again = step(store)
    write(again, "s1")
    again.commit(["s1"])
    assert not [n for n in store.list() if failing.attempt in n]


def test_a_worker_keeps_few_of_an_artifacts_shards_in_memory(store: Store) -> None:
    def shard(i: int) -> Shard:
        objects = (Object(f"a-1/shard{i:06}/documents.parquet", i, f"{i:064x}"),)
        return Shard(
            f"shard{i:06}", f"{i:064x}", objects, {"documents": i}, {"url": f"https://a.example/{i}"}
        )

    n = 10_000
    tracemalloc.start()
    with store.publish(INDEX) as file:
        write_index(file, (shard(i) for i in range(n)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500 * n, f"{peak // n} bytes a shard to write them"
    assert file.object
    artifact = pickle.loads(pickle.dumps(Artifact(store, {"index": file.object.as_dict()})))
    tracemalloc.start()
    arrow = pa.total_allocated_bytes()
    for i in (0, 999, 1000, 5432, n - 1):
        assert artifact.has(f"shard{i:06}") and artifact.shard(f"shard{i:06}") == shard(i)
    assert not artifact.has("shard") and not artifact.has("shard000000x") and not artifact.has("t")
    with pytest.raises(DamagedError):
        artifact.shard("shard")
    held = tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() - arrow
    tracemalloc.stop()
    assert held < 200 * n, f"{held // n} bytes a shard"
    assert artifact.shards == [shard(i) for i in range(n)]
    assert artifact.shard("shard005432") is artifact.shards[5432] and not artifact.has("t")


def test_a_missing_or_cut_object_is_not_reused(store: Store) -> None:
    one = step(store)
    write(one, "s1")
    name = one.commit(["s1"]).shard("s1").objects[0].name
    one.folder.publish_bytes(name, b"cut")
    with pytest.raises(DamagedError, match="missing or cut"):
        step(store).finished()
    one.folder.delete([name])
    with pytest.raises(DamagedError, match="missing or cut"):
        step(store).finished()


def test_a_step_survives_the_journey_to_another_machine(store: Store) -> None:
    one = step(store)
    again = Step.from_dict(one.as_dict())
    assert (again.id, again.attempt, again.folder.url) == (one.id, one.attempt, one.folder.url)
