"""`python -m llama_core.evaluate`, alone and on several ranks, as a launcher starts it."""

import contextlib
import hashlib
import io
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import programs
import pyarrow.parquet as pq
import pytest
import toy_benchmark
from trained import Trained

from llama_core.artifact import Artifact
from llama_core.evaluate import REVISION, planned
from llama_core.evaluate.benchmark import Generation
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.run import SECOND
from llama_core.job import Job
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.store import Store, to_json

KEYS = ["toy:choices", "toy:2-shot", "toy:whole", "toy:greedy", "toy:drawn@3"]
# The program, in a process that knows the benchmark of the tests.
PROGRAM = "import toy_benchmark; toy_benchmark.install(); from llama_core import program; "
PROGRAM += 'program.run("llama_core.evaluate")'


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BENCHMARKS, "toy", toy_benchmark.Toy())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    toy_benchmark.write(tmp_path / "data")
    return tmp_path / "data"


def publish(trained: Trained, store: Store, **settings: Any) -> tuple[str, Step]:
    """The URL of a job whose step is of its own, in the folder of `store`."""
    value = trained.recipe.model_dump(mode="json", by_alias=True)
    value["evaluate"] |= {"tasks": ["toy"], "heldout_bytes": 400, "batch_tokens": 512, "rows": 6}
    value["evaluate"] |= {"samples": None, "max_new_tokens": None, **settings}
    recipe = Recipe.model_validate(value)
    inputs = trained.inputs | planned.digests(recipe.evaluate.data, recipe.evaluate.tasks)
    step = Step(trained.store, "evaluate", REVISION, {"test": store.url}, inputs)
    return Job(step, recipe).publish(), step


def evaluate(trained: Trained, store: Store, ranks: int = 1, **settings: Any) -> tuple[programs.Done, Step]:
    """Run the program."""
    url, step = publish(trained, store, **settings)
    return programs.run("-c", PROGRAM, url, ranks=ranks), step


def results(done: programs.Done, step: Step) -> dict[str, Any]:
    assert done.returncode == 0, done.stdout
    artifact = step.finished()
    assert artifact is not None
    return artifact.facts


def rows(step: Step, key: str) -> list[dict[str, Any]]:
    """What the Parquet file of a benchmark holds."""
    artifact = step.finished()
    assert artifact is not None
    entry = artifact.shard(f"task.{key.replace(':', '.')}").object("items.parquet")
    return pq.read_table(io.BytesIO(artifact.read(entry))).to_pylist()


def test_it_commits_its_results_and_shows_progress(trained: Trained, store: Store) -> None:
    done, step = evaluate(trained, store)
    found = results(done, step)
    artifact = step.finished()
    assert isinstance(artifact, Artifact)
    assert json.loads(artifact.read(artifact.shard("heldout").object("result.json"))) == found["heldout"]
    assert found["heldout"].keys() == {"code", "docs"}
    assert [sample["prompt"] for sample in found["samples"]] == trained.recipe.evaluate.prompts
    assert found["tasks"].keys() == set(KEYS)
    assert {r["status"] for r in found["tasks"].values()} == {"not run"}
    assert all("evaluate.data" in r["reason"] and "score" not in r for r in found["tasks"].values())
    progress = [json.loads(line[10:]) for line in done.stdout.splitlines() if line.startswith("@progress ")]
    assert progress[0].keys() == {"done", "total", "what"}
    assert progress[-1]["done"] == progress[-1]["total"]


