"""The evaluation of a run: held-out text, benchmarks, and samples for the report."""

from typing import Any

from pydantic import TypeAdapter

from llama_core.evaluate import SAMPLING
from llama_core.evaluate.checkpoints import load, of
from llama_core.evaluate.harness import run_tasks
from llama_core.evaluate.heldout import heldout
from llama_core.evaluate.score import Scorer
from llama_core.generate.engine import Engine, Sampling
from llama_core.job import Job
from llama_core.program import tell
from llama_core.store import to_json
from llama_core.tokenizer.model import Tokenizer
from llama_core.train import distributed
from llama_core.train.distributed import World

SHARD = "evaluation"
SAMPLE_TOKENS = 64
RESULTS = TypeAdapter(dict[str, Any])


def main(url: str, sha256: str | None = None) -> int:
    """Evaluate the step of the job at `url`, and return the exit code (see `program`).

    `sha256`: the job's digest.
    """
    job = Job.load(url, sha256)
    run(job, distributed.join(job.recipe.launch.device))
    distributed.close_group()
    return 0


def run(job: Job, world: World) -> None:
    """Evaluate the model, and commit the job's step. A step that is finished already is left as it is.

    The job's inputs are `train`, `tokenizer` and `tokens`. Raises LlamaError.
    """
    step = job.step
    if world.agree(lambda: step.finished() is not None):
        return
    if world.agree(lambda: step.committed(SHARD)) is None:
        results = evaluate(job, world)
        world.agree(lambda: _publish(job, results))
    world.agree(lambda: _commit(job))


def evaluate(job: Job, world: World) -> dict[str, Any]:
    """Return the results of the trained model: `heldout`, `tasks` and `samples`, the same on every rank."""
    recipe, cfg = job.recipe, job.recipe.evaluate
    tokenizer = Tokenizer.load(job.input("tokenizer"))
    model = load(job, tokenizer.n_words, world)
    scorer = Scorer(model, recipe.train.seq_len, cfg.batch_tokens, world)

    scorer.progress = _progress("held-out text", world)
    bits = heldout(scorer, tokenizer, job.input("tokens"), recipe.mixture, cfg.heldout_bytes)
    scorer.progress = _progress("benchmarks", world)
    tasks = run_tasks(scorer, tokenizer, cfg)
    engine = Engine(model, tokenizer, recipe.train.seq_len, world=world)
    texts = engine.complete(cfg.prompts, Sampling(SAMPLE_TOKENS, **SAMPLING))
    samples = [{"prompt": prompt, "text": text} for prompt, text in zip(cfg.prompts, texts)]
    return {"heldout": bits, "tasks": tasks, "samples": samples}


def _publish(job: Job, results: dict[str, Any]) -> None:
    with job.step.shard(SHARD) as shard:
        shard.publish_bytes("results.json", to_json(results))


def _commit(job: Job) -> None:
    """Commit the step. Its facts are read from the committed shard: another attempt may have been first."""
    step = job.step
    shard = step.committed(SHARD)
    assert shard is not None
    entry = shard.object("results.json")
    step.commit([SHARD], facts=step.folder.read_as(RESULTS, entry.name, entry) | of(step))


def _progress(what: str, world: World) -> Any:
    """Return what tells the flow, on rank 0, how much of a part of the evaluation is done."""

    def show(done: int, total: int) -> None:
        if world.rank == 0:
            tell("progress", {"done": min(done, total), "total": total, "what": what})

    return show
