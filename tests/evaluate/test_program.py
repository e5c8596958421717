"""`python -m llama_core.evaluate`, alone and on several ranks, as a launcher starts it."""

import json
import subprocess
import sys
from pathlib import Path

import programs
import pytest
from trained import Trained

from llama_core.artifact import Artifact
from llama_core.evaluate import REVISION
from llama_core.job import Job
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.store import Store


def publish(trained: Trained, store: Store, **settings: object) -> tuple[str, Step]:
    """The URL of a job whose step is of its own, in the folder of `store`."""
    value = trained.recipe.model_dump(mode="json", by_alias=True)
    value["evaluate"] |= {"heldout_bytes": 400, "batch_tokens": 512, **settings}
    step = Step(trained.store, "evaluate", REVISION, {"test": store.url}, trained.inputs)
    return Job(step, Recipe.model_validate(value)).publish(), step


def evaluate(
    trained: Trained, store: Store, ranks: int = 1, **settings: object
) -> tuple[programs.Done, Step]:
    """Run the program."""
    url, step = publish(trained, store, **settings)
    return programs.run("-m", "llama_core.evaluate", url, ranks=ranks), step


def results(done: programs.Done, step: Step) -> dict[str, dict[str, dict[str, float]]]:
    assert done.returncode == 0, done.stdout
    artifact = step.finished()
    assert artifact is not None
    return artifact.facts


@pytest.fixture
def data(tmp_path: Path) -> str:
    rows = [
        {"question": f"What is {i}?", "choices": ["a thing", "two", "3 of them"][: 2 + i % 2], "gold": i % 2}
        for i in range(23)
    ]
    (tmp_path / "ARC-Easy_test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(tmp_path)


def test_it_commits_its_results_and_shows_progress(trained: Trained, store: Store) -> None:
    done, step = evaluate(trained, store)
    found = results(done, step)
    artifact = step.finished()
    assert isinstance(artifact, Artifact)
    assert json.loads(artifact.read(artifact.shard("evaluation").object("results.json"))) == found
    assert found["heldout"].keys() == {"code", "docs"}
    assert [sample["prompt"] for sample in found["samples"]] == trained.recipe.evaluate.prompts
    assert {r["status"] for r in found["tasks"].values()} == {"not run"}
    progress = [json.loads(line[10:]) for line in done.stdout.splitlines() if line.startswith("@progress ")]
    assert progress[0].keys() == {"done", "total", "what"}
    assert progress[-1]["done"] == progress[-1]["total"]


def test_ranks_that_share_the_model_and_the_work_get_the_same_results(
    trained: Trained, store: Store, data: str
) -> None:
    one = results(*evaluate(trained, store.at("one"), data=data))
    two = results(*evaluate(trained, store.at("two"), ranks=2, data=data))
    assert two["tasks"] == one["tasks"]
    assert two["tasks"]["arc_easy"]["n"] == 20
    for source, expected in one["heldout"].items():
        assert two["heldout"][source] == pytest.approx(expected, abs=2e-5)
    assert two["samples"] == one["samples"]


def test_without_benchmarks_it_imports_none_of_their_libraries(trained: Trained, store: Store) -> None:
    program = """
import sys
from llama_core.evaluate.run import main
code = main(sys.argv[1])
heavy = {"lm_eval", "datasets", "transformers"} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""
    command = [sys.executable, "-c", program, publish(trained, store)[0]]
    done = subprocess.run(command, capture_output=True, text=True, env=programs.environment(), check=False)
    assert done.returncode == 0, done.stderr


def test_a_damaged_checkpoint_is_one_line_on_its_output(store: Store) -> None:
    from trained import make_trained

    trained = make_trained(store)
    train = trained.inputs["train"]
    entry = next(o for o in train.shard(train.facts["final"]).objects if o.name.endswith(".data"))
    data = bytearray(train.store.read(entry.name))
    data[100] ^= 1
    train.store.publish_bytes(entry.name, bytes(data))
    done, step = evaluate(trained, store)
    assert done.returncode == 2
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("@error ")]
    assert "damaged" in line
    assert step.finished() is None