def test_each_way_of_a_benchmark_is_a_shard_with_every_item(
    trained: Trained, store: Store, data: Path
) -> None:
    done, step = evaluate(trained, store, data=str(data), max_new_tokens=5)
    found = results(done, step)["tasks"]
    assert [found[key]["n"] for key in KEYS] == [20] * 5
    assert (
        found["toy:drawn@3"]["metric"] == "drawn@3" and "of the first item" in found["toy:greedy"]["figures"]
    )
    drawn = rows(step, "toy:drawn@3")
    assert [row["id"] for row in drawn] == [f"r{n}" for n in range(20)]
    assert found["toy:drawn@3"]["score"] == pytest.approx(sum(row["score"] for row in drawn) / 20)
    texts = [json.loads(row["answers"])[0] for row in drawn]
    assert all(len(set(some)) > 1 for some in texts) and json.loads(drawn[3]["details"]) == {
        "texts": texts[3]
    }
    request = Generation(toy_benchmark.words(0, 3), 5, ("e ", "\n"), 3, 0.9, 0.95)
    asked = to_json([["Generation", vars(request)]])
    assert drawn[0]["prompts_sha256"] == hashlib.sha256(asked).hexdigest()
    (nats, tokens, greedy), _ = json.loads(rows(step, "toy:choices")[0]["answers"])
    assert nats < 0 and tokens > 0 and greedy in (True, False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("INFO toy:")]
    assert [line.split()[1].rstrip(":") for line in lines] == KEYS


def test_limits_take_items_evenly_and_fewer_samples(trained: Trained, store: Store, data: Path) -> None:
    tasks = ["toy:drawn@3", "toy:choices"]
    done, step = evaluate(trained, store, data=str(data), limit=4, samples=2, tasks=tasks)
    found = results(done, step)["tasks"]
    assert found.keys() == set(tasks) and found["toy:drawn@3"]["metric"] == "drawn@2"
    drawn = rows(step, "toy:drawn@3")
    assert [row["id"] for row in drawn] == ["r0", "r5", "r10", "r15"]
    assert [len(json.loads(row["answers"])[0]) for row in drawn] == [2] * 4


def test_ranks_that_share_the_model_and_the_work_get_the_same_results(
    trained: Trained, store: Store, data: Path
) -> None:
    done, first = evaluate(trained, store.at("one"), data=str(data))
    one = results(done, first)
    done, second = evaluate(trained, store.at("two"), ranks=2, data=str(data))
    two = results(done, second)
    assert two["tasks"] == one["tasks"]
    assert [one["tasks"][key]["cut"] for key in KEYS] == [2 + 7 % 3, 2 + 7 % 3, 0, 1, 1]
    for source, expected in one["heldout"].items():
        assert two["heldout"][source] == pytest.approx(expected, abs=2e-5)
    assert two["samples"] == one["samples"]
    assert rows(second, "toy:drawn@3") == rows(first, "toy:drawn@3")


def test_a_benchmark_whose_file_is_not_on_the_node_is_an_error_that_another_start_meets_again(
    trained: Trained, store: Store, data: Path
) -> None:
    url, step = publish(trained, store, data=str(data))
    whole = (data / "toy/items.jsonl").read_text()
    (data / "toy/items.jsonl").unlink()
    done = programs.run("-c", PROGRAM, url)
    assert done.returncode == 2 and step.committed_names() == set()
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("@final ")]
    assert "toy was promised and cannot be run here" in line and "evaluate.data" in line
    (data / "toy/items.jsonl").write_text(whole + whole.splitlines()[0].replace("r0", "r99") + "\n")
    done = programs.run("-c", PROGRAM, url)
    assert "@final the files of toy have changed since the run began" in done.stdout
    (data / "toy/items.jsonl").write_text(whole)
    assert results(programs.run("-c", PROGRAM, url), step)["tasks"]["toy:choices"]["n"] == 20


def test_what_a_rank_lacks_is_an_error_before_anything_is_run(
    trained: Trained, store: Store, data: Path
) -> None:
    url, step = publish(trained, store, data=str(data))
    lacking = "import os; from toy_benchmark import Toy; Toy.missing = lambda self, variant: "
    lacking += '"install it" if variant.name == "greedy" and os.environ.get("RANK") == "1" else None; '
    done = programs.run("-c", lacking + PROGRAM, url, ranks=2)
    assert done.returncode == 2 and step.committed_names() == set()
    assert "@final toy:greedy was promised and cannot be run here: install it" in done.stdout


