"""`python -m llama_core.export.job`: an export by any number of processes, checked block by block."""

import json
import signal
from pathlib import Path

import programs
import pytest
import torch
from trained import Trained, make_trained

from llama_core.artifact import Artifact
from llama_core.errors import LlamaError
from llama_core.export import REVISION, huggingface, verify
from llama_core.job import Job
from llama_core.step import Step
from llama_core.store import Store
from llama_core.train.distributed import World
from llama_core.weights import names

HERE = World(0, 1, torch.device("cpu"))
# The program, to which every model is large, and a file small.
PROGRAM = """
import sys
import llama_core.export
llama_core.export.SMALL = 0
from llama_core.weights import safetensors_file
safetensors_file.FILE_BYTES = 40_000
from llama_core import program
program.run("llama_core.export.job")
"""

# Half writes an object whose name holds a text, or just does not create it, and dies there.
DIE = """
import os, signal
from llama_core import store
write, create = store.Writer.write, store.Store.create
def write_half(self, data):
    if {at!r} in self._name:
        write(self, memoryview(data).cast("B")[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(self, data)
def create_or_die(self, name, data):
    if {at!r} in name:
        os.kill(os.getpid(), signal.SIGKILL)
    return create(self, name, data)
store.Writer.write, store.Store.create = write_half, create_or_die
"""


def job_of(trained: Trained, test: str, **settings: object) -> Job:
    """A job whose step is of its own."""
    inputs = {role: trained.inputs[role] for role in ("train", "tokenizer")}
    step = Step(trained.store, "export", REVISION, {"test": test}, inputs)
    return Job(step, trained.recipe, {"conda.yaml": "name: é\n"})


def run(job: Job, ranks: int) -> programs.Done:
    return programs.run("-c", PROGRAM, job.publish(), job.sha256, ranks=ranks)


def finished(job: Job) -> Artifact:
    artifact = job.step.finished()
    assert artifact is not None
    return artifact


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model of five blocks, which no number of processes divides."""
    return make_trained(Store(str(tmp_path_factory.mktemp("deep"))), **{"model.n_layers": 5})


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_any_number_of_processes_writes_the_same_bytes_and_finds_the_same_difference(
    deep: Trained, tmp_path: Path, ranks: int
) -> None:
    job = job_of(deep, f"{ranks} processes")
    done = run(job, ranks)
    assert done.returncode == 0, done.stdout
    found = finished(job)
    here = Step(Store(str(tmp_path)), "export", REVISION, {})
    expected = huggingface.export(
        here,
        deep.recipe,
        deep.inputs["train"],
        deep.inputs["tokenizer"],
        {"conda.yaml": "name: é\n".encode()},
        40_000,
    )
    assert found.shard("model").digest == here.commit(["model"]).shard("model").digest
    assert found.shard("model").facts["max_logit_difference"] == pytest.approx(expected, abs=1e-5)
    assert len([o for o in found.shard("model").objects if o.name.endswith(".safetensors")]) > 5
    told = [json.loads(line[10:]) for line in done.stdout.splitlines() if line.startswith("@progress ")]
    assert [t["what"] for t in told if t["done"] == t["total"]] == [
        "weights",
        "our blocks",
        "blocks of the export",
    ]


def test_block_by_block_finds_what_the_whole_model_would(
    trained: Trained, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "is_small", lambda _: False)
    step = Step(store, "export", REVISION, {})
    inputs = trained.inputs
    assert huggingface.export(step, trained.recipe, inputs["train"], inputs["tokenizer"]) < 1e-5
    for wrong in (("attention.wq.weight",), ("attention.wk.weight", "attention.wv.weight")):
        monkeypatch.setattr(names, "ROTATED", wrong)
        step = Step(store, "export", REVISION, {"wrong": wrong[0]})
        with pytest.raises(LlamaError, match="differs from our model by"):
            huggingface.export(step, trained.recipe, inputs["train"], inputs["tokenizer"])
        assert step.committed(huggingface.SHARD) is None


def test_a_block_is_checked_in_bf16_as_it_is_exported(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "is_small", lambda _: False)
    trained = make_trained(store, **{"train.precision": "bf16"})
    step = Step(store, "export", REVISION, {})
    assert (
        huggingface.export(step, trained.recipe, trained.inputs["train"], trained.inputs["tokenizer"]) < 1e-5
    )


def test_it_works_on_a_store_that_is_no_disk(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "is_small", lambda _: False)
    step = Step(Store("memory://blocks"), "export", REVISION, {})
    assert (
        huggingface.export(step, trained.recipe, trained.inputs["train"], trained.inputs["tokenizer"]) < 1e-5
    )


def test_a_finished_step_is_left_and_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    trained = make_trained(Store(str(tmp_path)))
    job = job_of(trained, "whole")
    assert run(job, 1).returncode == 0
    first = finished(job)
    assert run(Job(Step.from_dict(job.step.as_dict() | {"attempt": None}), job.recipe), 2).returncode == 0
    assert finished(job).manifest == first.manifest
    entry = next(o for o in trained.inputs["train"].objects() if o.name.endswith(".data"))
    data = bytearray(trained.inputs["train"].store.read(entry.name))
    data[100] ^= 1
    trained.inputs["train"].store.publish_bytes(entry.name, bytes(data))
    job = job_of(trained, "damaged")
    done = run(job, 2)
    assert done.returncode != 0 and job.step.finished() is None
    assert any("damaged" in line for line in done.stdout.splitlines() if line.startswith("@error "))


@pytest.mark.parametrize("at", ["model-00002-of-", "model-00007-of-", "SHA256SUMS", "shards/model.json"])
def test_killed_anywhere_on_two_processes_it_is_the_same_once_it_is_started_again(
    deep: Trained, at: str
) -> None:
    """Rank 1 writes every second file of weights; rank 0 writes the others, and what is last."""
    job = job_of(deep, f"killed at {at}")
    for attempt in (None, job.step.attempt):  # a new flow's, and that of a launcher that starts it again
        again = Job(Step.from_dict(job.step.as_dict() | {"attempt": attempt}), job.recipe, job.texts)
        done = programs.run("-c", DIE.format(at=at) + PROGRAM, again.publish(), again.sha256, ranks=2)
        assert done.returncode == -signal.SIGKILL, done.stdout
        assert job.step.finished() is None
    done = run(job, 2)
    assert done.returncode == 0, done.stdout
    whole = job_of(deep, "in peace")
    run(whole, 1)
    assert finished(job).digest == finished(whole).digest
    counted = {entry.name for entry in finished(job).objects()} | {"manifest.json", "shards/model.json"}
    assert set(job.step.folder.list()) == counted
