"""The evaluation of a run: held-out text, benchmarks, and samples for the report, each a shard of its own."""

import time
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter

from llama_core.evaluate import SAMPLING, names, planned, task
from llama_core.evaluate.checkpoints import load, of
from llama_core.evaluate.heldout import heldout
from llama_core.evaluate.model import TrainedModel
from llama_core.evaluate.score import Scorer
from llama_core.generate.engine import Engine, Sampling
from llama_core.job import Job
from llama_core.program import tell
from llama_core.step import Step
from llama_core.store import to_json
from llama_core.tokenizer.model import Tokenizer
from llama_core.train import distributed
from llama_core.train.distributed import World

HELDOUT, SAMPLES = "heldout", "samples"  # shards beside those of the benchmarks
SAMPLE_TOKENS = 64
SECOND = 1.0  # between two lines of progress
RESULT: TypeAdapter[Any] = TypeAdapter(dict[str, Any] | list[Any])


def main(url: str, sha256: str | None = None) -> int:
    """Evaluate the step of the job at `url`, and return the exit code (see `program`).

    `sha256`: the job's digest.
    """
    job = Job.load(url, sha256)
    run(job, distributed.join(job.recipe.evaluation_launch.device))
    distributed.close_group()
    return 0


def run(job: Job, world: World) -> None:
    """Evaluate the model, and commit the job's step. A step that is finished already is left as it is.

    The job's inputs are `train`, `tokenizer` and `tokens`. Raises LlamaError.
    """
    step, cfg = job.step, job.recipe.evaluate
    if world.agree(lambda: step.finished() is not None):
        return
    promised = planned.promised(step.digests)
    keys = names.keys(cfg.tasks)
    todo = [key for key in keys if planned.is_promised(key, step.digests)]
    shards = {HELDOUT, SAMPLES, *map(task.shard_of, todo)}
    left = shards - world.agree(step.committed_names)
    if left:
        _make(job, world, [key for key in todo if task.shard_of(key) in left], left, promised)
    world.agree(lambda: _commit(job, keys, todo))


def _make(job: Job, world: World, todo: list[str], left: set[str], promised: dict[str, str]) -> None:
    """Commit the shards that are left: the benchmarks `todo`, held-out text and samples."""
    step, recipe, cfg = job.step, job.recipe, job.recipe.evaluate
    world.all_of(lambda: planned.check_services(step.digests))
    task.check(todo, world)
    sets = task.Sets(cfg, promised, todo, world)
    tokenizer = Tokenizer.load(job.input("tokenizer"))
    model = load(job, tokenizer.n_words, world)
    scorer = Scorer(model, recipe.train.seq_len, cfg.batch_tokens, world)
    if HELDOUT in left:
        scorer.progress = _progress("held-out text", world)
        bits = heldout(scorer, tokenizer, job.input("tokens"), recipe.mixture, cfg.heldout_bytes)
        world.agree(lambda: _publish(step, HELDOUT, bits))
    trained = TrainedModel(scorer, tokenizer, cfg.rows)
    for number, key in enumerate(todo, 1):
        task.run(step, sets.task(key), trained, _progress(f"{key}, {number} of {len(todo)}", world))
    if SAMPLES in left:
        engine = Engine(model, tokenizer, recipe.train.seq_len, world=world)
        texts = engine.complete(cfg.prompts, Sampling(SAMPLE_TOKENS, **SAMPLING))
        samples = [{"prompt": prompt, "text": text} for prompt, text in zip(cfg.prompts, texts, strict=True)]
        world.agree(lambda: _publish(step, SAMPLES, samples))


def _publish(step: Step, name: str, result: Any) -> None:
    with step.shard(name) as shard:
        shard.publish_bytes(f"{name}/{task.RESULT}", to_json(result))


def _commit(job: Job, keys: list[str], done: list[str]) -> None:
    """Commit the step. Its facts are read from the committed shards: other attempts may have made them."""
    step, data = job.step, job.recipe.evaluate.data

    def result(name: str) -> Any:
        shard = step.committed(name)
        assert shard is not None
        entry = shard.object(task.RESULT)
        return step.folder.read_as(RESULT, entry.name, entry)

    tasks = {
        key: result(task.shard_of(key))
        if key in done
        else {"status": "not run", "reason": planned.why_not(key, data, step.digests)}
        for key in keys
    }
    facts = {"heldout": result(HELDOUT), "tasks": tasks, "samples": result(SAMPLES)} | of(step)
    step.commit([HELDOUT, SAMPLES, *map(task.shard_of, done)], facts=facts)


def _progress(what: str, world: World) -> Callable[[int, int], None]:
    """Return what tells the flow, on rank 0, how much of a part of the evaluation is done."""
    told = -SECOND

    def show(done: int, total: int) -> None:
        nonlocal told
        if world.rank == 0 and (done >= total or time.monotonic() - told >= SECOND):
            told = time.monotonic()
            tell("progress", {"done": min(done, total), "total": total, "what": what})

    return show