@pytest.mark.slow
def test_a_rank_may_judge_for_longer_than_the_others_would_wait_for_a_message(
    trained: Trained, store: Store, data: Path
) -> None:
    url, step = publish(trained, store, data=str(data), tasks=["toy:choices"])
    slow = """
import os, time
from datetime import timedelta
from toy_benchmark import Toy
from llama_core.train import distributed
distributed.TIMEOUT = timedelta(seconds=20)
judge = Toy.judge
def slowly(self, item, variant, answers):
    time.sleep(35 if item.id == "r1" else 0)
    return judge(self, item, variant, answers)
Toy.judge = slowly
"""
    assert results(programs.run("-c", slow + PROGRAM, url, ranks=2), step)["tasks"]["toy:choices"]["n"] == 20


def digests(step: Step) -> dict[str, str]:
    """The digest of each object of each shard."""
    found = {}
    for shard in step.committed_shards(step.committed_names()):
        found |= {o.name.partition("/")[2]: o.sha256 for o in shard.objects}
    return found


def test_a_killed_evaluation_goes_on_where_it_was_and_ends_with_the_same_bytes(
    trained: Trained, store: Store, data: Path
) -> None:
    done, step = evaluate(trained, store.at("whole"), data=str(data))
    assert done.returncode == 0
    url, killed = publish(trained, store.at("killed"), data=str(data))
    dies = "from toy_benchmark import Toy; Toy.figures = lambda self, variant, judged: "
    dies += '__import__("os").kill(__import__("os").getpid(), 9) if variant.name == "greedy" else old('
    dies = f"import toy_benchmark; old = toy_benchmark.Toy().figures; {dies}variant, judged); "
    assert programs.run("-c", dies + PROGRAM, url).returncode == -9
    there = {"heldout", "task.toy.choices", "task.toy.2-shot", "task.toy.whole"}
    assert killed.committed_names() == there
    done = programs.run("-c", PROGRAM, url)
    assert results(done, killed) == results(done, step)
    assert digests(killed) == digests(step)
    assert "INFO toy:choices" not in done.stdout and "INFO toy:greedy" in done.stdout


@pytest.mark.slow
def test_killed_at_random_five_times_it_ends_with_the_same_bytes(
    trained: Trained, store: Store, data: Path
) -> None:
    toy_benchmark.write(data, 60)
    programs.run("-c", "pass")  # what forks it has imported all by then
    started = time.monotonic()
    done, step = evaluate(trained, store.at("whole"), data=str(data), limit=None)
    seconds, rng, deaths = time.monotonic() - started, random.Random(1), 0
    for attempt in range(9):
        url, killed = publish(trained, store.at(f"killed-{attempt}"), data=str(data), limit=None)
        while deaths < 5 and killed.finished() is None:
            program = programs.Program("-c", PROGRAM, url)
            time.sleep(rng.uniform(0, 0.7) * seconds)
            with contextlib.suppress(ProcessLookupError):  # it is done
                program.send_signal(signal.SIGKILL)
            deaths += program.wait() != 0
        if killed.finished() is None:
            assert programs.run("-c", PROGRAM, url).returncode == 0
        assert results(done, killed) == results(done, step)
        assert digests(killed) == digests(step)
        if deaths == 5:
            return
    raise AssertionError(f"it was always done before: {deaths} deaths in {seconds} s")


@pytest.mark.slow
def test_progress_is_told_once_a_second_and_at_the_end(trained: Trained, store: Store, data: Path) -> None:
    toy_benchmark.write(data, 200)
    started = time.monotonic()
    done, _ = evaluate(trained, store, data=str(data), tasks=["toy:greedy"], rows=1, limit=None)
    seconds = time.monotonic() - started
    told = [json.loads(line[10:]) for line in done.stdout.splitlines() if line.startswith("@progress ")]
    mine = [p["done"] for p in told if p["what"] == "toy:greedy, 1 of 1"]
    assert mine[-1] == 200 and mine == sorted(mine) and len(mine) < seconds / SECOND + 3


def test_it_imports_no_library_of_the_flow_or_of_the_tests(trained: Trained, store: Store) -> None:
    program = """
import sys
import toy_benchmark
toy_benchmark.install()
from llama_core.evaluate.run import main
code = main(sys.argv[1])
heavy = {"lm_eval", "datasets", "transformers"} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""
    command = [sys.executable, "-c", program, publish(trained, store)[0]]
    env = programs.environment() | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
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
