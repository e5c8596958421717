"""Evaluations of checkpoints: of those that the recipe names, beside the training, and of any other later.

The training's job knows nothing of them, and waits for none. Beside it, in this process, a thread waits for
each checkpoint's commit, and has it evaluated by a job of its own, one after the other. What is not done when
the training ends, or has failed, is done before the trained model itself is evaluated.
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import datetime

from llama_core.artifact import Artifact
from llama_core.errors import InputError, StoreError
from llama_core.recipes.evaluation import step_at
from llama_core.step import Step
from tasks import tracking
from tasks.evaluate import evaluation, score, scores, show
from tasks.observe import warn
from tasks.run import Run
from tasks.step import stage

SCORE = "evaluation/"  # how the names of scores begin
EVERY = 5.0  # seconds between two looks for a checkpoint


@dataclass(frozen=True)
class Data:
    """What an evaluation reads besides the model."""

    corpus: Artifact
    tokenizer: Artifact
    tokens: Artifact


def on_the_way(run: Run) -> Run:
    """Return a run whose recipe asks, of any model, what it asks of checkpoints on the way."""
    cfg = run.recipe.evaluate
    if cfg.at.tasks is None:
        return run
    fewer = cfg.model_copy(update={"tasks": cfg.at.tasks})
    ungated = run.recipe.register_.model_copy(
        update={"gate": None}
    )  # it may name a benchmark that is not asked
    return replace(run, recipe=run.recipe.model_copy(update={"evaluate": fewer, "register_": ungated}))


def due(run: Run) -> list[int]:
    """Return after which updates of the recipe's training a checkpoint is evaluated."""
    train = run.recipe.train
    start = train.start_from
    before = start.at if start and not start.anew else 0
    return [] if train.imported else [n for n in run.recipe.evaluate.at.steps(train) if n > before]


@stage("evaluate checkpoint", task_run_name="evaluate the checkpoint after step {step}")
def evaluate_checkpoint(run: Run, data: Data, training: str, step: int) -> Artifact:
    """Evaluate the checkpoint that a training has saved after update `step`, and log its scores to MLflow.

    `training`: the folder of its step on the store, train/ID. Raises InputError where it has no such
    checkpoint.
    """
    from llama_core.evaluate.checkpoints import find  # torch is slow to import

    checkpoint = find(run.store, training, step)
    made = evaluation(run, data.corpus, data.tokenizer, data.tokens, checkpoint, checkpoint.identity())
    found = score(run, made, title=f"evaluate {checkpoint.tokens:,} tokens")
    _log(tracking.training_run(run, training, {}), found, step)
    return found


def evaluate_at(run: Run, data: Data, training: str, tokens: int) -> Artifact:
    """Evaluate the checkpoint after the first update of a training that reaches a number of tokens; show it.

    Raises InputError where it has no such checkpoint.
    """
    found = evaluate_checkpoint(run, data, training, step_at(run.recipe.train, tokens))
    show(found)
    return found


def evaluate_checkpoints(run: Run, data: Data, trained: Artifact) -> dict[str, Artifact]:
    """Return the evaluations of the checkpoints that the recipe names; those that are not there are made.

    They are named as `evaluate.TOKENS`. A checkpoint that the training has not saved is left out, with a
    warning.
    """
    found = {}
    for step in due(run):
        try:
            made = evaluate_checkpoint(on_the_way(run), data, trained.name, step)
        except InputError as error:
            warn(f"      the model after step {step:,} is not evaluated: {error}")
            continue
        found[f"evaluate.{made.facts['tokens']}"] = made
    return found


@contextlib.contextmanager
def evaluated(run: Run, data: Data, training: Step) -> Iterator[None]:
    """Have checkpoints of a training evaluated during the block, which trains it.

    The end of the block waits for an evaluation that is under way. One that fails is told, and tried again
    after the training.
    """
    steps = due(run)
    if not steps:
        yield
        return
    over = threading.Event()
    watch = copy_context().run  # so that Prefect shows the evaluations below the flow
    thread = threading.Thread(target=watch, args=(_follow, run, data, training, steps, over), daemon=True)
    thread.start()
    try:
        yield
        over.set()
        thread.join()
    finally:
        over.set()  # an evaluation that still runs ends with this process, or is adopted by the next


def _follow(run: Run, data: Data, training: Step, steps: list[int], over: threading.Event) -> None:
    """Evaluate each checkpoint once it is committed, until the training is over."""
    from llama_core.train import checkpoint  # torch is slow to import

    for step in steps:
        while True:
            saved: list[str] = []
            with contextlib.suppress(StoreError):  # the store is away: it is asked again
                saved = checkpoint.committed(training)
            if saved and saved[-1] >= checkpoint.name_of(step):
                break
            if over.wait(EVERY):
                return
        if over.is_set():
            return
        try:
            evaluate_checkpoint(on_the_way(run), data, training.name, step)
        except Exception as error:
            warn(f"      the model after step {step:,} is not evaluated now: {error}")


def _log(run_id: str, evaluated: Artifact, step: int) -> None:
    """Log the scores of a checkpoint. Their time is that of the evaluation, so that each is there once."""
    when = int(datetime.fromisoformat(evaluated.manifest["finished"]).timestamp() * 1000)
    try:
        tracking.log_at(run_id, scores(evaluated), step, when)
    except Exception as error:
        warn(f"      MLflow was not told the scores after step {step:,}: {error}")


def rows(evaluations: Iterable[Artifact]) -> list[dict[str, str]]:
    """Return a row for each evaluation of one training: its step, its tokens, and its scores."""
    found = [(made.facts, scores(made)) for made in evaluations]
    names = dict.fromkeys(name for _, values in found for name in values if name.startswith(SCORE))
    return [
        {"step": f"{facts['step']:,}", "tokens": f"{facts['tokens']:,}"}
        | {name.removeprefix(SCORE): f"{values[name]:.3f}" if name in values else "-" for name in names}
        for facts, values in found
    ]
