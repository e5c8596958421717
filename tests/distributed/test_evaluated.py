"""Checkpoints are evaluated while their training goes on, and it does not notice."""

import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import programs
import pytest

from llama_core.evaluate import REVISION
from llama_core.evaluate.checkpoints import Checkpoint, find
from llama_core.job import Job
from llama_core.recipe import Recipe
from llama_core.recipes.running import Launch
from llama_core.step import Step
from llama_core.train import checkpoint

TEN = {"evaluate.heldout_bytes": 3000, "evaluate.at.every": 10 * 1024, "run.keep": 1}
# Trains the job at URL, whose batch N waits for the file PATH.
WAITING = """
import os, sys, time
from llama_core.train import run
batch = run.Loader.batch
def waiting(self, n, *place):
    while n == {n} and not os.path.exists({path!r}):
        time.sleep(0.05)
    return batch(self, n, *place)
run.Loader.batch = waiting
sys.exit(run.main({url!r}))
"""


def evaluation(training: Any, of: Checkpoint, recipe: Recipe | None = None) -> tuple[Step, str]:
    """A step that evaluates a checkpoint, and the URL of its job."""
    job: Job = training.job
    inputs = {"tokenizer": job.input("tokenizer"), "tokens": job.input("tokens"), "train": of}
    identity = {"test": secrets.token_hex(8)} | of.identity()
    step = Step(job.step.root, "evaluate", REVISION, identity, inputs)
    return step, Job(step, recipe or job.recipe).publish()


def evaluated(
    training: Any, of: Checkpoint, recipe: Recipe | None = None, processes: int = 1
) -> dict[str, Any]:
    step, url = evaluation(training, of, recipe)
    done = programs.run("-m", "llama_core.evaluate", url, ranks=processes)
    assert done.returncode == 0, done.stdout
    artifact = step.finished()
    assert artifact is not None
    return artifact.facts


def curve(training: Any) -> list[tuple[float, float]]:
    return [(r["loss"], r["grad_norm"]) for r in training.records()]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_training_whose_checkpoint_is_evaluated_beside_it_stays_as_it_is_to_the_bit(
    validated: Callable[..., Any], tmp_path: Path, processes: int
) -> None:
    plain = validated(**TEN | {"evaluate.at.every": 0, "run.save_every": 10})
    plain.run(processes)

    watched = validated(**TEN)
    script = WAITING.format(n=15, path=str(tmp_path / "go on"), url=watched.publish(processes))
    ended: list[programs.Done] = []
    training = threading.Thread(target=lambda: ended.append(programs.run("-c", script, ranks=processes)))
    training.start()
    while "step-00000010" not in watched.committed():
        assert training.is_alive(), ended
    name = watched.step.name
    found = evaluated(watched, find(watched.step.root, name, 10))
    assert training.is_alive() and watched.committed() == ["step-00000010"]
    (tmp_path / "go on").touch()
    training.join()
    assert ended[0].returncode == 0, ended[0].stdout

    assert curve(watched) == curve(plain)
    assert watched.artifact().digest == plain.artifact().digest
    assert (found["step"], found["tokens"]) == (10, 10 * 1024)
    assert found == evaluated(plain, find(plain.step.root, plain.step.name, 10)), "it was that checkpoint"
    last = evaluated(plain, find(plain.step.root, plain.step.name, 20))
    assert last["heldout"] != found["heldout"]


def test_the_checkpoints_that_are_evaluated_are_saved_and_kept(validated: Callable[..., Any]) -> None:
    training = validated(**{"evaluate.at.every": 3 * 1024, "run.keep": 1, "run.save_every": 5})
    training.run(1)
    kept = {f"step-{n:08d}" for n in (3, 6, 9, 12, 15, 18)}
    assert kept < set(training.committed()) and "step-00000005" not in training.committed()
    assert kept < {shard.name for shard in training.artifact().shards}
    without = validated(**{"run.keep": 1, "run.save_every": 5})
    without.run(1)
    assert without.committed() == ["step-00000015", "step-00000020"]
    assert curve(training) == curve(without)


@pytest.fixture
def saved(validated: Callable[..., Any]) -> Any:
    training = validated(**TEN)
    training.run(1)
    return training


@pytest.mark.slow
def test_the_model_is_laid_out_over_the_processes_of_the_evaluation(saved: Any) -> None:
    """A training on eight processes, of which an evaluation has one, or two."""
    recipe = saved.job.recipe
    layout = recipe.layout.model_copy(update={"tp": 2, "dp_replicate": 4})
    evaluate = recipe.evaluate.model_copy(update={"launch": Launch()})
    launch = Launch(procs_per_node=8)
    elsewhere = recipe.model_copy(update={"layout": layout, "launch": launch, "evaluate": evaluate})
    found = find(saved.step.root, saved.step.name, 10)
    alone, two = (evaluated(saved, found, elsewhere, n) for n in (1, 2))
    for source, values in evaluated(saved, found)["heldout"].items():
        assert alone["heldout"][source] == values and two["heldout"][source] == pytest.approx(
            values, abs=2e-5
        )


def said(step: Step, url: str) -> str:
    """What the program says where it cannot evaluate."""
    done = programs.run("-m", "llama_core.evaluate", url)
    assert done.returncode == 2, done.stdout
    assert step.finished() is None
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(("@error ", "@final "))]
    return line


def test_a_checkpoint_that_was_deleted_since_is_a_clear_and_final_error(saved: Any) -> None:
    root, name = saved.step.root, saved.step.name
    step, url = evaluation(saved, find(root, name, 10))
    checkpoint._delete(saved.step, ["step-00000010"])
    line = said(step, url)
    assert line.startswith("@final ") and f"{name} has no checkpoint after step 10" in line
    assert "it has those after steps 20 (20,480 tokens)" in line and "evaluate.at" in line


def test_a_checkpoint_that_is_deleted_while_it_is_read_is_a_clear_and_final_error(saved: Any) -> None:
    found = find(saved.step.root, saved.step.name, 10)
    step, url = evaluation(saved, found)
    saved.step.folder.delete([o.name for o in found.shard.objects if o.name.endswith(".data")])
    line = said(step, url)
    assert line.startswith("@final ") and "has deleted step-00000010 while it was read" in line


def test_one_that_the_training_has_saved_anew_is_not_taken_for_the_one_before(saved: Any) -> None:
    found = find(saved.step.root, saved.step.name, 10)
    step, url = evaluation(saved, found)
    other = found.shard.as_dict() | {"digest": "0" * 64}
    saved.step.folder.publish_json("shards/step-00000010.json", other)
    assert "has saved step-00000010 anew since" in said(step, url)
    again, _ = evaluation(saved, find(saved.step.root, saved.step.name, 10))
    assert again.digests["train"] != step.digests["train"], "it gets an evaluation of its own"
